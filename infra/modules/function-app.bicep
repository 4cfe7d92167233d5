// The app: one function app on Flex Consumption or Premium, with an identity for each duty and no secret in its settings.

import { identityType } from './identities.bicep'
import { taskHubEndpointsType } from './task-hub-storage.bicep'

@description('Name of the app: letters, digits and hyphens.')
@minLength(2)
@maxLength(60)
param name string

@description('Name of its plan.')
@maxLength(60)
param planName string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Where the app runs.')
@export()
type hostingType = {
  @description('Flex Consumption: nothing is paid for between backups. Premium: instances that are always there.')
  plan: 'flexConsumption' | 'premium'

  @description('Most instances at once. A region has 250 cores for all Flex apps of a subscription; Premium takes 100 instances at most.')
  @minValue(1)
  @maxValue(1000)
  maximumInstances: int

  @description('Flex: memory of an instance in MB; 512 come with a quarter of a core, 2048 with one, 4096 with two.')
  instanceMemoryMB: 512 | 2048 | 4096

  @description('Premium: size of an instance, with one, two or four cores.')
  premiumSize: 'EP1' | 'EP2' | 'EP3'

  @description('Premium: instances that are always there.')
  @minValue(1)
  @maxValue(20)
  premiumInstances: int
}

@description('Where the app runs.')
param hosting hostingType

@description('Version of Node.')
param nodeVersion ('22' | '24')

@description('What the Functions host uses: task hub, package, telemetry.')
param hostIdentity identityType

@description('What the app shows for its duties.')
param dutyIdentityIds string[]

@description('Where the task hub is.')
param taskHubEndpoints taskHubEndpointsType

@description('Where the package is deployed to.')
param packageContainerUrl string

@description('Where telemetry is sent to.')
param appInsightsConnectionString string

@description('The Durable Task Scheduler that keeps the state of orchestrations; null to keep it in the task hub\'s storage account.')
param taskScheduler taskSchedulerType?

@description('A Durable Task Scheduler.')
@export()
type taskSchedulerType = {
  @description('Its address.')
  endpoint: string

  @description('Name of the task hub.')
  hubName: string
}

@description('The app\'s own settings, each as docs/settings.md has it.')
param settings object

@description('How callers sign in, or null for nobody: the app registration in Entra ID.')
param signIn signInType?

@description('An app registration in Entra ID.')
@export()
type signInType = {
  @description('Its application (client) id.')
  clientId: string

  @description('Its tenant.')
  tenantId: string

  @description('Address of Entra ID, with a slash at its end.')
  authority: string
}

@description('The subnet that the app\'s calls leave from; empty for none.')
param subnetId string

@description('Whether the app can be reached from the internet, or by its private endpoint alone.')
param publicNetworkAccess ('Enabled' | 'Disabled')

var isFlex = hosting.plan == 'flexConsumption'

var flex = !isFlex ? null : {
  deployment: {
    storage: {
      type: 'blobContainer'
      value: packageContainerUrl
      authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: hostIdentity.id }
    }
  }
  runtime: { name: 'node', version: nodeVersion }
  scaleAndConcurrency: { instanceMemoryMB: hosting.instanceMemoryMB, maximumInstanceCount: hosting.maximumInstances }
}

// What the Functions host reads. Nothing here is a secret: everything is reached with an identity.
var hostSettings = {
  // The page of the app at the root is the portal, and not the host's own.
  AzureWebJobsDisableHomepage: 'true'
  AzureWebJobsStorage__blobServiceUri: taskHubEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: taskHubEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: taskHubEndpoints.table
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: hostIdentity.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: appInsightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${hostIdentity.clientId};Authorization=AAD'
}

// Flex has these among its own properties. The package is read from its container, since a share of files would take an account key.
var premiumSettings = isFlex ? {} : {
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'node'
  WEBSITE_RUN_FROM_PACKAGE: '${packageContainerUrl}/holdfast.zip'
  WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID: hostIdentity.id
}

// They come before what host.json says (host.json reference, "Override host.json values").
var schedulerSettings = taskScheduler == null ? {} : {
  DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${taskScheduler!.endpoint};Authentication=ManagedIdentity;ClientID=${hostIdentity.clientId}'
  AzureFunctionsJobHost__extensions__durableTask__hubName: taskScheduler!.hubName
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: isFlex ? 'functionapp' : 'elastic'
  sku: isFlex ? { name: 'FC1', tier: 'FlexConsumption' } : { name: hosting.premiumSize, tier: 'ElasticPremium', capacity: hosting.premiumInstances }
  properties: union({ reserved: true }, isFlex ? {} : { maximumElasticWorkerCount: hosting.maximumInstances })
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: toObject(concat([hostIdentity.id], dutyIdentityIds), id => id, id => {})
  }
  properties: {
    serverFarmId: plan.id
    // Who reads settings that are references to secrets.
    keyVaultReferenceIdentity: hostIdentity.id
    httpsOnly: true
    publicNetworkAccess: publicNetworkAccess
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: flex
    siteConfig: union(
      {
        minTlsVersion: '1.2'
        scmMinTlsVersion: '1.2'
        http20Enabled: true
        appSettings: map(items(union(hostSettings, premiumSettings, schedulerSettings, settings)), one => { name: one.key, value: one.value })
      },
      isFlex ? {} : { linuxFxVersion: 'NODE|${nodeVersion}', ftpsState: 'Disabled', vnetRouteAllEnabled: !empty(subnetId) }
    )
  }

  // The platform asks for a sign-in before anything gets to the app: browsers are sent to it, and whoever brings an access token has it checked here and once more by the app. No path is left out, no token is
  // stored, and no secret is needed: the ID token comes with the redirect. While this is off, the app takes nobody's word for who they are.
  resource authentication 'config' = {
    name: 'authsettingsV2'
    properties: {
      platform: { enabled: signIn != null }
      globalValidation: { requireAuthentication: true, unauthenticatedClientAction: 'RedirectToLoginPage', redirectToProvider: 'azureactivedirectory', excludedPaths: [] }
      httpSettings: { requireHttps: true }
      identityProviders: signIn == null ? {} : {
        azureActiveDirectory: {
          enabled: true
          registration: { clientId: signIn!.clientId, openIdIssuer: '${signIn!.authority}${signIn!.tenantId}/v2.0' }
          validation: { allowedAudiences: [signIn!.clientId, 'api://${signIn!.clientId}'] }
        }
      }
      login: {
        tokenStore: { enabled: false }
        nonce: { validateNonce: true }
        preserveUrlFragmentsForLogins: true
        cookieExpiration: { convention: 'FixedTime', timeToExpiration: '08:00:00' }
      }
    }
  }

  // Deployments sign in with Entra ID; user names and passwords are off.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

@description('Resource id of the app.')
output id string = app.id

@description('Name of the app.')
output name string = app.name

@description('Where its HTTP API is.')
output url string = 'https://${app.properties.defaultHostName}'
