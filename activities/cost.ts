import { azureBackupCost, type Cost, monthlyCost, type MonthlyUsage, noTier, sumOfTiers } from '../policy/cost/cost';
import { ASSUMED, forecast, type Forecast, type ItemHabit, monthsOperations, scrubReads } from '../policy/cost/forecast';
import { type Prices, type Redundancy, type Tier, TIERS } from '../policy/cost/prices';
import { nextSlots } from '../policy/schedule';
import type { PolicyDocument } from '../policy/schema';
import { diskBytes, pickRecoveryPoints } from '../vault/catalog';
import type { Manifest } from '../vault/format/manifest';
import type { VaultAccess } from '../vault/format/tree';
import type { Telemetry } from './telemetry';

const DAY_MS = 86_400_000;
/** Below this a rate of change says more about the hour than about the day. */
const MEASURED_FROM_MS = DAY_MS / 2;
export const FORECAST_MONTHS = 12;
/** Next runs that a forecast names. */
const SLOTS_SHOWN = 10;

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

/** What a sum needs of a recovery point. */
export interface CostPoint {
  readonly createdAt: string;
  /** False for one that began anew and read everything. */
  readonly incremental: boolean;
  readonly isLive: boolean;
  readonly sizeBytes: number;
  readonly stats: Pick<Manifest['stats'], 'changedBytes' | 'storedBytes' | 'readBytes'>;
}

/** An item with its recovery points, those in the bin too, oldest first; one at least. */
export interface CostItem { readonly itemId: string; readonly name: string; readonly points: readonly CostPoint[] }

/** What the vault costs in a month, from what lies in it and what its recovery points say of the last 30 days. Reads every name and manifest, no pack. */
export async function costReport(vault: VaultAccess, prices: Prices, nowMs: number, options: CostOptions): Promise<CostReport> {
  return costOf(await costItems(vault), await bytesByTier(vault), prices, nowMs, options);
}

