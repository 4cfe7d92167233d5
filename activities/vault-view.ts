import type { IndexedItem, IndexSnapshot } from '../vault/fleet/vault-index';
import { diskBytes } from '../vault/catalog';
import type { RunFacts } from '../vault/fleet/run-facts';
import type { KeyFacts } from '../vault/keys/key-ring';
import { recoveryPointId } from '../vault/format/manifest';
import type { MaintenanceRecord } from '../vault/points/maintenance-log';
import type { Fleet, Known } from './fleet';
import { digestOf, type ItemList, listFleetItems } from './fleet-items';
import { cached, MAINTENANCE_OVERDUE_MS, outcomeOf, type OverviewOptions, provedOf, type RunOutcome, storageOf, type StorageFigures, type Overview } from './overview';

const DAY_MS = 86_400_000;
const LARGEST = 100;
const LISTED_DAMAGE = 100;

export interface VaultView {
  readonly asOf: string;
  readonly recoveryPoints: { readonly live: number; readonly inBin: number; readonly held: number; /** Whose manifests do not open. */ readonly damaged: number; readonly proved: number };
  readonly storage: StorageFigures;
  /** Those that added most, largest first. */
  readonly largest: readonly { readonly itemId: string; readonly name: string; readonly storedBytes: number; readonly recoveryPoints: number }[];
  /** The last one that was not a dry run; null: none ever ended. */
  readonly maintenance: (Pick<MaintenanceRecord, 'startedAt' | 'endedAt'> & {
    readonly overdue: boolean; readonly binned: number; readonly purged: number; readonly deletedPacks: number; readonly deletedBytes: number; readonly waitingBytes: number; readonly abnormal: string | null;
    readonly heldUntil: string | null; readonly error: { readonly code: string; readonly message: string; readonly remedy: string } | null;
  }) | null;
  readonly proved: Overview['proved'];
  readonly damage: { readonly packs: number; readonly recoveryPoints: number; readonly listed: readonly { readonly pack: string; readonly code: string; readonly message: string; readonly foundAt: string }[] };
  /** `tested`: when the scheduled test last opened the vault with it; null: never, which is no sign that it would not. */
  readonly keys: readonly (KeyFacts & { readonly tested: string | null })[];
}

export async function vaultView(fleet: Fleet, { nowMs, scrubDays }: OverviewOptions): Promise<VaultView> {
  const list = await listFleetItems(fleet, nowMs);
  const [vault, maintenance, damage, keys] = await Promise.all([fleet.vault(), fleet.maintenance(), fleet.damage(), fleet.keys()]);
  // As the overview: the same for a second, for all who ask.
  const parts = [maintenance.value, damage.value, keys.value];
  const known = vaultViews.get(list.items);
  if (known?.parts.every((part, at) => part === parts[at])) return { ...known.made, asOf: list.asOf };
  const last = maintenance.value.find(({ dryRun }) => !dryRun);
  const made: VaultView = {
    asOf: list.asOf, recoveryPoints: countPoints(vault.items), storage: storageOf(vault, maintenance.value),
    largest: [...list.items].sort((a, b) => b.storedBytes - a.storedBytes).slice(0, LARGEST).map(({ id, name, storedBytes, recoveryPoints }) => ({ itemId: id, name, storedBytes, recoveryPoints })),
    maintenance: last ? {
      startedAt: last.startedAt, endedAt: last.endedAt, overdue: nowMs - Date.parse(last.endedAt) > MAINTENANCE_OVERDUE_MS, binned: last.retention.binned, purged: last.collection?.purged ?? 0,
      deletedPacks: last.collection?.deletedPacks ?? 0, deletedBytes: last.collection?.deletedBytes ?? 0, waitingBytes: last.collection?.waitingBytes ?? 0, abnormal: last.collection?.abnormal ?? null,
      heldUntil: last.locks?.heldUntil ?? null, error: last.error && { code: last.error.code, message: last.error.message, remedy: last.error.remedy },
    } : null,
    proved: provedOf(list.items, nowMs, scrubDays),
    damage: {
      packs: damage.value.packs.length, recoveryPoints: damage.value.points.length,
      listed: damage.value.packs.slice(0, LISTED_DAMAGE).map(({ pack, code, message, foundAt }) => ({ pack, code, message, foundAt })),
    },
    keys: keysOf(keys, maintenance.value),
  };
  vaultViews.set(list.items, { parts, made });
  return made;
}

const vaultViews = new WeakMap<ItemList['items'], { readonly parts: readonly unknown[]; readonly made: VaultView }>();

const countPoints = cached((items: IndexSnapshot['items']): VaultView['recoveryPoints'] => {
  const counts = { live: 0, inBin: 0, held: 0, damaged: 0, proved: 0 };
  for (const { points, damaged } of items.values()) {
    counts.damaged += damaged.length;
    for (const { marks, proof } of points) {
      counts[marks.state === 'live' ? 'live' : 'inBin']++;
      if (marks.held) counts.held++;
      if (proof?.ok) counts.proved++;
    }
  }
  return counts;
});

