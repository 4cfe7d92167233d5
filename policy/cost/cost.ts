import { type Prices, type Redundancy, type Tier, TIERS } from './prices';

export const GIB = 1024 ** 3;

export type PerTier = Readonly<Record<Tier, number>>;

/** What a month needs, in bytes and counts: measured, or forecast. */
export interface MonthlyUsage {
  readonly storedBytes: PerTier;
  /** Put Blob and the like; new objects are written to the hot tier, and each move to a colder one is a write there. */
  readonly writes: PerTier;
  readonly reads: PerTier;
  readonly retrievedBytes: PerTier;
  /** Base snapshots that are kept for the next diff, as the service counts their used size. */
  readonly snapshotBytes: number;
  readonly executionSeconds: number;
  readonly executions: number;
}

/** One line of a bill; `amount` is `quantity` × `price`, not rounded. */
export interface CostLine {
  readonly what: 'storage' | 'writes' | 'reads' | 'retrieval' | 'snapshots' | 'execution' | 'executions' | 'protected-instances' | 'backup-storage';
  readonly tier: Tier | null;
  readonly quantity: number;
  readonly unit: 'GiB-month' | '10,000' | 'GiB' | 'GiB-second' | '1,000,000' | 'instance';
  readonly price: number;
  readonly amount: number;
}

export interface Cost {
  readonly currency: string;
  readonly lines: readonly CostLine[];
  readonly total: number;
}

const perTier = (make: (tier: Tier) => number): PerTier => ({ hot: make('hot'), cool: make('cool'), cold: make('cold') });
export const noTier: PerTier = perTier(() => 0);
export const sumOfTiers = (values: PerTier): number => TIERS.reduce((sum, tier) => sum + values[tier], 0);

/** Pure: what a month of this usage costs. Lines whose quantity is 0 are left out. */
export function monthlyCost(usage: MonthlyUsage, prices: Prices, redundancy: Redundancy = prices.redundancy): Cost {
  const storage = prices.storagePerGiBMonth[redundancy];
  const tiers = (what: CostLine['what'], unit: CostLine['unit'], quantity: (tier: Tier) => number, price: PerTier): CostLine[] => TIERS.map((tier) => line(what, tier, quantity(tier), unit, price[tier]));
  const { execution } = prices;
  return sum(prices, [
    ...tiers('storage', 'GiB-month', (tier) => usage.storedBytes[tier] / GIB, storage),
    ...tiers('writes', '10,000', (tier) => usage.writes[tier] / 10_000, prices.writesPer10k),
    ...tiers('reads', '10,000', (tier) => usage.reads[tier] / 10_000, prices.readsPer10k),
    ...tiers('retrieval', 'GiB', (tier) => usage.retrievedBytes[tier] / GIB, prices.retrievalPerGiB),
    line('snapshots', null, usage.snapshotBytes / GIB, 'GiB-month', prices.snapshotPerGiBMonth),
    line('execution', null, usage.executionSeconds * execution.memoryGiB, 'GiB-second', execution.perGiBSecond),
    line('executions', null, usage.executions / 1_000_000, '1,000,000', execution.perMillion),
  ]);
}

/**
 * Pure: a month of the same machines under Azure Backup's pricing: a fee for each protected machine by its size, and storage. `backupBytes` is what its vault would
 * hold: used bytes and the changes of each recovery point that is kept. It has no deduplication; whether and how much it compresses is not published, so nothing is taken off.
 */
export function azureBackupCost(machineBytes: readonly number[], backupBytes: number, prices: Prices, redundancy: Redundancy = prices.redundancy): Cost {
  const counts = new Map<number, number>();
  for (const bytes of machineBytes) {
    const fee = instanceFee(bytes / GIB, prices.azureBackup);
    counts.set(fee, (counts.get(fee) ?? 0) + 1);
  }
  return sum(prices, [
    ...[...counts].sort(([a], [b]) => a - b).map(([fee, count]) => line('protected-instances', null, count, 'instance', fee)),
    line('backup-storage', null, backupBytes / GIB, 'GiB-month', prices.azureBackup.storagePerGiBMonth[redundancy]),
  ]);
}

/** What a machine of this size costs a month: the first size that it fits into, and beyond the largest a step for each further part. */
export function instanceFee(gib: number, { instances, furtherGiB, furtherPerMonth }: Prices['azureBackup']): number {
  const fits = instances.find(({ upToGiB }) => gib <= upToGiB);
  if (fits) return fits.perMonth;
  const largest = instances.at(-1) ?? { upToGiB: 0, perMonth: 0 };
  return largest.perMonth + Math.ceil((gib - largest.upToGiB) / furtherGiB) * furtherPerMonth;
}

const line = (what: CostLine['what'], tier: Tier | null, quantity: number, unit: CostLine['unit'], price: number): CostLine => ({ what, tier, quantity, unit, price, amount: quantity * price });

const sum = ({ currency }: Prices, lines: readonly CostLine[]): Cost =>
  ({ currency, lines: lines.filter(({ quantity }) => quantity > 0), total: lines.reduce((total, { amount }) => total + amount, 0) });
