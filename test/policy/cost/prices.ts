import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePricesText, type Prices } from '../../../policy/cost/prices';

export const pricesText = readFileSync(join(__dirname, '../../../../prices.json'), 'utf8');
/** Round numbers, so that sums can be done in the head. */
export const roundPrices = (): Prices => ({
  ...parsePricesText(pricesText, 'prices.json'), redundancy: 'LRS',
  storagePerGiBMonth: { LRS: { hot: 1, cool: 0.5, cold: 0.25 }, ZRS: { hot: 2, cool: 1, cold: 0.5 }, GRS: { hot: 4, cool: 2, cold: 1 }, GZRS: { hot: 8, cool: 4, cold: 2 } },
  writesPer10k: { hot: 10, cool: 20, cold: 30 }, readsPer10k: { hot: 1, cool: 2, cold: 3 }, retrievalPerGiB: { hot: 0, cool: 0.1, cold: 0.2 }, snapshotPerGiBMonth: 3,
  execution: { memoryGiB: 2, perGiBSecond: 0.001, perMillion: 5 },
});
