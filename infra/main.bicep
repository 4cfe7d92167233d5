// Holdfast in an Azure subscription: one function app, its task hub, the vault, the key that opens it, and who may do what.
// Read from top to bottom. README.md says how to deploy it, and what to think about before.
targetScope = 'subscription'

import { hostingType } from 'modules/function-app.bicep'
import { immutabilityType, tieringType } from 'modules/vault-storage.bicep'

// ---- What is deployed, and where

@description('Name of the deployment: lower-case letters, digits and hyphens. Every name is made of it, and the storage accounts and the key vault leave no room for more.')
@minLength(3)
@maxLength(12)
param environmentName string

@description('Azure region of everything here: those that have the Flex Consumption plan (az functionapp list-flexconsumption-locations).')
@allowed([
  'australiaeast'
  'australiasoutheast'
  'brazilsouth'
  'canadacentral'
  'centralindia'
  'centralus'
  'eastasia'
  'eastus'
  'eastus2'
  'francecentral'
  'germanywestcentral'
  'italynorth'
  'japaneast'
  'koreacentral'
  'northcentralus'
  'northeurope'
  'norwayeast'
  'southafricanorth'
  'southcentralus'
  'southeastasia'
  'southindia'
  'spaincentral'
  'swedencentral'
  'uaenorth'
  'uksouth'
  'ukwest'
  'westcentralus'
  'westeurope'
  'westus'
  'westus2'
  'westus3'
])
@metadata({ azd: { type: 'location' } })
param location string

@description('Who gets the alerts and the warnings of the budget, by e-mail.')
@minLength(1)
param alertEmails string[]

@description('Who makes the vault and its keys with the command line (holdfast init): an object id of Entra ID, or empty for nobody.')
param administratorObjectId string = ''

@description('What that object is.')
param administratorType ('User' | 'Group' | 'ServicePrincipal') = 'User'

// ---- Who may use it

@description('Application (client) id of the app registration in Entra ID that people and programs sign in to (README.md says how to make it). Empty: nobody is let in over HTTP; backups go on by their policies.')
param signInClientId string = ''

@description('The tenant of Entra ID that it is in.')
param signInTenantId string = tenant().tenantId

@description('What one caller may ask of an instance of the app in a minute; a change counts as ten.')
@minValue(10)
@maxValue(1000000)
param requestsPerMinute int = 1200

// ---- Who is told

@description('Address of a secret in a key vault, with what notifications are signed with (docs/notifications.md has its form): the host identity of this deployment needs the role Key Vault Secrets User on it. Empty: no webhooks.')
param webhookSigningUri string = ''

// ---- What is protected

@description('The subscriptions whose machines are protected. Whoever deploys this must be able to make roles in each (Owner, or User Access Administrator).')
@minLength(1)
param protectedSubscriptionIds string[] = [subscription().subscriptionId]

@description('Storage accounts with unmanaged disks of protected machines, by resource id. With none, machines with unmanaged disks are not backed up.')
param unmanagedDiskAccountIds string[] = []

@description('Whether policies may run scripts in guests. Whoever may change policies can then run anything as root on the machines that they cover.')
param guestScripts bool = false

@description('A container that restores may write disk images to.')
type restoreContainerType = {
  @description('The storage account, by resource id.')
  accountId: string

  @description('The container in it.')
  container: string
}

@description('Containers that restores may write disk images (page blobs) to.')
param restoreContainers restoreContainerType[] = []

// ---- Where the app runs

@description('The plan of the function app, and how large it may become.')
param hosting hostingType = { plan: 'flexConsumption', maximumInstances: 40, instanceMemoryMB: 2048, premiumSize: 'EP1', premiumInstances: 1 }

@description('Version of Node.')
param nodeVersion ('22' | '24') = '22'

@description('What keeps the state of orchestrations: the task hub\'s storage account, or a Durable Task Scheduler. Nothing moves from one to the other.')
param durableBackend ('storage' | 'taskScheduler') = 'storage'

