// Private endpoints, each with its entry in the private DNS zone of its service.

@description('Beginning of the names: each is followed by what is reached.')
@maxLength(40)
param namePrefix string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('The subnet that they get their addresses from.')
param subnetId string

@description('What is reached.')
type endpointType = {
  @description('Ends the name of the endpoint, and names it in targetIds.')
  name: string

  @description('Which service of the resource.')
  service: 'blob' | 'queue' | 'table' | 'vault' | 'sites' | 'disks'

  @description('Which private DNS zone has its name.')
  zone: 'blob' | 'queue' | 'table' | 'vault' | 'sites'
}

@description('What is reached.')
param endpoints endpointType[]

@description('The resources that are reached, by the name of the endpoint.')
param targetIds object

@description('The private DNS zones by their service.')
param zoneIds object

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2025-01-01' = [for endpoint in endpoints: {
  name: '${namePrefix}-${endpoint.name}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [{ name: endpoint.name, properties: { privateLinkServiceId: targetIds[endpoint.name], groupIds: [endpoint.service] } }]
  }
}]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-01-01' = [for (endpoint, index) in endpoints: {
  parent: privateEndpoints[index]
  name: 'default'
  properties: { privateDnsZoneConfigs: [{ name: endpoint.zone, properties: { privateDnsZoneId: zoneIds[endpoint.zone] } }] }
}]