/** Pure: the same from what is known already. */
export function costOf(costItemsOfVault: readonly CostItem[], storedBytes: Record<Tier, number>, prices: Prices, nowMs: number, options: CostOptions): CostReport {
  const items = costItemsOfVault.map((item) => figuresOf(item, nowMs));
  const usage = usageOf(storedBytes, items, options.scrubDays);
  const redundancy = options.redundancy ?? prices.redundancy;
  const sumOf = (value: (item: ItemFigures) => number): number => items.reduce((sum, item) => sum + value(item), 0);
  // Its vault has a full copy of each machine, and each recovery point's changes.
  const backupBytes = sumOf(({ habit, liveChanges }) => habit.usedBytes + liveChanges);
  return {
    at: new Date(nowMs).toISOString(), prices: noteOf(prices, redundancy), usage, cost: monthlyCost(usage, prices, redundancy),
    azureBackup: azureBackupCost(items.map(({ habit }) => habit.usedBytes), backupBytes, prices, redundancy),
    items: items.map(({ itemId, name, live, storedBytes: own }): ItemCost => ({ itemId, name, recoveryPoints: live, storedBytes: own })).sort((a, b) => b.storedBytes - a.storedBytes),
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

/** What an item's recovery points come to. */
interface ItemFigures extends Pick<CostItem, 'itemId' | 'name'> {
  readonly habit: ItemHabit;
  readonly live: number;
  readonly storedBytes: number;
  /** Of the live ones that go on from another. */
  readonly liveChanges: number;
  /** Of the last 30 days. */
  readonly recent: { readonly recoveryPoints: number; readonly storedBytes: number; readonly readBytes: number };
  /** Of the newest, if it goes on from another. */
  readonly lastChange: number;
}

function figuresOf(item: CostItem, nowMs: number): ItemFigures {
  const recent = { recoveryPoints: 0, storedBytes: 0, readBytes: 0 };
  let [live, storedBytes, liveChanges] = [0, 0, 0];
  for (const { createdAt, incremental, isLive, stats } of item.points) {
    storedBytes += stats.storedBytes;
    if (isLive) live++;
    if (isLive && incremental) liveChanges += stats.changedBytes;
    if (Date.parse(createdAt) <= nowMs - 30 * DAY_MS) continue;
    recent.recoveryPoints++;
    recent.storedBytes += stats.storedBytes;
    recent.readBytes += stats.readBytes;
  }
  const last = item.points.at(-1);
  return { itemId: item.itemId, name: item.name, habit: habitOf(item), live, storedBytes, liveChanges, recent, lastChange: last?.incremental ? last.stats.changedBytes : 0 };
}

export interface CostForecast extends Forecast {
  readonly prices: PriceNote;
  /** When it would run next. ISO 8601. */
  readonly nextSlots: readonly string[];
}

/** What a policy comes to over a year for these items, as they behaved so far. An item without any is assumed to be as large as `sizeBytes` says. */
export async function costForecast(vault: VaultAccess, policy: PolicyDocument, items: readonly { readonly itemId: string; readonly sizeBytes: number | null }[], prices: Prices, nowMs: number, options: CostOptions): Promise<CostForecast> {
  return forecastOf(await costItems(vault), policy, items, prices, nowMs, options);
}

/** Pure: the same from what is known already. */
export function forecastOf(known: readonly CostItem[], policy: PolicyDocument, items: readonly { readonly itemId: string; readonly sizeBytes: number | null }[], prices: Prices, nowMs: number, options: CostOptions): CostForecast {
  const byItem = new Map(known.map((item) => [item.itemId, item]));
  const habits = items.map(({ itemId, sizeBytes }) => {
    const own = byItem.get(itemId);
    return own ? habitOf(own) : assumedHabit(itemId, sizeBytes ?? 0);
  });
  const redundancy = options.redundancy ?? prices.redundancy;
  const result = forecast({
    schedule: policy.schedule, retention: policy.retention, keepBase: policy.keepBase, items: habits, startMs: nowMs, months: FORECAST_MONTHS, scrubDays: options.scrubDays,
  }, { ...prices, redundancy });
  return { prices: noteOf(prices, redundancy), nextSlots: nextSlots(policy.schedule, nowMs, SLOTS_SHOWN).map((slot) => new Date(slot).toISOString()), ...result };
}

const noteOf = ({ asOf, currency, region, source, checked }: Prices, redundancy: Redundancy): PriceNote => ({ asOf, currency, region, source, checked, redundancy });

/** Everything in the vault by the tier that it is in. Lists every object: of a vault with millions of packs that takes minutes. */
export async function bytesByTier(vault: VaultAccess): Promise<Record<Tier, number>> {
  const bytes = { ...noTier };
  for await (const { sizeBytes, tier } of vault.store.list('')) bytes[TIERS.find((known) => known === tier) ?? 'hot'] += sizeBytes;
  return bytes;
}

async function costItems(vault: VaultAccess): Promise<CostItem[]> {
  const { points } = await pickRecoveryPoints(vault, undefined, { deleted: true }, ({ manifest, marks }) => ({
    itemId: manifest.itemId, name: manifest.source.name, createdAt: manifest.createdAt, incremental: manifest.parent !== null, isLive: marks.state === 'live', sizeBytes: diskBytes(manifest), stats: manifest.stats,
  }));
  const byItem = new Map<string, { itemId: string; name: string; points: CostPoint[] }>();
  for (const point of points) {
    const item = byItem.get(point.itemId) ?? { itemId: point.itemId, name: point.name, points: [] };
    byItem.set(point.itemId, item);
    item.name = point.name;
    item.points.push(point);
  }
  return [...byItem.values()];
}

/** How an item behaved, from its recovery points. */
export function habitOf({ itemId, points }: Pick<CostItem, 'itemId' | 'points'>): ItemHabit {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return assumedHabit(itemId, 0);
  const whole = points.filter(({ incremental }) => !incremental).at(-1);
  const later = points.filter(({ incremental }) => incremental);
  const sum = (what: 'changedBytes' | 'storedBytes'): number => later.reduce((total, { stats }) => total + stats[what], 0);
  const spanMs = Date.parse(last.createdAt) - Date.parse(first.createdAt);
  const usedBytes = whole ? whole.stats.changedBytes : last.sizeBytes;
  const measured = whole !== undefined && usedBytes > 0 && later.length > 0 && spanMs >= MEASURED_FROM_MS;
  if (!measured) return { ...assumedHabit(itemId, usedBytes), ...(whole && usedBytes > 0 ? { firstFactor: whole.stats.storedBytes / usedBytes } : {}) };
  const changed = sum('changedBytes');
  return {
    itemId, usedBytes, changedBytesPerDay: changed / (spanMs / DAY_MS), firstFactor: whole.stats.storedBytes / usedBytes,
    changeFactor: changed > 0 ? sum('storedBytes') / changed : ASSUMED.changeFactor, measured,
  };
}

const assumedHabit = (itemId: string, usedBytes: number): ItemHabit =>
  ({ itemId, usedBytes, changedBytesPerDay: usedBytes * ASSUMED.dailyChange, firstFactor: ASSUMED.firstFactor, changeFactor: ASSUMED.changeFactor, measured: false });

function usageOf(storedBytes: Record<Tier, number>, items: readonly ItemFigures[], scrubDays: number): MonthlyUsage {
  const stored = sumOfTiers(storedBytes);
  const sumOf = (what: 'recoveryPoints' | 'storedBytes' | 'readBytes'): number => items.reduce((sum, { recent }) => sum + recent[what], 0);
  const operations = monthsOperations({ newBytes: sumOf('storedBytes'), readBytes: sumOf('readBytes'), recoveryPoints: sumOf('recoveryPoints'), scrubbedBytes: scrubReads(stored, scrubDays) });
  return {
    ...operations, storedBytes,
    // A tier that costs more to read is read in the same proportion as it is filled.
    retrievedBytes: stored === 0 ? noTier : { hot: 0, cool: scrubReads(storedBytes.cool, scrubDays), cold: scrubReads(storedBytes.cold, scrubDays) },
    // The newest snapshot of each disk holds what changed since it was made: about as much as between the last two recovery points.
    snapshotBytes: items.reduce((sum, { lastChange }) => sum + lastChange, 0),
  };
}