@description('Threads of one transfer, 0 to 16; -1 for one a processor.')
@minValue(-1)
@maxValue(16)
param transferThreads int = -1

// ---- When the app does what (NCRONTAB with seconds, UTC)

@description('When it does what.')
type timesType = {
  @description('When it looks for slots of policies that are due.')
  scheduler: string

  @description('When it closes runs whose orchestration is gone.')
  reconcile: string

  @description('When it sweeps the subscriptions for snapshots that nobody needs.')
  sweep: string

  @description('When it maintains the vault: locks, retention, collection.')
  maintain: string

  @description('When it reads a share of the vault and proves it.')
  scrub: string

  @description('When it looks at the vault and measures how old recovery points are.')
  look: string

  @description('When it looks for notifications that nobody tells.')
  notify: string
}

@description('When the app does what.')
param times timesType = {
  scheduler: '0 * * * * *'
  reconcile: '0 7 * * * *'
  sweep: '0 37 3 * * *'
  maintain: '0 17 4 * * *'
  scrub: '0 47 1 * * *'
  look: '0 22 * * * *'
  notify: '30 * * * * *'
}

@description('Days of one round of proof through the whole vault. Reading from cool and cold tiers is paid for by the GB: with tiering, take 180 or more.')
@minValue(1)
@maxValue(366)
param scrubDays int = 30

// ---- The vault

@description('How many copies Azure keeps of the vault, and where.')
param vaultRedundancy ('Standard_LRS' | 'Standard_ZRS' | 'Standard_GRS' | 'Standard_RAGRS' | 'Standard_GZRS' | 'Standard_RAGZRS') = 'Standard_ZRS'

@description('Days for which what was deleted in the vault can be brought back.')
@minValue(7)
@maxValue(365)
param vaultSoftDeleteDays int = 14

@description('Time-based immutability of the vault: none, unlocked (to try it), or locked, which cannot be undone. Whether there is any is decided when the vault is made.')
param vaultImmutability immutabilityType = 'none'

@description('For how many days ahead what recovery points need is held, where the vault is immutable.')
@minValue(1)
@maxValue(3650)
param vaultLockDays int = 30

@description('When data packs are moved to cooler tiers; null for never.')
param vaultTiering tieringType?

@description('Whether locks keep the vault and its key from being deleted. They have to be taken away by hand before either can go.')
param deleteLocks bool = true

@description('standard keeps the key in software, premium in a hardware security module.')
param keyVaultSku ('standard' | 'premium') = 'standard'

@description('Size of the key that wraps the vault\'s master key, in bits.')
param keyBits (3072 | 4096) = 3072

// ---- Network

@description('Whether vault, key and task hub are reached through private endpoints alone, from a network that is made for it.')
param privateEndpoints bool = false

@description('Address space of that network, a /24 or larger.')
param networkAddressPrefix string = '10.84.0.0/24'

@description('Whether the app itself can be reached from the internet. Where not, it is deployed and used from within the network alone.')
param appPublicNetworkAccess bool = true

@description('Whether there is a disk access, with its private endpoint, for disks and snapshots that are closed to the internet. It takes privateEndpoints.')
param diskAccess bool = false

// ---- Telemetry and cost

@description('Days for which telemetry is kept.')
@minValue(30)
@maxValue(730)
param telemetryDays int = 90

@description('Of a hundred requests to Azure that succeeded, how many are kept in traces. What failed is kept always.')
@minValue(0)
@maxValue(100)
param traceCallsPercent int = 5

@description('GB of telemetry a day at which the workspace stops taking in more; -1 for no limit.')
@minValue(-1)
param telemetryDailyQuotaGb int = 5

@description('Amount a month at which the budget warns, in the currency of the subscription\'s bill; 0 for no budget.')
@minValue(0)
param budgetMonthlyAmount int = 0

@description('First day of the month that the budget begins with, as 2026-12-01: the month of the first deployment, and the same ever after.')
param budgetStartDate string = utcNow('yyyy-MM-01')

