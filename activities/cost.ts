import { azureBackupCost, type Cost, monthlyCost, type MonthlyUsage, noTier, sumOfTiers } from '../policy/cost/cost';
import { ASSUMED, forecast, type Forecast, type ItemHabit, monthsOperations, scrubReads } from '../policy/cost/forecast';
import { type Prices, type Redundancy, type Tier, TIERS } from '../policy/cost/prices';
import type { PolicyDocument } from '../policy/schema';
import { diskBytes, type ListedPoint, listRecoveryPoints } from '../vault/catalog';
import type { Manifest } from '../vault/format/manifest';
import type { VaultAccess } from '../vault/format/tree';
import type { Telemetry } from './telemetry';

const DAY_MS = 86_400_000;
/** Below this a rate of change says more about the hour than about the day. */
const MEASURED_FROM_MS = DAY_MS / 2;
export const FORECAST_MONTHS = 12;

/** What of the prices a reader of a sum has to know. */
export type PriceNote = Pick<Prices, 'asOf' | 'currency' | 'region' | 'source' | 'checked' | 'redundancy'>;

export interface ItemCost {
  readonly itemId: string;
  readonly name: string;
  readonly recoveryPoints: number;
  /** What the backups of the item that are still there have added to the vault. What they share with other items is counted where it was stored first. */
  readonly storedBytes: number;
}

export interface CostReport {
  readonly at: string;
  readonly prices: PriceNote;
  /** Of a month as the last one was: what lies in the vault now, and the operations of the last 30 days. */
  readonly usage: MonthlyUsage;
  readonly cost: Cost;
  /** The same machines and recovery points under Azure Backup's pricing. */
  readonly azureBackup: Cost;
  /** Largest first. */
  readonly items: readonly ItemCost[];
}

export interface CostOptions {
  readonly redundancy?: Redundancy;
  readonly scrubDays: number;
}

/** What the vault costs in a month, from what lies in it and what its recovery points say of the last 30 days. Reads every name and manifest, no pack. */
export async function costReport(vault: VaultAccess, prices: Prices, nowMs: number, options: CostOptions): Promise<CostReport> {
  const storedBytes = await bytesByTier(vault);
  const { points } = await listRecoveryPoints(vault, undefined, { deleted: true });
  const byItem = groupByItem(points);
  const recent = points.filter(({ manifest }) => Date.parse(manifest.createdAt) > nowMs - 30 * DAY_MS).map(({ manifest }) => manifest);
  const habits = [...byItem.values()].map(habitOf);
  const usage = usageOf(storedBytes, recent, [...byItem.values()], options.scrubDays);
  const redundancy = options.redundancy ?? prices.redundancy;
  const live = points.filter(({ marks }) => marks.state === 'live');
  // Its vault has a full copy of each machine, and each recovery point's changes.
  const changes = live.reduce((sum, { manifest }) => sum + (manifest.parent ? manifest.stats.changedBytes : 0), 0);
  return {
    at: new Date(nowMs).toISOString(), prices: noteOf(prices, redundancy), usage, cost: monthlyCost(usage, prices, redundancy),
    azureBackup: azureBackupCost(habits.map(({ usedBytes }) => usedBytes), habits.reduce((sum, { usedBytes }) => sum + usedBytes, changes), prices, redundancy),
    items: [...byItem].map(([itemId, own]): ItemCost => ({
      itemId, name: own.at(-1)?.manifest.source.name ?? itemId, recoveryPoints: own.filter(({ marks }) => marks.state === 'live').length,
      storedBytes: own.reduce((sum, { manifest }) => sum + manifest.stats.storedBytes, 0),
    })).sort((a, b) => b.storedBytes - a.storedBytes),
  };
}

/** Parts of a bill, as the metric names them. */
const PARTS = ['storage', 'writes', 'reads', 'retrieval', 'snapshots', 'execution', 'executions'] as const;

/** Sends what the vault costs in a month as metrics; a part that costs nothing is 0, so that what is gone does not stay on a chart. */
export function measureCost(telemetry: Telemetry, { cost, azureBackup }: Pick<CostReport, 'cost' | 'azureBackup'>): void {
  const { currency } = cost;
  for (const part of PARTS) telemetry.measure('holdfast.cost.month', cost.lines.reduce((sum, { what, amount }) => (what === part ? sum + amount : sum), 0), { part, currency });
  telemetry.measure('holdfast.cost.month', cost.total, { part: 'all', currency });
  telemetry.measure('holdfast.cost.azure_backup_month', azureBackup.total, { currency });
}

export interface CostForecast extends Forecast {
  readonly prices: PriceNote;
}