const keysOf = ({ value }: Known<readonly KeyFacts[]>, maintenance: readonly MaintenanceRecord[]): VaultView['keys'] =>
  value.map((key) => ({ ...key, tested: maintenance.find(({ keys }) => keys?.opened.includes(key.keyId))?.endedAt ?? null }));

export interface DayFigures {
  /** UTC: `2026-11-25`. */
  readonly day: string;
  /** Recovery points of the day that are still there, and what they read, found changed and stored. */
  readonly recoveryPoints: number;
  readonly readBytes: number;
  readonly changedBytes: number;
  readonly storedBytes: number;
  /** Runs that ended on that day, by outcome, and how long those took that made a recovery point; null where none did. */
  readonly succeeded: number;
  readonly failed: number;
  readonly medianSeconds: number | null;
  readonly longestSeconds: number | null;
}

export interface VaultHistory {
  readonly asOf: string;
  /** Oldest first, days without anything too. */
  readonly days: readonly DayFigures[];
  /** What maintenances counted, oldest first. */
  readonly storage: readonly { readonly at: string; readonly storedBytes: number; readonly recoveryPoints: number }[];
}

/** What charts show, of the vault or of one item. Runs are known of a month at most. */
export async function vaultHistory(fleet: Fleet, nowMs: number, days: number, itemId?: string): Promise<VaultHistory> {
  const [vault, maintenance] = await Promise.all([fleet.vault(), fleet.maintenance()]);
  const today = Math.floor(nowMs / DAY_MS);
  if (itemId !== undefined) return historyOf(vault, maintenance.value, today, days, itemId);
  // Of the whole vault it is a sum over all recovery points: once for each change.
  const known = histories.get(vault.items);
  if (known?.maintenance === maintenance.value && known.today === today && known.days === days) return { ...known.history, asOf: vault.asOf };
  const history = historyOf(vault, maintenance.value, today, days);
  histories.set(vault.items, { maintenance: maintenance.value, today, days, history });
  return history;
}

const histories = new WeakMap<IndexSnapshot['items'], { readonly maintenance: readonly MaintenanceRecord[]; readonly today: number; readonly days: number; readonly history: VaultHistory }>();

function historyOf(vault: IndexSnapshot, maintenance: readonly MaintenanceRecord[], today: number, days: number, itemId?: string): VaultHistory {
  const first = today - days + 1;
  const one = itemId === undefined ? undefined : vault.items.get(itemId);
  const items = itemId === undefined ? [...vault.items.values()] : one ? [one] : [];
  const rows = Array.from({ length: days }, () => ({ recoveryPoints: 0, readBytes: 0, changedBytes: 0, storedBytes: 0, succeeded: 0, failed: 0, seconds: [] as number[] }));
  for (const item of items) {
    for (const [day, sums] of daysOf(item)) {
      const row = rows[day - first];
      if (!row) continue;
      for (const key of ['recoveryPoints', 'readBytes', 'changedBytes', 'storedBytes', 'succeeded', 'failed'] as const) row[key] += sums[key];
      row.seconds.push(...sums.seconds);
    }
  }
  const counted = itemId === undefined ? maintenance.filter(({ dryRun, endedAt }) => !dryRun && Date.parse(endedAt) >= first * DAY_MS) : [];
  return {
    asOf: vault.asOf,
    days: rows.map(({ seconds, ...sums }, at) => {
      const sorted = seconds.sort((a, b) => a - b);
      return { day: new Date((first + at) * DAY_MS).toISOString().slice(0, 10), ...sums, medianSeconds: sorted[sorted.length >> 1] ?? null, longestSeconds: sorted.at(-1) ?? null };
    }),
    storage: counted.flatMap(({ collection, endedAt }) => (collection ? [{ at: endedAt, storedBytes: collection.allBytes - collection.deletedBytes, recoveryPoints: collection.recoveryPoints }] : [])).reverse(),
  };
}

type DaySums = Omit<DayFigures, 'day' | 'medianSeconds' | 'longestSeconds'> & { readonly seconds: number[] };
/** By the number of the day since 1970: the same for as long as nothing of the item changes. */
const daysOf = cached((item: IndexedItem): ReadonlyMap<number, DaySums> => {
  const days = new Map<number, { -readonly [K in keyof DaySums]: DaySums[K] }>();
  const dayOf = (at: string): { -readonly [K in keyof DaySums]: DaySums[K] } => {
    const day = Math.floor(Date.parse(at) / DAY_MS);
    let row = days.get(day);
    if (!row) days.set(day, (row = { recoveryPoints: 0, readBytes: 0, changedBytes: 0, storedBytes: 0, succeeded: 0, failed: 0, seconds: [] }));
    return row;
  };
  for (const { facts } of item.points) {
    const row = dayOf(facts.createdAt);
    row.recoveryPoints++;
    row.readBytes += facts.stats.readBytes;
    row.changedBytes += facts.stats.changedBytes;
    row.storedBytes += facts.stats.storedBytes;
  }
  for (const run of item.runs) {
    if (run.endedAt === null) continue;
    const row = dayOf(run.endedAt);
    const outcome = outcomeOf(run);
    if (outcome === 'succeeded') row.seconds.push((Date.parse(run.endedAt) - Date.parse(run.startedAt)) / 1000);
    if (outcome === 'succeeded' || outcome === 'failed') row[outcome]++;
  }
  return days;
});

