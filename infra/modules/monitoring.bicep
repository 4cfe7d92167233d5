// What a person on call sees: a workbook, and the rules that wake somebody. Every query is a file in queries/, which the tests hold to what the app really emits.

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the Log Analytics workspace that telemetry goes to.')
param workspaceId string

@description('Who is told.')
@minLength(1)
param emails string[]

@description('Address of docs/troubleshooting.md as your people reach it, for the links beside failures; empty for none.')
param documentationUrl string

@description('Snapshots and disks left behind, above which somebody is told.')
@minValue(0)
param orphansLimit int

@description('Days within which every item should have been proved by reading it back.')
@minValue(1)
param provedWithinDays int

@description('GiB in the vault above which somebody is told; 0 for no limit.')
@minValue(0)
param storedGiBLimit int

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'holdfast-on-call'
  location: 'Global'
  tags: tags
  properties: {
    groupShortName: 'holdfast'
    enabled: true
    emailReceivers: [for (email, index) in emails: { name: 'on-call-${index}', emailAddress: email, useCommonAlertSchema: true }]
  }
}

@description('One alert rule. `column` and `threshold` for a value that must not be above it; without them any row is one too many. Severity 0 is the worst.')
type rule = {
  @description('Its name in docs/monitoring.md.')
  name: string

  @description('The subject of the e-mail.')
  title: string

  @description('What it means.')
  text: string

  @description('The query, in KQL.')
  query: string

  @description('0 is the worst.')
  severity: 0 | 1 | 2 | 3

  @description('How often it is looked at, as an ISO 8601 duration.')
  every: string

  @description('How far back it looks.')
  window: string

  @description('The column of the query with the value.')
  column: string?

  @description('The value above which it fires.')
  threshold: int?

  @description('Fires when there is no row.')
  whenSilent: bool?
}

var rules rule[] = concat([
  { name: 'item-overdue', title: 'Holdfast: an item is overdue', text: 'The newest recovery point of an item is older than its policy wants.', query: loadTextContent('../queries/alert-item-overdue.kql'), severity: 1, every: 'PT1H', window: 'PT2H' }
  { name: 'silent', title: 'Holdfast: nothing was heard', text: 'The hourly look at the vault did not come to an end for three hours: the app does not run, cannot open its vault, or cannot send telemetry.', query: loadTextContent('../queries/alert-silent.kql'), severity: 1, every: 'PT30M', window: 'PT3H', whenSilent: true }
  { name: 'job-failed-twice', title: 'Holdfast: backups of an item failed twice', text: 'The last two backups of an item failed.', query: loadTextContent('../queries/alert-job-failed-twice.kql'), severity: 2, every: 'PT1H', window: 'P2D' }
  { name: 'orphans', title: 'Holdfast: snapshots were left behind', text: 'The sweep found more left behind than is usual.', query: loadTextContent('../queries/alert-orphans.kql'), severity: 3, every: 'PT6H', window: 'P2D', column: 'orphans', threshold: orphansLimit }
  { name: 'collection-refused', title: 'Holdfast: collection was refused', text: 'The maintenance deleted nothing, because it is not certain what is needed, or because its plan waits for a person.', query: loadTextContent('../queries/alert-collection-refused.kql'), severity: 2, every: 'PT6H', window: 'P1D' }
  { name: 'key-failed', title: 'Holdfast: the key of the vault failed', text: 'The key could not be had, or does not open the vault. Without it nothing can be restored.', query: loadTextContent('../queries/alert-key-failed.kql'), severity: 0, every: 'PT15M', window: 'PT2H' }
  { name: 'not-proved', title: 'Holdfast: an item was not proved', text: 'No recovery point of an item was read back and proved for too long.', query: loadTextContent('../queries/alert-not-proved.kql'), severity: 2, every: 'PT6H', window: 'P1D', column: 'days', threshold: provedWithinDays }
  { name: 'damage', title: 'Holdfast: damage was found', text: 'A scrub read something back that is not what was stored.', query: loadTextContent('../queries/alert-damage.kql'), severity: 1, every: 'PT1H', window: 'P1D' }
  { name: 'notification-dead', title: 'Holdfast: somebody could not be told', text: 'A webhook did not take a notification for most of a day, or says that it is gone.', query: loadTextContent('../queries/alert-notification-dead.kql'), severity: 2, every: 'PT1H', window: 'P1D' }
], storedGiBLimit == 0 ? [] : [
  { name: 'spending', title: 'Holdfast: the vault has grown', text: 'The vault holds more than was planned.', query: loadTextContent('../queries/alert-spending.kql'), severity: 3, every: 'PT6H', window: 'P2D', column: 'gibibytes', threshold: storedGiBLimit }
])

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for one in rules: {
  name: 'holdfast-${one.name}'
  location: location
  tags: tags
  properties: {
    displayName: one.title
    description: '${one.text} What to do: docs/monitoring.md, "${one.name}".'
    enabled: true
    severity: one.severity
    scopes: [workspaceId]
    targetResourceTypes: ['Microsoft.OperationalInsights/workspaces']
    evaluationFrequency: one.every
    windowSize: one.window
    autoMitigate: true
    // Right after a deployment the tables of the app may not be there yet.
    skipQueryValidation: true
    criteria: {
      allOf: [
        union({
            query: one.query
            operator: one.?whenSilent ?? false ? 'LessThan' : 'GreaterThan'
            threshold: one.?whenSilent ?? false ? 1 : one.?threshold ?? 0
            timeAggregation: one.?column == null ? 'Count' : 'Maximum'
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }, one.?column == null ? {} : { metricMeasureColumn: one.?column ?? '' })
      ]
    }
    actions: { actionGroups: [people.id] }
  }
}]

// The workbook's file names its queries; here each name becomes the query itself.
var queries = {
  'fleet-health': loadTextContent('../queries/fleet-health.kql')
  'recovery-point-age': loadTextContent('../queries/recovery-point-age.kql')
  failures: loadTextContent('../queries/failures.kql')
  'change-and-growth': loadTextContent('../queries/change-and-growth.kql')
  'vault-size': loadTextContent('../queries/vault-size.kql')
  cost: loadTextContent('../queries/cost.kql')
  'cost-by-part': loadTextContent('../queries/cost-by-part.kql')
  throughput: loadTextContent('../queries/throughput.kql')
  throttling: loadTextContent('../queries/throttling.kql')
  'slow-requests': loadTextContent('../queries/slow-requests.kql')
}
var content = loadJsonContent('../workbook/workbook.json')
var items = map(content.items, one => one.type == 3 ? union(one, { content: union(one.content, { query: queries[one.content.query], queryType: 0, resourceType: 'microsoft.operationalinsights/workspaces', timeContextFromParameter: 'TimeRange' }) }) : one)

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'holdfast')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Holdfast'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: replace(string(union(content, { items: items, fallbackResourceIds: [workspaceId] })), '@documentation', documentationUrl)
  }
}

@description('Resource id of the workbook.')
output workbookId string = workbook.id
