// The app's identities, kept apart: each duty shows its own to Azure, so what one may do the others may not (roles.bicep, vault-roles.bicep).

@description('Beginning of the names: each is followed by its duty.')
param namePrefix string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('An identity of the app.')
@export()
type identityType = {
  @description('Resource id, by which it is attached to the app.')
  id: string

  @description('Client id, by which the app asks for its tokens.')
  clientId: string

  @description('Object id, to which roles are assigned.')
  principalId: string
}

resource host 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${namePrefix}-host'
  location: location
  tags: tags
}

resource backup 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${namePrefix}-backup'
  location: location
  tags: tags
}

resource maintenance 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${namePrefix}-maintenance'
  location: location
  tags: tags
}

resource restore 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${namePrefix}-restore'
  location: location
  tags: tags
}

@description('What the Functions host itself uses: task hub, deployment package, telemetry. It sees neither the vault nor a machine.')
output host identityType = { id: host.id, clientId: host.properties.clientId, principalId: host.properties.principalId }

@description('Takes snapshots, reads them, creates objects in the vault.')
output backup identityType = { id: backup.id, clientId: backup.properties.clientId, principalId: backup.properties.principalId }

@description('Deletes in the vault what nothing needs any more. It sees no machine.')
output maintenance identityType = { id: maintenance.id, clientId: maintenance.properties.clientId, principalId: maintenance.properties.principalId }

@description('Reads the vault, makes disks and machines.')
output restore identityType = { id: restore.id, clientId: restore.properties.clientId, principalId: restore.properties.principalId }