export interface ItemHistoryView extends Pick<VaultHistory, 'asOf' | 'days'> {
  readonly itemId: string;
  /** By sequence; those in the bin too. */
  readonly points: readonly {
    readonly id: string; readonly createdAt: string | null; readonly state: 'live' | 'binned'; readonly binUntil: string | null; readonly held: boolean; readonly consistency: string | null; readonly policy: string | null;
    readonly sizeBytes: number | null; readonly readBytes: number | null; readonly changedBytes: number | null; readonly storedBytes: number | null; readonly warnings: number;
    /** null: never proved. */
    readonly proved: { readonly at: string; readonly ok: boolean } | null;
    /** Why its manifest does not open; null when it does. Then nothing else of it is known. */
    readonly damage: { readonly code: string; readonly message: string } | null;
  }[];
  readonly runs: readonly (Pick<RunFacts, 'sequence' | 'startedAt' | 'endedAt' | 'policy' | 'slot' | 'recoveryPoint' | 'code' | 'message' | 'remedy'> & { readonly outcome: RunOutcome })[];
}

/** What a calendar and a time line of an item need. */
export async function itemHistory(fleet: Fleet, itemId: string, nowMs: number, days: number): Promise<ItemHistoryView> {
  const [vault, { days: figures }] = await Promise.all([fleet.vault(), vaultHistory(fleet, nowMs, days, itemId)]);
  const item = vault.items.get(itemId) ?? { points: [], damaged: [], runs: [] };
  return {
    asOf: vault.asOf, itemId, days: figures,
    points: [...item.points, ...item.damaged].map(({ stamp, facts, error, marks, proof }) => ({
      id: recoveryPointId(itemId, stamp), createdAt: facts?.createdAt ?? null, state: marks.state === 'live' ? 'live' as const : 'binned' as const, binUntil: marks.binUntil, held: marks.held,
      consistency: facts?.consistency ?? null, policy: facts?.policy ?? null, sizeBytes: facts && diskBytes(facts), readBytes: facts?.stats.readBytes ?? null, changedBytes: facts?.stats.changedBytes ?? null,
      storedBytes: facts?.stats.storedBytes ?? null, warnings: facts?.warnings.length ?? 0, proved: proof && { at: proof.at, ok: proof.ok }, damage: error && { code: error.code, message: error.message },
    })),
    runs: item.runs.map((run) => {
      const { sequence, startedAt, endedAt, policy, slot, recoveryPoint, code, message, remedy } = run;
      return { sequence, startedAt, endedAt, policy, slot, recoveryPoint, code, message, remedy, outcome: outcomeOf(run) };
    }),
  };
}

export interface ServerView {
  readonly itemId: string;
  readonly name: string;
  /** The machine whose command line made the last run, as it calls itself; null when no run of late is known. */
  readonly host: string | null;
  readonly recoveryPoints: number;
  readonly storedBytes: number;
  readonly latest: { readonly id: string; readonly createdAt: string; readonly sizeBytes: number } | null;
  readonly lastRun: { readonly startedAt: string; readonly endedAt: string | null; readonly outcome: RunOutcome; readonly code: string | null; readonly message: string | null } | null;
}

/** What is backed up from outside Azure, by the command line: items of which no recovery point is a machine's. By id. */
export async function listServers(fleet: Fleet): Promise<{ readonly asOf: string; readonly servers: readonly ServerView[] }> {
  const vault = await fleet.vault();
  const servers: ServerView[] = [];
  for (const item of vault.items.values()) {
    const last = item.runs.at(-1);
    const { newest, live, storedBytes } = digestOf(item);
    const known = newest ?? item.points.at(-1);
    if (known ? known.facts.kind !== 'image' : !last?.owner.startsWith('process:')) continue;
    const run = item.runs.findLast(({ owner }) => owner.startsWith('process:'));
    servers.push({
      itemId: item.itemId, name: known?.facts.name ?? item.itemId, host: run?.owner.split(':')[1] ?? null, recoveryPoints: live.length, storedBytes,
      latest: newest && { id: recoveryPointId(item.itemId, newest.stamp), createdAt: newest.facts.createdAt, sizeBytes: diskBytes(newest.facts) },
      lastRun: last ? { startedAt: last.startedAt, endedAt: last.endedAt, outcome: outcomeOf(last), code: last.code, message: last.message } : null,
    });
  }
  return { asOf: vault.asOf, servers: servers.sort((a, b) => (a.itemId < b.itemId ? -1 : 1)) };
}