@description('Address of docs/troubleshooting.md as your people reach it, for the links beside failures in the workbook; empty for none.')
param documentationUrl string = ''

@description('When somebody is told: snapshots left behind, days within which every item should have been proved, and GiB in the vault (0 for no limit).')
param alertLimits { orphans: int, provedWithinDays: int, storedGiB: int } = { orphans: 20, provedWithinDays: 45, storedGiB: 0 }

// ---- Names: each fits its limit because environmentName does.

var tags = { application: 'holdfast', 'azd-env-name': environmentName }
var token = uniqueString(subscription().id, environmentName, location)
var compactName = toLower(replace(environmentName, '-', ''))
var vaultAccountName = take('${compactName}vault${token}', 24)
var vaultContainerName = 'vault'
var keyVaultName = take('kv-${environmentName}-${token}', 24)
var keyName = 'vault'
var publicNetworkAccess = privateEndpoints ? 'Disabled' : 'Enabled'

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

// ---- The identities, and where everything lies

module identities 'modules/identities.bicep' = {
  scope: group
  params: { namePrefix: 'id-${environmentName}', location: location, tags: tags }
}

module telemetry 'modules/telemetry.bicep' = {
  scope: group
  params: {
    name: 'log-${environmentName}-${token}'
    location: location
    tags: tags
    retentionDays: telemetryDays
    dailyQuotaGb: telemetryDailyQuotaGb
    publisherPrincipalId: identities.outputs.host.principalId
  }
}

module taskHub 'modules/task-hub-storage.bicep' = {
  scope: group
  params: {
    name: take('${compactName}hub${token}', 24)
    location: location
    tags: tags
    publicNetworkAccess: publicNetworkAccess
    hostPrincipalId: identities.outputs.host.principalId
  }
}

module taskScheduler 'modules/task-scheduler.bicep' = if (durableBackend == 'taskScheduler') {
  scope: group
  params: {
    name: 'dts-${environmentName}-${token}'
    location: location
    tags: tags
    hostPrincipalId: identities.outputs.host.principalId
  }
}

module vault 'modules/vault-storage.bicep' = {
  scope: group
  params: {
    name: vaultAccountName
    containerName: vaultContainerName
    location: location
    tags: tags
    redundancy: vaultRedundancy
    publicNetworkAccess: publicNetworkAccess
    softDeleteDays: vaultSoftDeleteDays
    immutability: vaultImmutability
    lockDays: vaultLockDays
    tiering: vaultTiering
    deleteLock: deleteLocks
  }
}

module keyVault 'modules/key-vault.bicep' = {
  scope: group
  params: {
    name: keyVaultName
    keyName: keyName
    location: location
    tags: tags
    sku: keyVaultSku
    keyBits: keyBits
    publicNetworkAccess: publicNetworkAccess
    deleteLock: deleteLocks
  }
}

// ---- Who may do what

module vaultRoles 'modules/vault-roles.bicep' = {
  scope: group
  params: {
    roleSuffix: '${environmentName}-${token}'
    accountName: vaultAccountName
    containerName: vaultContainerName
    keyVaultName: keyVaultName
    keyName: keyName
    immutability: vaultImmutability
    backupPrincipalId: identities.outputs.backup.principalId
    maintenancePrincipalId: identities.outputs.maintenance.principalId
    restorePrincipalId: identities.outputs.restore.principalId
    administratorObjectId: administratorObjectId
    administratorType: administratorType
  }
  dependsOn: [vault, keyVault]
}

module machineRoles 'modules/machine-roles.bicep' = [for subscriptionId in protectedSubscriptionIds: {
  scope: subscription(subscriptionId)
  params: {
    roleSuffix: '${environmentName}-${token}-${take(subscriptionId, 8)}'
    backupPrincipalId: identities.outputs.backup.principalId
    restorePrincipalId: identities.outputs.restore.principalId
    guestScripts: guestScripts
    unmanagedDisks: !empty(unmanagedDiskAccountIds)
  }
}]

