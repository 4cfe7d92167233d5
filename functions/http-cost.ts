import { z } from 'zod';
import { type CostOptions, forecastOf } from '../activities/cost';
import { costAt, costItemsOf } from '../activities/overview';
import { loadPrices, savePrices } from '../activities/price-store';
import { parsePrices, pricesSchema, REDUNDANCIES, type Redundancy } from '../policy/cost/prices';
import { policyFor } from '../policy/select';
import { policyBody } from './http-policies';
import { json } from './problem';
import { expectedRevision, revised, stored } from './revisions';
import { route } from './route';
import { costForecast as costForecastSchema, costReport as costReportSchema, prices as pricesView } from './schemas/cost';
import type { Services } from './services';

const costQuery = z.strictObject({ redundancy: z.enum(REDUNDANCIES).optional().meta({ description: 'Of the storage account, in place of what the prices say' }) });

const optionsOf = (redundancy: Redundancy | undefined, services: Services): CostOptions => ({ scrubDays: services.scrubs.days, ...(redundancy ? { redundancy } : {}) });

const getCost = route({
  id: 'getCost', method: 'GET', path: 'cost', role: 'Reader', query: costQuery, responses: { 200: costReportSchema },
  summary: 'What the vault costs in a month, with the same under Azure Backup beside it',
  async handler({ query, services }) {
    const { fleet, deps } = services;
    const [prices, tiers, { items }] = [await fleet.prices(), await fleet.tiers(), await fleet.vault()];
    return json(costAt(items, prices.value, tiers.value, deps.nowMs(), optionsOf(query.redundancy, services)));
  },
});

const forecastPolicy = route({
  id: 'forecastPolicy', method: 'POST', path: 'policies/{name}/cost-forecast', role: 'Reader', query: costQuery, ...policyBody, responses: { 200: costForecastSchema },
  summary: 'What the policy in the body would come to over a year, for the machines that it selects, and when it would run next; nothing is stored',
  async handler({ query, body: document, services }) {
    const { fleet, deps } = services;
    const [machines, prices, vault] = [await fleet.coverage(), await fleet.prices(), await fleet.vault()];
    const items = [...machines.value].filter(([, { vm }]) => policyFor(vm, [document]).length > 0).map(([itemId]) => ({ itemId, sizeBytes: null }));
    return json(forecastOf(costItemsOf(vault.items), document, items, prices.value, deps.nowMs(), optionsOf(query.redundancy, services)));
  },
});

const getPrices = route({
  id: 'getPrices', method: 'GET', path: 'prices', role: 'Reader', responses: { 200: pricesView }, versioned: true,
  summary: 'The prices in force; the ETag is their revision',
  async handler({ services: { deps } }) {
    const { prices, revision } = await loadPrices((await deps.vault()).store);
    return revised({ ...prices, revision });
  },
});

const putPrices = route({
  id: 'putPrices', method: 'PUT', path: 'prices', role: 'Admin', action: 'prices.put', body: pricesSchema, parseBody: (value) => parsePrices(value, 'The body'), responses: { 200: pricesView, 201: pricesView }, versioned: true,
  summary: 'Stores prices, in force from then on; with If-Match only over the revision that it names',
  async handler({ body: prices, request, services: { deps } }) {
    const revision = await savePrices((await deps.vault()).store, prices, expectedRevision(request.headers));
    return stored({ ...prices, revision });
  },
});

export const costRoutes = [getCost, forecastPolicy, getPrices, putPrices];
