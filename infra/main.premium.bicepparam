// The small estate on Elastic Premium: instances that are always there, for networks or backups that cannot wait for one to start.
using './main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'holdfast-pr')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param alertEmails = [readEnvironmentVariable('HOLDFAST_ALERT_EMAIL', 'oncall@example.com')]
param administratorObjectId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param signInClientId = readEnvironmentVariable('HOLDFAST_AUTH_CLIENT_ID', '')
param protectedSubscriptionIds = [readEnvironmentVariable('AZURE_SUBSCRIPTION_ID', '00000000-0000-0000-0000-000000000000')]

param hosting = {
  plan: 'premium'
  maximumInstances: 10
  instanceMemoryMB: 2048
  premiumSize: 'EP2'
  premiumInstances: 1
}