module unmanagedDiskAccess 'modules/blob-access.bicep' = [for accountId in unmanagedDiskAccountIds: {
  scope: resourceGroup(split(accountId, '/')[2], split(accountId, '/')[4])
  params: {
    roleSuffix: '${environmentName}-${token}'
    accountName: last(split(accountId, '/'))
    duty: 'backup'
    principalId: identities.outputs.backup.principalId
  }
}]

module restoreContainerAccess 'modules/blob-access.bicep' = [for target in restoreContainers: {
  scope: resourceGroup(split(target.accountId, '/')[2], split(target.accountId, '/')[4])
  params: {
    roleSuffix: '${environmentName}-${token}-${target.container}'
    accountName: last(split(target.accountId, '/'))
    containerName: target.container
    duty: 'restore'
    principalId: identities.outputs.restore.principalId
  }
}]

// ---- Network

module network 'modules/network.bicep' = if (privateEndpoints) {
  scope: group
  params: {
    name: 'vnet-${environmentName}'
    location: location
    tags: tags
    addressPrefix: networkAddressPrefix
    isFlex: hosting.plan == 'flexConsumption'
  }
}

module disks 'modules/disk-access.bicep' = if (privateEndpoints && diskAccess) {
  scope: group
  params: { name: 'disks-${environmentName}', location: location, tags: tags }
}

module endpoints 'modules/private-endpoints.bicep' = if (privateEndpoints) {
  scope: group
  params: {
    namePrefix: 'pe-${environmentName}'
    location: location
    tags: tags
    subnetId: network!.outputs.endpointsSubnetId
    zoneIds: network!.outputs.zoneIds
    endpoints: concat(
      [
        { name: 'vault', service: 'blob', zone: 'blob' }
        { name: 'key', service: 'vault', zone: 'vault' }
        { name: 'hub-blob', service: 'blob', zone: 'blob' }
        { name: 'hub-queue', service: 'queue', zone: 'queue' }
        { name: 'hub-table', service: 'table', zone: 'table' }
        { name: 'app', service: 'sites', zone: 'sites' }
      ],
      diskAccess ? [{ name: 'disks', service: 'disks', zone: 'blob' }] : []
    )
    targetIds: {
      vault: vault.outputs.id
      key: keyVault.outputs.id
      'hub-blob': taskHub.outputs.id
      'hub-queue': taskHub.outputs.id
      'hub-table': taskHub.outputs.id
      app: app.outputs.id
      disks: disks.?outputs.id ?? ''
    }
  }
}

// ---- The app

