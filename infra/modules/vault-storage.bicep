// The vault: a storage account of its own with one container. What lies in it is all that a restore takes, beside the key.
// Previous versions, soft delete and locks guard against mistakes; what stands against a thief is `immutability` (docs/worm.md).

@description('Name of the storage account: lower-case letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@description('Name of the container.')
@minLength(3)
@maxLength(63)
param containerName string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('How many copies Azure keeps, and where.')
param redundancy ('Standard_LRS' | 'Standard_ZRS' | 'Standard_GRS' | 'Standard_RAGRS' | 'Standard_GZRS' | 'Standard_RAGZRS')

@description('Whether it can be reached from the internet (with a role, still), or by private endpoints alone.')
param publicNetworkAccess ('Enabled' | 'Disabled')

@description('Days for which a deleted blob, version or container can be brought back.')
@minValue(7)
@maxValue(365)
param softDeleteDays int

@description('Time-based immutability of every version: none, unlocked (to try it; guards against mistakes), or locked (cannot be undone). An account is made with or without; unlocked can become locked later, none cannot become either.')
@export()
type immutabilityType = 'none' | 'unlocked' | 'locked'

@description('Time-based immutability of every version.')
param immutability immutabilityType

@description('HOLDFAST_LOCK_DAYS of the app: for how many days ahead what recovery points need is held. Each object is held for 14 days more from its creation.')
@minValue(1)
@maxValue(3650)
param lockDays int

@description('Moves data packs to cooler tiers. It is for vaults that keep recovery points for months or years: what is kept for less never gets there.')
@export()
type tieringType = {
  @description('The longest keep-within of your policies, in days: for so long every recovery point is kept, and most data packs go soon after. None of them is moved before.')
  @minValue(1)
  @maxValue(3650)
  keepWithinDays: int

  @description('Days in the cool tier before a pack is moved to cold; null for never. Azure charges for 30 days of cool at least.')
  @minValue(30)
  @maxValue(3650)
  daysInCool: int?
}

@description('When data packs are moved to cooler tiers; null for never.')
param tiering tieringType?

@description('Whether a lock keeps the account from being deleted.')
param deleteLock bool

// What the app adds to the time that a policy states, in days: a recovery point's time in the bin, and what collection waits for runs (docs/vault-format.md, sections 10 and 14).
// A pack that outlived all of this belongs to a recovery point that is kept for long.
var binDays = 14
var collectionDays = 8
var lockMarginDays = 14
var heldDays = immutability == 'none' ? 0 : lockDays + lockMarginDays
var coolAfterDays = (tiering.?keepWithinDays ?? 0) + binDays + collectionDays + heldDays
var coldAfterDays = coolAfterDays + (tiering.?daysInCool ?? 0)

// Data packs alone, never packs/meta/: browsing and planning read those all the time.
var tierRules = tiering == null ? [] : [
  {
    name: 'data-packs-to-cooler-tiers'
    enabled: true
    type: 'Lifecycle'
    definition: {
      filters: { blobTypes: ['blockBlob'], prefixMatch: ['${containerName}/packs/data/'] }
      actions: {
        baseBlob: union(
          { tierToCool: { daysAfterCreationGreaterThan: coolAfterDays } },
          tiering.?daysInCool == null ? {} : { tierToCold: { daysAfterCreationGreaterThan: coldAfterDays } }
        )
      }
    }
  }
]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: redundancy }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    isHnsEnabled: false
    publicNetworkAccess: publicNetworkAccess
    networkAcls: { bypass: 'None', defaultAction: publicNetworkAccess == 'Enabled' ? 'Allow' : 'Deny' }
    immutableStorageWithVersioning: immutability == 'none' ? null : {
      enabled: true
      immutabilityPolicy: {
        immutabilityPeriodSinceCreationInDays: lockDays + lockMarginDays
        state: immutability == 'locked' ? 'Locked' : 'Unlocked'
        allowProtectedAppendWrites: false
      }
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: containerName
  properties: { publicAccess: 'None' }
}

// When Holdfast deletes a blob it becomes a previous version, which is paid for until this rule deletes it; soft delete then keeps it for softDeleteDays.
// A version's age counts from when its content was written, so this is no time to bring something back in: softDeleteDays is.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: concat(tierRules, [
        {
          name: 'delete-previous-versions'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['${containerName}/'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: 1 } } }
          }
        }
      ])
    }
  }
  dependsOn: [blobs]
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (deleteLock) {
  name: 'the-only-copy'
  scope: account
  properties: { level: 'CanNotDelete', notes: 'Backups lie here. Nothing brings them back when this account is deleted.' }
}

@description('Resource id of the account.')
output id string = account.id

@description('Address of the vault: HOLDFAST_VAULT.')
output containerUrl string = '${account.properties.primaryEndpoints.blob}${container.name}'
