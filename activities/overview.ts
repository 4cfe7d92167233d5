import { catalogue, type ErrorCode, isErrorCode } from '../errors/catalogue';
import type { IndexSnapshot } from '../vault/fleet/vault-index';
import type { RunFacts } from '../vault/fleet/run-facts';
import type { MaintenanceRecord } from '../vault/points/maintenance-log';
import { noTier } from '../policy/cost/cost';
import type { Prices, Tier } from '../policy/cost/prices';
import { costOf, type CostOptions, type CostReport } from './cost';
import type { Fleet } from './fleet';
import { digestOf, type ItemList, type ItemView, listFleetItems } from './fleet-items';
import { ITEM_STATES, type ItemState, secondsSince } from './item-state';

const DAY_MS = 86_400_000;
const LISTED = 100;
/** A daily maintenance that is older than this did not run. */
export const MAINTENANCE_OVERDUE_MS = 2 * DAY_MS;

/** Something that a person should look at. */
export interface Attention {
  readonly severity: 'critical' | 'warning';
  readonly code: ErrorCode;
  readonly title: string;
  readonly message: string;
  readonly remedy: string;
  readonly itemId: string | null;
  readonly itemName: string | null;
  /** ISO 8601; null where it is not known since when. */
  readonly since: string | null;
}

export interface StorageFigures {
  /** Bytes in the vault: as the last maintenance counted them, and what was added since; or what its recovery points say they added, where none ever counted. */
  readonly storedBytes: number;
  readonly source: 'collection' | 'recovery-points';
  /** When they were counted; null where nobody did. */
  readonly countedAt: string | null;
  /** Of the disks of all recovery points that are shown: what as many full copies would take. */
  readonly logicalBytes: number;
  readonly savedBytes: number;
  /** Changed bytes for each that was new to the vault, and those for each that was stored; null where nothing was stored. */
  readonly deduplicationRatio: number | null;
  readonly compressionRatio: number | null;
}

export interface RunCounts { readonly since: string; readonly succeeded: number; readonly failed: number; readonly cancelled: number; readonly running: number; /** Whose records do not open. */ readonly unknown: number }

export interface Overview {
  readonly asOf: string;
  readonly items: Readonly<Record<ItemState | 'total', number>>;
  /** How many items had something read back and proved: within a round, longer ago, never; and those whose last proof found damage. */
  readonly proved: { readonly roundDays: number; readonly inRound: number; readonly longerAgo: number; readonly never: number; readonly failed: number };
  /** Backups of the last day, by app and command line, as the vault's run records have them. */
  readonly jobs: RunCounts;
  /** Of the items that a policy covers, the one that is nearest to being overdue, or furthest beyond. */
  readonly oldest: { readonly itemId: string; readonly name: string; readonly recoveryPoint: string | null; readonly ageSeconds: number | null; readonly objectiveSeconds: number } | null;
  readonly storage: StorageFigures;
  /** Of a month like the last one. An estimate: all that is stored is taken for hot. */
  readonly cost: { readonly currency: string; readonly total: number; readonly azureBackup: number; readonly pricesAsOf: string; readonly checked: boolean };
  readonly attention: readonly Attention[];
  /** How many there are; `attention` has the first of them. */
  readonly attentionTotal: number;
}

export interface OverviewOptions { readonly nowMs: number; readonly scrubDays: number }

/** All that the first page shows. Reads nothing but what the fleet knows. Throws what keeps the fleet from knowing. */
export async function overview(fleet: Fleet, { nowMs, scrubDays }: OverviewOptions): Promise<Overview> {
  const list = await listFleetItems(fleet, nowMs);
  const [vault, policies, maintenance, damage, prices] = await Promise.all([fleet.vault(), fleet.policies(), fleet.maintenance(), fleet.damage(), fleet.prices()]);
  // The list is a new one each second, and whenever anything changes: for so long the answer is the same for all who ask.
  const parts = [policies.value, maintenance.value, damage.value, prices.value];
  const known = overviews.get(list.items);
  if (known?.parts.every((part, at) => part === parts[at])) return { ...known.made, asOf: list.asOf };
  const storage = storageOf(vault, maintenance.value);
  const cost = costAt(vault.items, prices.value, { ...noTier, hot: storage.storedBytes }, nowMs, { scrubDays });
  const attention = [
    ...policies.value.broken.map((name) => attend('critical', 'POLICY_INVALID', `The policy ${name} cannot be read, so nobody knows what it covers, and it does not run`)),
    ...attentionOfVault(maintenance.value, damage.value.packs.length, nowMs), ...attentionOfItems(list, vault, { nowMs, scrubDays }),
  ].sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
  const made: Overview = {
    asOf: list.asOf, items: countStates(list.items), proved: provedOf(list.items, nowMs, scrubDays), jobs: countRuns(vault, nowMs - DAY_MS), oldest: oldestOf(list.items, nowMs), storage,
    cost: { currency: cost.cost.currency, total: cost.cost.total, azureBackup: cost.azureBackup.total, pricesAsOf: cost.prices.asOf, checked: cost.prices.checked },
    attention: attention.slice(0, LISTED), attentionTotal: attention.length,
  };
  overviews.set(list.items, { parts, made });
  return made;
}

