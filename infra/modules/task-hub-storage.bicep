// The storage account of the Functions host: the task hub (blobs, queues, tables) and the app's package. Apart from the vault's, so
// that no right on the one is a right on the other. Nothing in it is needed to restore.

@description('Name of the storage account: lower-case letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Whether it can be reached from the internet (with a role, still), or by private endpoints alone.')
param publicNetworkAccess ('Enabled' | 'Disabled')

@description('Principal id of the Functions host, which alone may use it.')
param hostPrincipalId string

var packageContainerName = 'app-package'

// What the host needs of its storage by Azure's documentation (Connect to host storage with an identity); the durable extension adds queues and tables.
var hostRoles = {
  blobDataOwner: 'b7e6dc6d-f1f3-4753-b033-0f276bb0955b'
  queueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  tableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: { bypass: 'None', defaultAction: publicNetworkAccess == 'Enabled' ? 'Allow' : 'Deny' }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: packageContainerName
  properties: { publicAccess: 'None' }
}

resource hostAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in items(hostRoles): {
  name: guid(account.id, 'host', role.value)
  scope: account
  properties: {
    principalId: hostPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.value)
  }
}]

@description('Addresses of the three services that a task hub takes.')
@export()
type taskHubEndpointsType = {
  @description('Address of the blob service.')
  blob: string

  @description('Address of the queue service.')
  queue: string

  @description('Address of the table service.')
  table: string
}

@description('Resource id of the account.')
output id string = account.id

@description('Addresses of its services.')
output endpoints taskHubEndpointsType = {
  blob: account.properties.primaryEndpoints.blob
  queue: account.properties.primaryEndpoints.queue
  table: account.properties.primaryEndpoints.table
}

@description('Address of the container that the app\'s package is deployed to.')
output packageContainerUrl string = '${account.properties.primaryEndpoints.blob}${package.name}'
