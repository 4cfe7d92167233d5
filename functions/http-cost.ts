import type { HttpHandler, HttpRequest } from '@azure/functions';
import { costForecast, type CostOptions, costReport } from '../activities/cost';
import { loadPrices, savePrices } from '../activities/price-store';
import { HoldfastError } from '../errors/holdfast-error';
import { parsePricesText, REDUNDANCIES, type Redundancy } from '../policy/cost/prices';
import { policyFor } from '../policy/select';
import { itemIdOfResource } from '../policy/item-id';
import { expectedRevision, policyInBody } from './http-policies';
import { json, readBody } from './problem';
import type { Services } from './services';

function optionsOf(request: HttpRequest, services: Services): CostOptions {
  const asked = request.query.get('redundancy');
  const redundancy = REDUNDANCIES.find((known) => known === asked);
  if (asked !== null && redundancy === undefined) throw new HoldfastError('REQUEST_INVALID', `redundancy is one of ${REDUNDANCIES.join(', ')}; it is ${JSON.stringify(asked.slice(0, 40))}`);
  return { scrubDays: services.scrubs.days, ...(redundancy ? { redundancy } satisfies { redundancy: Redundancy } : {}) };
}

/** What the vault costs in a month, with the same under Azure Backup beside it. `?redundancy=` asks for another than the prices say. */
export const getCost = (services: Services): HttpHandler => async (request) => {
  const options = optionsOf(request, services);
  const vault = await services.deps.vault();
  return json(await costReport(vault, (await loadPrices(vault.store)).prices, services.deps.nowMs(), options));
};

/** What the policy in the body would come to over a year, for the machines that it selects. Nothing is stored. */
export const forecastPolicy = (services: Services): HttpHandler => async (request) => {
  const options = optionsOf(request, services);
  const document = await policyInBody(request);
  const vault = await services.deps.vault();
  const vms = await services.deps.cloud.listVms();
  const items = vms.filter((vm) => policyFor(vm, [document]).length > 0).map(({ id }) => ({ itemId: itemIdOfResource(id), sizeBytes: null }));
  return json(await costForecast(vault, document, items, (await loadPrices(vault.store)).prices, services.deps.nowMs(), options));
};

export const getPrices = ({ deps }: Services): HttpHandler => async () => {
  const { prices, revision } = await loadPrices((await deps.vault()).store);
  return json({ ...prices, revision }, { headers: { etag: `"${revision}"` } });
};

/** Stores prices, in force from then on. With If-Match only over the revision that it names. */
export const putPrices = ({ deps }: Services): HttpHandler => async (request) => {
  const prices = parsePricesText(await readBody(request), 'The body');
  const revision = await savePrices((await deps.vault()).store, prices, expectedRevision(request.headers));
  return json({ ...prices, revision }, { status: revision === 1 ? 201 : 200, headers: { etag: `"${revision}"` } });
};