const overviews = new WeakMap<ItemList['items'], { readonly parts: readonly unknown[]; readonly made: Overview }>();

const COST_MS = 60_000;
const KEPT_COSTS = 8;
const costs = new WeakMap<IndexSnapshot['items'], { readonly prices: Prices; readonly of: string; readonly atMs: number; readonly report: CostReport }[]>();

/** What the vault costs by what is known of it: the same sum for a minute, while nothing changes that it is of. */
export function costAt(items: IndexSnapshot['items'], prices: Prices, storedBytes: Record<Tier, number>, nowMs: number, options: CostOptions): CostReport {
  const of = JSON.stringify([storedBytes, options]);
  const kept = costs.get(items) ?? [];
  const known = kept.find((one) => one.prices === prices && one.of === of && Math.abs(nowMs - one.atMs) < COST_MS);
  if (known) return known.report;
  const report = costOf(costItemsOf(items), storedBytes, prices, nowMs, options);
  costs.set(items, [{ prices, of, atMs: nowMs, report }, ...kept].slice(0, KEPT_COSTS));
  return report;
}

/** The items with their recovery points, as sums of costs need them. */
export const costItemsOf = cached((items: IndexSnapshot['items']) => [...items.values()].filter(({ points }) => points.length > 0).map((item) => digestOf(item).cost));

/** A pure function of one object, asked once for each. */
export function cached<A extends object, R>(make: (a: A) => R): (a: A) => R {
  const known = new WeakMap<A, { readonly made: R }>();
  return (a) => {
    let found = known.get(a);
    if (!found) known.set(a, (found = { made: make(a) }));
    return found.made;
  };
}

function countStates(items: readonly ItemView[]): Overview['items'] {
  const counts = Object.fromEntries([...ITEM_STATES, 'total'].map((state) => [state, 0])) as Record<ItemState | 'total', number>;
  for (const { state } of items) counts[state]++;
  counts.total = items.length;
  return counts;
}

/** Only of items that have recovery points: of the others there is nothing to prove. */
export function provedOf(items: readonly ItemView[], nowMs: number, roundDays: number): Overview['proved'] {
  const counts = { roundDays, inRound: 0, longerAgo: 0, never: 0, failed: 0 };
  for (const { proved, recoveryPoints } of items) {
    if (recoveryPoints === 0) continue;
    if (!proved) counts.never++;
    else if (!proved.ok) counts.failed++;
    else if (nowMs - Date.parse(proved.at) <= roundDays * DAY_MS) counts.inRound++;
    else counts.longerAgo++;
  }
  return counts;
}

export type RunOutcome = Exclude<keyof RunCounts, 'since'>;

export const outcomeOf = ({ outcome, code }: RunFacts): RunOutcome =>
  (outcome === 'committed' ? 'succeeded' : outcome === 'running' ? 'running' : outcome === 'unknown' ? 'unknown' : code === 'CANCELLED' ? 'cancelled' : 'failed');

function countRuns({ items }: IndexSnapshot, sinceMs: number): RunCounts {
  const counts = { since: new Date(sinceMs).toISOString(), succeeded: 0, failed: 0, cancelled: 0, running: 0, unknown: 0 };
  for (const { runs } of items.values()) {
    for (let at = runs.length - 1; at >= 0; at--) {
      const run = runs[at] as RunFacts;
      if (run.outcome !== 'running' && Date.parse(run.endedAt ?? run.startedAt) < sinceMs) break;
      counts[outcomeOf(run)]++;
    }
  }
  return counts;
}

function oldestOf(items: readonly ItemView[], nowMs: number): Overview['oldest'] {
  let worst: { readonly ratio: number; readonly item: ItemView; readonly objectiveSeconds: number } | null = null;
  for (const item of items) {
    if (item.objectiveSeconds === null) continue;
    const age = item.latest ? secondsSince(Date.parse(item.latest.createdAt), nowMs) : null;
    // One that has none yet is worse than any once it is overdue, and no concern before.
    const ratio = age === null ? (item.state === 'overdue' ? Infinity : 0) : age / item.objectiveSeconds;
    if (worst === null || ratio > worst.ratio) worst = { ratio, item, objectiveSeconds: item.objectiveSeconds };
  }
  if (!worst) return null;
  const { item: { id, name, latest }, objectiveSeconds } = worst;
  return { itemId: id, name, recoveryPoint: latest?.id ?? null, ageSeconds: latest && secondsSince(Date.parse(latest.createdAt), nowMs), objectiveSeconds };
}

