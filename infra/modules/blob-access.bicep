// A right on the blobs of a storage account that is there already: that of unmanaged disks, or one that restores write disk images to.

@description('Ends the name of the role, since these are unique in a tenant.')
param roleSuffix string

@description('Name of the storage account.')
param accountName string

@description('The container that the right is limited to; null for the whole account.')
param containerName string?

@description('What it is for: backup of unmanaged disks, or restore to page blobs.')
param duty ('backup' | 'restore')

@description('Principal id of the identity that gets it.')
param principalId string

var blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs'

// Backup: reads disks, takes and deletes their blob snapshots, and lets the guest write its status file, by a signature made of this very right.
// Restore: makes a page blob, writes it, reads it back, and deletes it when the restore fails.
var dataActions = ['${blobs}/read', '${blobs}/add/action', '${blobs}/write', '${blobs}/delete']

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName

  resource service 'blobServices' existing = {
    name: 'default'

    resource container 'containers' existing = {
      name: containerName ?? 'none'
    }
  }
}

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(account.id, roleSuffix, duty)
  properties: {
    roleName: 'Holdfast ${duty} of blobs (${roleSuffix}, ${accountName})'
    description: duty == 'backup' ? 'Reads unmanaged disks and takes snapshots of them.' : 'Writes disk images as page blobs.'
    type: 'CustomRole'
    permissions: [{
      // The guest's status files lie in a container of their own, which the first backup makes.
      actions: duty == 'backup' ? ['Microsoft.Storage/storageAccounts/blobServices/containers/write', 'Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action'] : []
      notActions: []
      dataActions: dataActions
      notDataActions: []
    }]
    assignableScopes: [resourceGroup().id]
  }
}

resource onAccount 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (containerName == null) {
  name: guid(account.id, roleSuffix, duty)
  scope: account
  properties: { principalId: principalId, principalType: 'ServicePrincipal', roleDefinitionId: role.id }
}

resource onContainer 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (containerName != null) {
  name: guid(account::service::container.id, roleSuffix, duty)
  scope: account::service::container
  properties: { principalId: principalId, principalType: 'ServicePrincipal', roleDefinitionId: role.id }
}
