import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../errors/holdfast-error';
import { parsePricesText, type Prices } from '../policy/cost/prices';
import type { Store } from '../vault/store/store';
import { latestRevision, saveRevision } from './revisions';

const FOLDER = 'prices/';
/** What comes along with the app: at the root, beside host.json, two folders above the compiled code. */
const SHIPPED = join(__dirname, '..', '..', 'prices.json');

export interface StoredPrices {
  readonly prices: Prices;
  /** 0: those that come along, which nobody replaced. */
  readonly revision: number;
}

/** The prices in force: the newest in the vault, else those that come along. Throws PRICES_INVALID. */
export async function loadPrices(store: Store): Promise<StoredPrices> {
  const latest = await latestRevision(store, FOLDER);
  if (latest) return { prices: parsePricesText(latest.text, `Revision ${latest.revision} of the prices in the vault`), revision: latest.revision };
  return { prices: parsePricesText(await readFile(SHIPPED, 'utf8'), 'prices.json'), revision: 0 };
}

/** Stores prices. `expected` is the revision that the change was based on; null for any. Throws PRICES_CHANGED. */
export async function savePrices(store: Store, prices: Prices, expected: number | null): Promise<number> {
  return saveRevision(store, FOLDER, prices, expected, (current) =>
    new HoldfastError('PRICES_CHANGED', `The prices are no longer at revision ${expected ?? current}`, { data: { revision: current } }));
}
