// A small estate: some dozen machines in one subscription. `azd up` takes this file and fills in its environment.
using './main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'holdfast')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param alertEmails = [readEnvironmentVariable('HOLDFAST_ALERT_EMAIL', 'oncall@example.com')]
param administratorObjectId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param signInClientId = readEnvironmentVariable('HOLDFAST_AUTH_CLIENT_ID', '')
param protectedSubscriptionIds = [readEnvironmentVariable('AZURE_SUBSCRIPTION_ID', '00000000-0000-0000-0000-000000000000')]
