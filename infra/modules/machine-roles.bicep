// What the backup and the restore identity may do in a subscription whose machines are protected: exactly the calls that azure/compute and
// azure/extension make, and what Azure checks on the resources that those calls name ("linked"). Maintenance has no right here.
targetScope = 'subscription'

@description('Ends the names of the roles, since these are unique in a tenant.')
param roleSuffix string

@description('Principal id of the backup identity.')
param backupPrincipalId string

@description('Principal id of the restore identity.')
param restorePrincipalId string

@description('Whether policies may run scripts in guests. Whoever may change policies can then run anything as root on the machines that they cover.')
param guestScripts bool

@description('Whether machines with unmanaged disks are protected, which takes the snapshot extension in the guest.')
param unmanagedDisks bool

// The state of operations that take longer than one request.
var operations = [
  'Microsoft.Compute/locations/diskOperations/read'
  'Microsoft.Compute/locations/operations/read'
]

var snapshotActions = [
  'Microsoft.Compute/virtualMachines/read'
  'Microsoft.Compute/disks/read'
  'Microsoft.Compute/disks/beginGetAccess/action' // linked: asked of a disk when a snapshot of it is made
  'Microsoft.Compute/snapshots/read'
  'Microsoft.Compute/snapshots/write'
  'Microsoft.Compute/snapshots/delete'
  'Microsoft.Compute/snapshots/beginGetAccess/action'
  'Microsoft.Compute/snapshots/endGetAccess/action'
  'Microsoft.Compute/restorePointCollections/read'
  'Microsoft.Compute/restorePointCollections/write'
  'Microsoft.Compute/restorePointCollections/delete' // the sweep: of a machine that is gone, when it is empty
  'Microsoft.Compute/restorePointCollections/restorePoints/read'
  'Microsoft.Compute/restorePointCollections/restorePoints/write'
  'Microsoft.Compute/restorePointCollections/restorePoints/delete'
  'Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints/read'
  'Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints/beginGetAccess/action'
  'Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints/endGetAccess/action'
]

var scriptActions = [
  'Microsoft.Compute/virtualMachines/runCommands/read'
  'Microsoft.Compute/virtualMachines/runCommands/write'
  'Microsoft.Compute/virtualMachines/runCommands/delete'
]

var extensionActions = [
  'Microsoft.Compute/virtualMachines/extensions/read'
  'Microsoft.Compute/virtualMachines/extensions/write'
]

var restoreActions = [
  'Microsoft.Compute/skus/read'
  'Microsoft.Compute/disks/read'
  'Microsoft.Compute/disks/write'
  'Microsoft.Compute/disks/delete'
  'Microsoft.Compute/disks/beginGetAccess/action'
  'Microsoft.Compute/disks/endGetAccess/action'
  'Microsoft.Compute/snapshots/read' // of disks that are compared with a recovery point: a restore in place by difference
  'Microsoft.Compute/snapshots/write'
  'Microsoft.Compute/snapshots/delete'
  'Microsoft.Compute/snapshots/beginGetAccess/action'
  'Microsoft.Compute/snapshots/endGetAccess/action'
  'Microsoft.Compute/virtualMachines/read'
  'Microsoft.Compute/virtualMachines/write'
  'Microsoft.Compute/virtualMachines/delete'
  'Microsoft.Compute/virtualMachines/start/action'
  'Microsoft.Compute/virtualMachines/deallocate/action'
  'Microsoft.Compute/virtualMachines/attachDetachDataDisks/action'
  'Microsoft.Network/networkInterfaces/join/action' // linked: what a machine is made with
  'Microsoft.Network/virtualNetworks/subnets/join/action'
  'Microsoft.Network/networkSecurityGroups/join/action'
]

resource backupRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, roleSuffix, 'holdfast-backup')
  properties: {
    roleName: 'Holdfast backup (${roleSuffix})'
    description: 'Takes snapshots and restore points of machines, reads them, and deletes them.'
    type: 'CustomRole'
    permissions: [{
      actions: concat(operations, snapshotActions, guestScripts ? scriptActions : [], unmanagedDisks ? extensionActions : [])
      notActions: []
      dataActions: []
      notDataActions: []
    }]
    assignableScopes: [subscription().id]
  }
}

resource restoreRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, roleSuffix, 'holdfast-restore')
  properties: {
    roleName: 'Holdfast restore (${roleSuffix})'
    description: 'Makes disks and machines, and exchanges the disks of machines.'
    type: 'CustomRole'
    permissions: [{ actions: concat(operations, restoreActions), notActions: [], dataActions: [], notDataActions: [] }]
    assignableScopes: [subscription().id]
  }
}

resource backupAssignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, roleSuffix, 'backup')
  properties: { principalId: backupPrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: backupRole.id }
}

resource restoreAssignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, roleSuffix, 'restore')
  properties: { principalId: restorePrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: restoreRole.id }
}
