import { z } from 'zod';
import { overview } from '../activities/overview';
import { itemHistory, listServers, vaultHistory, vaultView } from '../activities/vault-view';
import { findItem } from './http-items';
import { listOf, pageFrom, pageQuery } from './paging';
import { json } from './problem';
import { pathId, route } from './route';
import { historySchema, itemHistorySchema, overviewSchema, serverSchema, vaultSchema } from './schemas/fleet';
import type { Services } from './services';

const optionsOf = ({ deps, scrubs }: Services) => ({ nowMs: deps.nowMs(), scrubDays: scrubs.days });

const MAX_DAYS = 366;
const daysQuery = z.strictObject({
  days: z.string().regex(/^[1-9][0-9]{0,2}$/, `expects a number from 1 to ${MAX_DAYS}`).transform(Number).refine((days) => days <= MAX_DAYS, `expects a number from 1 to ${MAX_DAYS}`).default(30)
    .meta({ description: `Days until today, UTC: 1 to ${MAX_DAYS}` }),
});

const getOverview = route({
  id: 'getOverview', method: 'GET', path: 'overview', role: 'Reader', responses: { 200: overviewSchema },
  summary: 'How the items and the vault stand, and what needs attention and why',
  handler: async ({ services }) => json(await overview(services.fleet, optionsOf(services))),
});

const getVault = route({
  id: 'getVault', method: 'GET', path: 'vault', role: 'Reader', responses: { 200: vaultSchema },
  summary: 'What the vault holds, what it takes, and how it is looked after',
  handler: async ({ services }) => json(await vaultView(services.fleet, optionsOf(services))),
});

const getVaultHistory = route({
  id: 'getVaultHistory', method: 'GET', path: 'vault/history', role: 'Reader', query: daysQuery, responses: { 200: historySchema },
  summary: 'By day: what changed and was stored, how backups ended and how long they took; and how the vault grew',
  handler: async ({ query, services }) => json(await vaultHistory(services.fleet, services.deps.nowMs(), query.days)),
});

const getItemHistory = route({
  id: 'getItemHistory', method: 'GET', path: 'items/{item}/history', role: 'Reader', params: z.strictObject({ item: pathId }), query: daysQuery, responses: { 200: itemHistorySchema },
  summary: 'All recovery points and the late runs of an item in short, for a calendar and a time line',
  handler: async ({ params, query, services }) => json(await itemHistory(services.fleet, (await findItem(services, params.item)).id, services.deps.nowMs(), query.days)),
});

const listServersRoute = route({
  id: 'listServers', method: 'GET', path: 'servers', role: 'Reader', query: z.strictObject(pageQuery), responses: { 200: listOf('ServerList', serverSchema) },
  summary: 'What the command line backs up from outside Azure, by id',
  handler: async ({ request, query, services }) => json(await pageFrom(request, query, (await listServers(services.fleet)).servers, ({ itemId }) => itemId, (page) => page)),
});

export const fleetRoutes = [getOverview, getVault, getVaultHistory, getItemHistory, listServersRoute];
