import type { IndexedItem, IndexSnapshot, OpenedPoint } from '../vault/fleet/vault-index';
import { recoveryPointId, stampOrder } from '../vault/format/manifest';
import { HoldfastError } from '../errors/holdfast-error';
import { diskBytes, type ItemSummary } from '../vault/catalog';
import type { CostItem } from './cost';
import type { Coverage, Fleet } from './fleet';
import { itemState, type ItemState, secondsSince } from './item-state';

/** An item as lists show it. */
export interface ItemView {
  readonly id: string;
  readonly name: string;
  /** null for an item without a machine: one that is gone, or a server. */
  readonly resourceId: string | null;
  readonly tags: Readonly<Record<string, string>>;
  /** Enabled policies that cover it; none means unprotected. */
  readonly policies: readonly string[];
  readonly state: ItemState;
  /** Seconds after which it is overdue; null without a policy. */
  readonly objectiveSeconds: number | null;
  readonly recoveryPoints: number;
  readonly inBin: number;
  /** Those whose manifests do not open. */
  readonly damaged: number;
  readonly oldestAt: string | null;
  readonly latest: ItemSummary['latest'];
  /** null: nothing of it was ever read back and proved. */
  readonly proved: ItemSummary['proved'];
  /** Added to the vault by its recovery points that are still there. */
  readonly storedBytes: number;
}

/** What an item's recovery points come to, whatever the time and the policies: kept beside the item for as long as nothing of it changes. */
export interface ItemDigest {
  readonly live: readonly OpenedPoint[];
  readonly newest: OpenedPoint | null;
  readonly damaged: number;
  /** Live ones, newer than the newest that opens, that do not open. */
  readonly unreadable: number;
  readonly proved: ItemView['proved'];
  readonly storedBytes: number;
  readonly newBytes: number;
  readonly changedBytes: number;
  /** Of the disks of all live recovery points: what as many full copies would take. */
  readonly logicalBytes: number;
  readonly cost: CostItem;
}

const digests = new WeakMap<IndexedItem, ItemDigest>();

export function digestOf(item: IndexedItem): ItemDigest {
  let digest = digests.get(item);
  if (!digest) digests.set(item, (digest = makeDigest(item)));
  return digest;
}

function makeDigest(item: IndexedItem): ItemDigest {
  const live = item.points.filter(({ marks }) => marks.state === 'live');
  const newest = live.at(-1) ?? null;
  const damaged = item.damaged.filter(({ marks }) => marks.state === 'live');
  const sums = { storedBytes: 0, newBytes: 0, changedBytes: 0, logicalBytes: 0 };
  for (const { facts, marks } of item.points) {
    sums.storedBytes += facts.stats.storedBytes;
    sums.newBytes += facts.stats.newBytes;
    sums.changedBytes += facts.stats.changedBytes;
    if (marks.state === 'live') sums.logicalBytes += diskBytes(facts);
  }
  const proved = [...live, ...damaged].filter(({ proof }) => proof !== null).sort((a, b) => (stampOrder(a.stamp) < stampOrder(b.stamp) ? 1 : -1))[0];
  return {
    live, newest, damaged: damaged.length, unreadable: damaged.filter(({ stamp }) => newest === null || stampOrder(stamp) > stampOrder(newest.stamp)).length, ...sums,
    proved: proved?.proof ? { recoveryPoint: recoveryPointId(item.itemId, proved.stamp), at: proved.proof.at, ok: proved.proof.ok } : null,
    cost: {
      itemId: item.itemId, name: item.points.at(-1)?.facts.name ?? item.itemId,
      points: item.points.map(({ facts, marks }) => ({ createdAt: facts.createdAt, incremental: facts.incremental, isLive: marks.state === 'live', sizeBytes: diskBytes(facts), stats: facts.stats })),
    },
  };
}

const NOTHING: IndexedItem = { itemId: '', points: [], damaged: [], runs: [] };

