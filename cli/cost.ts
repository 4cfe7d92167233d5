import { readFile } from 'node:fs/promises';
import { type CostForecast, costForecast, costReport, type CostReport, type PriceNote } from '../activities/cost';
import { loadPrices } from '../activities/price-store';
import { HoldfastError } from '../errors/holdfast-error';
import type { Cost, CostLine } from '../policy/cost/cost';
import { parsePricesText, type Prices, REDUNDANCIES } from '../policy/cost/prices';
import { listItems } from '../vault/catalog';
import type { Store } from '../vault/store/store';
import { type AppClient, appNamed } from './app-client';
import { askedPolicy, policyInFile } from './asked-policy';
import { type CommonOptions, DEFAULT_ROUND_DAYS } from './command-options';
import { withVault } from './open-vault';
import type { Output } from './output';
import { showBytes, table } from './sizes';

export interface CostCommandOptions extends CommonOptions {
  readonly prices?: string;
  readonly redundancy?: string;
  /** The name of a policy in the vault, or a file with one: forecasts a year of it for all items of the vault. */
  readonly policy?: string;
}

/** Says what the vault costs in a month, and the same under Azure Backup; with --policy what that policy comes to over a year. */
export async function runCost(options: CostCommandOptions, out: Output): Promise<number> {
  const redundancy = REDUNDANCIES.find((known) => known === options.redundancy);
  if (options.redundancy !== undefined && redundancy === undefined) throw new HoldfastError('USAGE', `--redundancy is one of ${REDUNDANCIES.join(', ')}`);
  const app = appNamed(options);
  if (app) return costOfApp(app, options, out);
  const costOptions = { scrubDays: DEFAULT_ROUND_DAYS, ...(redundancy ? { redundancy } : {}) };
  await withVault(options, 'read', async ({ vault }) => {
    const prices = await pricesFor(vault.store, options.prices);
    const nowMs = Date.now();
    if (options.policy === undefined) {
      const report = await costReport(vault, prices, nowMs, costOptions);
      out.answer(report, () => reportLines(report));
    } else {
      const { document } = await askedPolicy(vault, options.policy);
      const items = (await listItems(vault)).map(({ itemId }) => ({ itemId, sizeBytes: null }));
      const result = await costForecast(vault, document, items, prices, nowMs, costOptions);
      out.answer(result, () => forecastLines(document.name, result));
    }
    if (!prices.checked) warnUnchecked(out);
  });
  return 0;
}

/** By the prices that the app has. A forecast is for the machines that the policy selects. */
async function costOfApp(app: AppClient, options: CostCommandOptions, out: Output): Promise<number> {
  if (options.prices !== undefined) throw new HoldfastError('USAGE', 'An app goes by its own prices (PUT /api/prices); --prices is for the vault itself (--vault)');
  const query = options.redundancy === undefined ? '' : `?redundancy=${options.redundancy}`;
  const { checked } = await app.send('GET', '/api/prices') as Prices;
  if (options.policy === undefined) {
    const report = await app.send('GET', `/api/cost${query}`) as CostReport;
    out.answer(report, () => reportLines(report));
  } else {
    const stored = (await app.all<{ name: string }>('/api/policies')).find(({ name }) => name === options.policy);
    const document = stored ? documentOf(stored) : await policyInFile(options.policy);
    const result = await app.send('POST', `/api/policies/${encodeURIComponent(document.name)}/cost-forecast${query}`, document) as CostForecast;
    out.answer(result, () => forecastLines(document.name, result));
  }
  if (!checked) warnUnchecked(out);
  return 0;
}

/** Without what the app says of it beside. */
const documentOf = (stored: { readonly name: string }): { readonly name: string } =>
  Object.fromEntries(Object.entries(stored).filter(([name]) => !['revision', 'storedAt', 'nextSlots'].includes(name))) as { name: string };

const warnUnchecked = (out: Output): void => out.warn('nobody has checked these prices', 'Put in what you pay (docs/cost-model.md), with "checked": true, and give the file with --prices.');

async function pricesFor(store: Store, file: string | undefined): Promise<Prices> {
  if (file === undefined) return (await loadPrices(store)).prices;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new HoldfastError('USAGE', `The price file ${JSON.stringify(file.slice(0, 200))} cannot be read`, { cause });
  }
  return parsePricesText(text, file);
}

const money = (amount: number): string => amount.toFixed(amount !== 0 && Math.abs(amount) < 0.1 ? 4 : 2);
const noteLine = ({ asOf, currency, region, redundancy }: PriceNote): string => `Prices of ${asOf} in ${currency}, ${region}, ${redundancy}; estimated, without taxes, discounts and what the first use is free.`;
const lineCells = ({ what, tier, quantity, unit, price, amount }: CostLine): string[] => [`  ${what}${tier ? ` (${tier})` : ''}`, `${quantity.toFixed(quantity < 10 ? 3 : 0)} ${unit}`, `× ${price}`, money(amount)];
const costTable = (title: string, cost: Cost): string[] => [`${title}: ${money(cost.total)} ${cost.currency}`, ...table(cost.lines.map(lineCells))];

const reportLines = ({ prices, cost, azureBackup, items }: CostReport): string[] => [
  ...costTable('A month of this vault', cost), '', ...costTable('The same machines under Azure Backup', azureBackup),
  ...(items.length > 0 ? ['', ...table([['ITEM', 'POINTS', 'ADDED TO THE VAULT'], ...items.map(({ itemId, recoveryPoints, storedBytes }) => [itemId, String(recoveryPoints), showBytes(storedBytes)])])] : []),
  '', noteLine(prices),
];

const forecastLines = (policy: string, { prices, items, assumed, months }: CostForecast): string[] => [
  `A year of ${policy} for ${items} item${items === 1 ? '' : 's'}, from nothing${assumed > 0 ? `; for ${assumed} of them too little was measured, so that it is assumed` : ''}.`,
  ...table([['UNTIL', 'POINTS', 'STORED', 'THE MONTH'], ...months.map(({ endsAt, recoveryPoints, storedBytes, cost }) => [endsAt.slice(0, 10), String(recoveryPoints), showBytes(storedBytes), `${money(cost.total)} ${cost.currency}`])]),
  '', noteLine(prices),
];
