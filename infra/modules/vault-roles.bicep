// Who may do what with the objects of the vault and with its key: custom roles with exactly the data actions of each duty.
// docs/worm.md has the same table for vaults that are made by hand.

import { immutabilityType } from './vault-storage.bicep'

@description('Ends the names of the roles, since these are unique in a tenant.')
param roleSuffix string

@description('Name of the vault\'s storage account.')
param accountName string

@description('Name of the vault\'s container.')
param containerName string

@description('Name of the key vault.')
param keyVaultName string

@description('Name of the key in it.')
param keyName string

@description('Time-based immutability of the vault: where there is none, nobody needs the right to set policies.')
param immutability immutabilityType

@description('Principal id of the backup identity.')
param backupPrincipalId string

@description('Principal id of the maintenance identity.')
param maintenancePrincipalId string

@description('Principal id of the restore identity.')
param restorePrincipalId string

@description('Object id of whoever makes the vault and its keys with the command line; empty for nobody.')
param administratorObjectId string

@description('What that object is.')
param administratorType ('User' | 'Group' | 'ServicePrincipal')

// `add/action` creates a blob that is not there; replacing one takes `write`, which nobody has.
var create = [
  'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'
  'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action'
]
// Lets locks be made longer; a locked one cannot be made shorter by anybody.
var hold = immutability == 'none' ? [] : ['Microsoft.Storage/storageAccounts/blobServices/containers/blobs/immutableStorage/runAsSuperUser/action']

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource container 'containers' existing = {
      name: containerName
    }
  }
}

resource keyVault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: keyVaultName

  resource key 'keys' existing = {
    name: keyName
  }
}

resource creatorRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'holdfast-vault-creator')
  properties: {
    roleName: 'Holdfast vault creator (${roleSuffix})'
    description: 'Reads the vault and creates objects in it; replaces and deletes nothing.'
    type: 'CustomRole'
    permissions: [{ actions: [], notActions: [], dataActions: create, notDataActions: [] }]
    assignableScopes: [resourceGroup().id]
  }
}

resource backupRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'holdfast-vault-backup')
  properties: {
    roleName: 'Holdfast vault backup (${roleSuffix})'
    description: 'Reads the vault, creates objects in it, and makes their locks longer; replaces and deletes nothing.'
    type: 'CustomRole'
    permissions: [{ actions: [], notActions: [], dataActions: concat(create, hold), notDataActions: [] }]
    assignableScopes: [resourceGroup().id]
  }
}

resource maintenanceRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'holdfast-vault-maintenance')
  properties: {
    roleName: 'Holdfast vault maintenance (${roleSuffix})'
    description: 'Reads the vault, creates objects in it, makes their locks longer, and deletes what is not locked; replaces nothing.'
    type: 'CustomRole'
    permissions: [{
      actions: []
      notActions: []
      dataActions: concat(create, hold, ['Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete'])
      notDataActions: []
    }]
    assignableScopes: [resourceGroup().id]
  }
}

resource keyUserRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'holdfast-key-user')
  properties: {
    roleName: 'Holdfast key user (${roleSuffix})'
    description: 'Opens the vault with its key.'
    type: 'CustomRole'
    permissions: [{ actions: [], notActions: [], dataActions: ['Microsoft.KeyVault/vaults/keys/unwrap/action'], notDataActions: [] }]
    assignableScopes: [resourceGroup().id]
  }
}

resource keyAdministratorRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'holdfast-key-administrator')
  properties: {
    roleName: 'Holdfast key administrator (${roleSuffix})'
    description: 'Opens the vault with its key, and wraps its master key for it (holdfast init, holdfast key).'
    type: 'CustomRole'
    permissions: [{
      actions: []
      notActions: []
      dataActions: ['Microsoft.KeyVault/vaults/keys/wrap/action', 'Microsoft.KeyVault/vaults/keys/unwrap/action']
      notDataActions: []
    }]
    assignableScopes: [resourceGroup().id]
  }
}

resource backupInVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account::blobs::container.id, 'backup')
  scope: account::blobs::container
  properties: { principalId: backupPrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: backupRole.id }
}

resource maintenanceInVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account::blobs::container.id, 'maintenance')
  scope: account::blobs::container
  properties: { principalId: maintenancePrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: maintenanceRole.id }
}

// It reads what it restores, and writes down what it did (restores/).
resource restoreInVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account::blobs::container.id, 'restore')
  scope: account::blobs::container
  properties: { principalId: restorePrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: creatorRole.id }
}

resource administratorInVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(administratorObjectId)) {
  name: guid(account::blobs::container.id, 'administrator', administratorObjectId)
  scope: account::blobs::container
  properties: { principalId: administratorObjectId, principalType: administratorType, roleDefinitionId: creatorRole.id }
}

resource backupWithKey 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(keyVault::key.id, 'backup')
  scope: keyVault::key
  properties: { principalId: backupPrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: keyUserRole.id }
}

resource maintenanceWithKey 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(keyVault::key.id, 'maintenance')
  scope: keyVault::key
  properties: { principalId: maintenancePrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: keyUserRole.id }
}

resource restoreWithKey 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(keyVault::key.id, 'restore')
  scope: keyVault::key
  properties: { principalId: restorePrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: keyUserRole.id }
}

resource administratorWithKey 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(administratorObjectId)) {
  name: guid(keyVault::key.id, 'administrator', administratorObjectId)
  scope: keyVault::key
  properties: { principalId: administratorObjectId, principalType: administratorType, roleDefinitionId: keyAdministratorRole.id }
}