export function viewOfItem(id: string, item: IndexedItem | undefined, covered: Coverage | undefined, nowMs: number): ItemView {
  const digest = digestOf(item ?? NOTHING);
  const { newest, proved, live } = digest;
  const strictest = covered?.strictest ?? null;
  const age = newest ? secondsSince(Date.parse(newest.facts.createdAt), nowMs) : null;
  const isDamaged = digest.unreadable > 0 || (proved?.ok === false && newest !== null && proved.recoveryPoint === recoveryPointId(id, newest.stamp));
  return {
    id, name: covered?.vm.name ?? newest?.facts.name ?? id, resourceId: covered?.vm.id ?? null, tags: covered?.vm.tags ?? {}, policies: covered?.policies ?? [],
    state: itemState({
      hasMachine: covered !== undefined, isServer: newest?.facts.kind === 'image', objective: strictest?.objective ?? null, age, waiting: strictest ? secondsSince(strictest.storedAtMs, nowMs) : null, isDamaged,
    }),
    objectiveSeconds: strictest?.objective ?? null, recoveryPoints: live.length, inBin: (item?.points.length ?? 0) - live.length, damaged: digest.damaged, oldestAt: live[0]?.facts.createdAt ?? null,
    latest: newest && { id: recoveryPointId(id, newest.stamp), createdAt: newest.facts.createdAt, consistency: newest.facts.consistency, sizeBytes: diskBytes(newest.facts) },
    proved, storedBytes: digest.storedBytes,
  };
}

export interface ItemList {
  /** ISO 8601: changes by others after it may not be in the list. */
  readonly asOf: string;
  /** By id. */
  readonly items: readonly ItemView[];
}

/** So long a list is handed out again while nothing of it changes: ages are told to the second. */
const LIST_MS = 1_000;
const lists = new WeakMap<IndexSnapshot['items'], { readonly covered: ReadonlyMap<string, Coverage>; readonly atMs: number; readonly items: readonly ItemView[] }>();

/** What can be protected (the machines) and what is in the vault, joined by item id. An item all of whose recovery points are gone for good, and that has no machine, is not shown. */
export async function listFleetItems(fleet: Fleet, nowMs: number): Promise<ItemList> {
  // The machines first: a vault that is read for the first time takes longer, and would hold them up.
  const machines = await fleet.coverage();
  const vault = await fleet.vault();
  const known = lists.get(vault.items);
  const asOf = vault.asOf < machines.asOf ? vault.asOf : machines.asOf;
  if (known?.covered === machines.value && Math.abs(nowMs - known.atMs) < LIST_MS) return { asOf, items: known.items };
  const ids = new Set(machines.value.keys());
  for (const [id, { points, damaged }] of vault.items) if (points.length + damaged.length > 0) ids.add(id);
  const items = [...ids].sort().map((id) => viewOfItem(id, vault.items.get(id), machines.value.get(id), nowMs));
  lists.set(vault.items, { covered: machines.value, atMs: nowMs, items });
  return { asOf, items };
}

/** An item by its id, or by its machine's name where only one has it. Throws ITEM_NOT_FOUND. */
export async function findFleetItem(fleet: Fleet, asked: string, nowMs: number): Promise<ItemView> {
  const machines = await fleet.coverage();
  const vault = await fleet.vault();
  const item = vault.items.get(asked);
  if (machines.value.has(asked) || (item && item.points.length + item.damaged.length > 0)) return viewOfItem(asked, item, machines.value.get(asked), nowMs);
  const named = (await listFleetItems(fleet, nowMs)).items.filter(({ name }) => name === asked);
  if (named.length === 1 && named[0]) return named[0];
  const why = named.length > 1 ? `${named.length} items are called "${asked}": use the id (${named.map(({ id }) => id).join(', ')})` : `There is no item "${asked.slice(0, 120)}"`;
  throw new HoldfastError('ITEM_NOT_FOUND', why, { data: { item: asked.slice(0, 120) } });
}