/** What a policy comes to over a year for these items, as they behaved so far. An item without any is assumed to be as large as `sizeBytes` says. */
export async function costForecast(vault: VaultAccess, policy: PolicyDocument, items: readonly { readonly itemId: string; readonly sizeBytes: number | null }[], prices: Prices, nowMs: number, options: CostOptions): Promise<CostForecast> {
  const byItem = groupByItem((await listRecoveryPoints(vault, undefined, { deleted: true })).points);
  const habits = items.map(({ itemId, sizeBytes }) => {
    const own = byItem.get(itemId);
    return own ? habitOf(own) : assumedHabit(itemId, sizeBytes ?? 0);
  });
  const redundancy = options.redundancy ?? prices.redundancy;
  const result = forecast({
    schedule: policy.schedule, retention: policy.retention, keepBase: policy.keepBase, items: habits, startMs: nowMs, months: FORECAST_MONTHS, scrubDays: options.scrubDays,
  }, { ...prices, redundancy });
  return { prices: noteOf(prices, redundancy), ...result };
}

const noteOf = ({ asOf, currency, region, source, checked }: Prices, redundancy: Redundancy): PriceNote => ({ asOf, currency, region, source, checked, redundancy });

async function bytesByTier(vault: VaultAccess): Promise<Record<Tier, number>> {
  const bytes = { ...noTier };
  for await (const { sizeBytes, tier } of vault.store.list('')) bytes[TIERS.find((known) => known === tier) ?? 'hot'] += sizeBytes;
  return bytes;
}

function groupByItem(points: readonly ListedPoint[]): Map<string, ListedPoint[]> {
  const byItem = new Map<string, ListedPoint[]>();
  for (const point of points) {
    const own = byItem.get(point.manifest.itemId);
    if (own) own.push(point);
    else byItem.set(point.manifest.itemId, [point]);
  }
  return byItem;
}

/** How an item behaved, from its recovery points, oldest first (at least one). */
export function habitOf(points: readonly { readonly manifest: Pick<Manifest, 'itemId' | 'createdAt' | 'disks' | 'parent' | 'stats'> }[]): ItemHabit {
  const manifests = points.map(({ manifest }) => manifest);
  const [first, last] = [manifests[0], manifests.at(-1)];
  if (!first || !last) return assumedHabit('', 0);
  const whole = manifests.filter(({ parent }) => parent === null).at(-1);
  const later = manifests.filter(({ parent }) => parent !== null);
  const sum = (of: typeof manifests, what: 'changedBytes' | 'storedBytes'): number => of.reduce((total, { stats }) => total + stats[what], 0);
  const spanMs = Date.parse(last.createdAt) - Date.parse(first.createdAt);
  const usedBytes = whole ? whole.stats.changedBytes : diskBytes(last as Manifest);
  const measured = whole !== undefined && usedBytes > 0 && later.length > 0 && spanMs >= MEASURED_FROM_MS;
  if (!measured) return { ...assumedHabit(first.itemId, usedBytes), ...(whole && usedBytes > 0 ? { firstFactor: whole.stats.storedBytes / usedBytes } : {}) };
  const changed = sum(later, 'changedBytes');
  return {
    itemId: first.itemId, usedBytes, changedBytesPerDay: changed / (spanMs / DAY_MS), firstFactor: whole.stats.storedBytes / usedBytes,
    changeFactor: changed > 0 ? sum(later, 'storedBytes') / changed : ASSUMED.changeFactor, measured,
  };
}

const assumedHabit = (itemId: string, usedBytes: number): ItemHabit =>
  ({ itemId, usedBytes, changedBytesPerDay: usedBytes * ASSUMED.dailyChange, firstFactor: ASSUMED.firstFactor, changeFactor: ASSUMED.changeFactor, measured: false });

function usageOf(storedBytes: Record<Tier, number>, recent: readonly Manifest[], items: readonly (readonly ListedPoint[])[], scrubDays: number): MonthlyUsage {
  const stored = sumOfTiers(storedBytes);
  const operations = monthsOperations({
    newBytes: recent.reduce((sum, { stats }) => sum + stats.storedBytes, 0), readBytes: recent.reduce((sum, { stats }) => sum + stats.readBytes, 0),
    recoveryPoints: recent.length, scrubbedBytes: scrubReads(stored, scrubDays),
  });
  return {
    ...operations, storedBytes,
    // A tier that costs more to read is read in the same proportion as it is filled.
    retrievedBytes: stored === 0 ? noTier : { hot: 0, cool: scrubReads(storedBytes.cool, scrubDays), cold: scrubReads(storedBytes.cold, scrubDays) },
    // The newest snapshot of each disk holds what changed since it was made: about as much as between the last two recovery points.
    snapshotBytes: items.reduce((sum, own) => sum + (own.at(-1)?.manifest.parent ? own.at(-1)?.manifest.stats.changedBytes ?? 0 : 0), 0),
  };
}
