// Through this resource and its private endpoint the content of disks and snapshots is read and written within the network.
// Azure allows five exports or imports at a time through one of them.

@description('Name of the resource.')
@maxLength(80)
param name string

@description('Azure region: that of the disks.')
param location string

@description('Tags of every resource.')
param tags object

resource diskAccess 'Microsoft.Compute/diskAccesses@2025-01-02' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id of the disk access: what disks and snapshots name.')
output id string = diskAccess.id
