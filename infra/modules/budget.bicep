// Says when the resource group costs more than was planned. It stops nothing.

@description('Amount a month, in the currency of the subscription\'s bill.')
@minValue(1)
param monthlyAmount int

@description('First day of the month that it begins with, as 2026-12-01. Azure takes no past month when a budget is made, and no other one later.')
@minLength(10)
@maxLength(10)
param startDate string

@description('Who is told.')
@minLength(1)
param emails string[]

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: 'holdfast'
  properties: {
    category: 'Cost'
    amount: monthlyAmount
    timeGrain: 'Monthly'
    timePeriod: { startDate: startDate }
    notifications: {
      Actual80: { enabled: true, operator: 'GreaterThanOrEqualTo', threshold: 80, thresholdType: 'Actual', contactEmails: emails }
      Actual100: { enabled: true, operator: 'GreaterThanOrEqualTo', threshold: 100, thresholdType: 'Actual', contactEmails: emails }
      Forecast100: { enabled: true, operator: 'GreaterThanOrEqualTo', threshold: 100, thresholdType: 'Forecasted', contactEmails: emails }
    }
  }
}