/** What lies in the vault, and what that would be without chunks being shared and packed. */
export function storageOf({ items }: IndexSnapshot, maintenance: readonly MaintenanceRecord[]): StorageFigures {
  const counted = maintenance.find(({ collection, dryRun }) => collection !== null && !dryRun);
  const sums = { storedBytes: 0, newBytes: 0, changedBytes: 0, logicalBytes: 0 };
  let addedBytes = 0;
  for (const item of items.values()) {
    const digest = digestOf(item);
    for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += digest[key];
    // Newest first: what was added since is at the end.
    for (let at = item.points.length - 1; counted && at >= 0; at--) {
      const facts = item.points[at]?.facts;
      if (!facts || facts.createdAt <= counted.endedAt) break;
      addedBytes += facts.stats.storedBytes;
    }
  }
  const storedBytes = counted?.collection ? counted.collection.allBytes - counted.collection.deletedBytes + addedBytes : sums.storedBytes;
  return {
    storedBytes, source: counted ? 'collection' : 'recovery-points', countedAt: counted?.endedAt ?? null, logicalBytes: sums.logicalBytes, savedBytes: Math.max(0, sums.logicalBytes - storedBytes),
    deduplicationRatio: sums.newBytes > 0 ? sums.changedBytes / sums.newBytes : null, compressionRatio: sums.storedBytes > 0 ? sums.newBytes / sums.storedBytes : null,
  };
}

function attend(severity: Attention['severity'], code: ErrorCode, message: string, item: Pick<ItemView, 'id' | 'name'> | null = null, since: string | null = null, remedy: string = catalogue[code].remedy): Attention {
  return { severity, code, title: catalogue[code].title, message, remedy, itemId: item?.id ?? null, itemName: item?.name ?? null, since };
}

function attentionOfVault(maintenance: readonly MaintenanceRecord[], damagedPacks: number, nowMs: number): Attention[] {
  const found: Attention[] = [];
  if (damagedPacks > 0) found.push(attend('critical', 'PACK_DAMAGED', `${damagedPacks} packs of the vault are in the ledger of damage`));
  const last = maintenance.find(({ dryRun }) => !dryRun);
  if (last && nowMs - Date.parse(last.endedAt) > MAINTENANCE_OVERDUE_MS) found.push(attend('warning', 'MAINTENANCE_OVERDUE', `The last maintenance of the vault ended at ${last.endedAt}`, null, last.endedAt));
  if (last?.error) found.push(attend('critical', isErrorCode(last.error.code) ? last.error.code : 'INTERNAL', `The last maintenance of the vault: ${last.error.message}`, null, last.endedAt, last.error.remedy));
  if (last?.collection?.abnormal) found.push(attend('warning', 'COLLECTION_ABNORMAL', last.collection.abnormal, null, last.endedAt));
  if (last && last.retention.refused.length > 0) found.push(attend('warning', 'RETENTION_REFUSED', `Retention was refused for ${last.retention.refused.length} items, ${last.retention.refused[0]?.itemId} among them`, null, last.endedAt));
  return found;
}

/** What is to be said of single items. An item whose last run failed is told of once, with the run's own words, though it is overdue too. */
function attentionOfItems({ items }: ItemList, vault: IndexSnapshot, { nowMs, scrubDays }: OverviewOptions): Attention[] {
  const found: Attention[] = [];
  for (const item of items) {
    const last = vault.items.get(item.id)?.runs.at(-1);
    const isFailed = last !== undefined && (outcomeOf(last) === 'failed' || outcomeOf(last) === 'unknown');
    const code = last?.code && isErrorCode(last.code) ? last.code : 'INTERNAL';
    if (isFailed && (item.state === 'overdue' || nowMs - Date.parse(last.endedAt ?? last.startedAt) < 7 * DAY_MS)) {
      found.push(attend(item.state === 'overdue' ? 'critical' : 'warning', code, `The last backup failed: ${last.message ?? 'nobody knows why'}`, item, last.endedAt, last.remedy ?? undefined));
    } else if (item.state === 'overdue') {
      found.push(attend('critical', 'ITEM_OVERDUE', item.latest ? `The newest recovery point is of ${item.latest.createdAt}` : 'There is no recovery point', item, item.latest?.createdAt ?? null));
    }
    if (item.damaged > 0 || item.proved?.ok === false) found.push(attend('critical', item.damaged > 0 ? 'DOCUMENT_DAMAGED' : 'RESTORE_DAMAGED', item.damaged > 0 ? `The manifests of ${item.damaged} recovery points do not open` : `${item.proved?.recoveryPoint} did not prove`, item, item.proved?.at ?? null));
    if (item.state === 'unprotected') found.push(attend('warning', 'ITEM_UNPROTECTED', `No policy covers ${item.name}`, item));
    // A round and a half: one that is due is not yet late.
    if (item.recoveryPoints > 0 && nowMs - Date.parse(item.proved?.at ?? item.oldestAt ?? '') > 1.5 * scrubDays * DAY_MS) {
      found.push(attend('warning', 'ITEM_UNPROVED', item.proved ? `Last proved at ${item.proved.at}` : `Never proved since ${item.oldestAt}`, item, item.proved?.at ?? item.oldestAt));
    }
  }
  return found;
}
