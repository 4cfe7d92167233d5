// Azure's own service for the state of durable orchestrations, in place of the storage account's queues and tables.

@description('Name of the scheduler.')
@minLength(3)
@maxLength(64)
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Principal id of the Functions host, which alone may use it.')
param hostPrincipalId string

var durableTaskDataContributor = '0ad04412-c4d5-4796-b79c-f76d14c8d402'

resource scheduler 'Microsoft.DurableTask/schedulers@2025-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'Consumption' }
    ipAllowlist: ['0.0.0.0/0'] // Who may use it is decided by role; the app has no fixed address.
  }

  resource hub 'taskHubs' = {
    name: 'holdfast'
  }
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(scheduler.id, 'host')
  scope: scheduler
  properties: {
    principalId: hostPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', durableTaskDataContributor)
  }
}

@description('Where the app finds it.')
output endpoint string = scheduler.properties.endpoint

@description('Name of the task hub.')
output hubName string = scheduler::hub.name
