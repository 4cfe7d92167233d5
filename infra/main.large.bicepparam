// A large estate: hundreds of machines in several subscriptions, recovery points that are kept for years, a vault that nobody can
// delete, everything behind private endpoints. A pattern to copy: the ids are examples.
using './main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'holdfast-lg')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param alertEmails = [readEnvironmentVariable('HOLDFAST_ALERT_EMAIL', 'oncall@example.com')]
param administratorObjectId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '11111111-1111-1111-1111-111111111111')
param administratorType = 'Group'
param signInClientId = readEnvironmentVariable('HOLDFAST_AUTH_CLIENT_ID', '44444444-4444-4444-4444-444444444444')
param signInTenantId = readEnvironmentVariable('HOLDFAST_AUTH_TENANT', '55555555-5555-5555-5555-555555555555')

param protectedSubscriptionIds = [
  '22222222-2222-2222-2222-222222222222'
  '33333333-3333-3333-3333-333333333333'
]
param unmanagedDiskAccountIds = [
  '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/legacy/providers/Microsoft.Storage/storageAccounts/legacyvhds'
]
param guestScripts = true
param restoreContainers = [
  {
    accountId: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/restores/providers/Microsoft.Storage/storageAccounts/acmerestores'
    container: 'restored'
  }
]

param hosting = {
  plan: 'flexConsumption'
  maximumInstances: 200
  instanceMemoryMB: 4096
  premiumSize: 'EP1'
  premiumInstances: 1
}
param durableBackend = 'taskScheduler'
param scrubDays = 180

param vaultRedundancy = 'Standard_GZRS'
param vaultSoftDeleteDays = 30
param vaultImmutability = 'unlocked' // Tried unlocked first; 'locked' in a second deployment, which cannot be undone (docs/worm.md).
param vaultLockDays = 30
param vaultTiering = { keepWithinDays: 35, daysInCool: 90 }
param keyVaultSku = 'premium'
param keyBits = 4096

param privateEndpoints = true
param appPublicNetworkAccess = false
param diskAccess = true

param telemetryDailyQuotaGb = 20
param budgetMonthlyAmount = 2000
param budgetStartDate = readEnvironmentVariable('HOLDFAST_BUDGET_START', '2026-12-01')