module app 'modules/function-app.bicep' = {
  scope: group
  params: {
    name: 'func-${environmentName}-${token}'
    planName: 'plan-${environmentName}'
    location: location
    tags: tags
    hosting: hosting
    nodeVersion: nodeVersion
    hostIdentity: identities.outputs.host
    dutyIdentityIds: [identities.outputs.backup.id, identities.outputs.maintenance.id, identities.outputs.restore.id]
    taskHubEndpoints: taskHub.outputs.endpoints
    packageContainerUrl: taskHub.outputs.packageContainerUrl
    appInsightsConnectionString: telemetry.outputs.connectionString
    taskScheduler: durableBackend == 'taskScheduler' ? { endpoint: taskScheduler!.outputs.endpoint, hubName: taskScheduler!.outputs.hubName } : null
    signIn: empty(signInClientId) ? null : { clientId: signInClientId, tenantId: signInTenantId, authority: environment().authentication.loginEndpoint }
    subnetId: network.?outputs.appSubnetId ?? ''
    publicNetworkAccess: appPublicNetworkAccess ? 'Enabled' : 'Disabled'
    settings: {
      HOLDFAST_VAULT: vault.outputs.containerUrl
      HOLDFAST_KEY_VAULT: keyVault.outputs.keyUri
      HOLDFAST_LOCK_DAYS: vaultImmutability == 'none' ? '' : string(vaultLockDays)
      AZURE_SUBSCRIPTION_IDS: join(protectedSubscriptionIds, ',')
      HOLDFAST_ARM_ENDPOINT: environment().resourceManager
      HOLDFAST_AZURE_CREDENTIAL: 'managed-identity:${identities.outputs.backup.clientId}'
      HOLDFAST_MAINTENANCE_CREDENTIAL: 'managed-identity:${identities.outputs.maintenance.clientId}'
      HOLDFAST_RESTORE_CREDENTIAL: 'managed-identity:${identities.outputs.restore.clientId}'
      HOLDFAST_TRANSFER_THREADS: transferThreads == -1 ? '' : string(transferThreads)
      HOLDFAST_RESTORE_CONTAINERS: join(map(restoreContainers, one => 'https://${last(split(one.accountId, '/'))}.blob.${environment().suffixes.storage}/${one.container}'), ',')
      HOLDFAST_SCHEDULER_CRON: times.scheduler
      HOLDFAST_RECONCILE_CRON: times.reconcile
      HOLDFAST_SWEEP_CRON: times.sweep
      HOLDFAST_MAINTAIN_CRON: times.maintain
      HOLDFAST_SCRUB_CRON: times.scrub
      HOLDFAST_SCRUB_DAYS: string(scrubDays)
      HOLDFAST_LOOK_CRON: times.look
      HOLDFAST_NOTIFY_CRON: times.notify
      HOLDFAST_WEBHOOK_SECRETS: empty(webhookSigningUri) ? '' : '@Microsoft.KeyVault(SecretUri=${webhookSigningUri})'
      HOLDFAST_TRACE_CALLS_PERCENT: string(traceCallsPercent)
      HOLDFAST_AUTH: empty(signInClientId) ? '' : 'platform'
      HOLDFAST_AUTH_TENANT: empty(signInClientId) ? '' : signInTenantId
      HOLDFAST_AUTH_CLIENT_ID: signInClientId
      HOLDFAST_AUTH_AUTHORITY: environment().authentication.loginEndpoint
      HOLDFAST_REQUESTS_PER_MINUTE: string(requestsPerMinute)
    }
  }
}

// ---- Cost

module budget 'modules/budget.bicep' = if (budgetMonthlyAmount > 0) {
  scope: group
  params: { monthlyAmount: max(budgetMonthlyAmount, 1), startDate: budgetStartDate, emails: alertEmails }
}

// ---- What wakes somebody

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    workspaceId: telemetry.outputs.workspaceId
    emails: alertEmails
    documentationUrl: documentationUrl
    orphansLimit: alertLimits.orphans
    provedWithinDays: alertLimits.provedWithinDays
    storedGiBLimit: alertLimits.storedGiB
  }
}

// ---- What to do next takes these (README.md); azd keeps them in its environment.

@description('The resource group that holds everything.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Name of the function app.')
output HOLDFAST_APP_NAME string = app.outputs.name

@description('Where the HTTP API is.')
output HOLDFAST_URL string = app.outputs.url

@description('The app registration that people and programs sign in to, as the command line takes it; empty where there is none.')
output HOLDFAST_AUTH_CLIENT_ID string = signInClientId

@description('Its tenant, likewise.')
output HOLDFAST_AUTH_TENANT string = empty(signInClientId) ? '' : signInTenantId

@description('Address of the vault, as the command line takes it.')
output HOLDFAST_VAULT string = vault.outputs.containerUrl

@description('Id of the key in Key Vault, as the command line takes it.')
output HOLDFAST_KEY_VAULT string = keyVault.outputs.keyUri

@description('Where telemetry is: the Application Insights component.')
output HOLDFAST_APP_INSIGHTS_ID string = telemetry.outputs.appInsightsId

@description('Where the app\'s package is deployed to; Premium takes it as holdfast.zip.')
output HOLDFAST_PACKAGE_CONTAINER string = taskHub.outputs.packageContainerUrl

@description('The disk access, for disks that are closed to the internet; empty where there is none.')
output HOLDFAST_DISK_ACCESS_ID string = disks.?outputs.id ?? ''
