import { type ErrorReport, HoldfastError } from '../errors/holdfast-error';
import { findItem, itemIds } from './items';
import { isUnreadable } from './format/documents';
import { findManifest, ITEM_ID, loadManifest, type LoadedManifest, type Manifest, type ManifestDisk, recoveryPointId, STAMP, stampOrder } from './format/manifest';
import { type MarkState, readMarks, readMarksOf, refuseGone } from './points/marks';
import { type LastProof, lastProvedItems } from './proof/proofs';
import type { VaultAccess } from './format/tree';
import { listNames } from './store/list-names';

/** A manifest that does not open. The recovery point cannot be used, but the others can. */
export interface DamagedManifest {
  readonly id: string;
  readonly itemId: string;
  readonly stamp: string;
  readonly error: ErrorReport;
  readonly marks: MarkState;
}

/** A recovery point and what became of it since. */
export interface ListedPoint extends LoadedManifest {
  readonly marks: MarkState;
}

export interface RecoveryPointList {
  /** By item, then by sequence: the newest of an item is its last. */
  readonly points: readonly ListedPoint[];
  readonly damaged: readonly DamagedManifest[];
}

export interface ListOptions {
  /** Also those in the bin. What is gone for good is never listed. */
  readonly deleted?: boolean;
}

export interface ItemSummary {
  readonly itemId: string;
  /** The machine's or image's name in the newest recovery point; null when none of them opens. */
  readonly name: string | null;
  readonly recoveryPoints: number;
  readonly damaged: number;
  readonly oldestAt: string | null;
  readonly latest: { readonly id: string; readonly createdAt: string; readonly consistency: Manifest['consistency']; readonly sizeBytes: number } | null;
  /** The last proof of the newest recovery point that was ever proved by reading it back; null when none was. */
  readonly proved: Pick<LastProof, 'recoveryPoint' | 'at' | 'ok'> | null;
}

const PREFIX = 'recovery-points/';
/** Manifests that are fetched at once: enough to hide the time of a round trip, few enough not to be throttled. */
const PARALLEL_READS = 16;

/**
 * Every recovery point of the vault or of one item that was not deleted. A manifest that is damaged is listed apart, so that one bad object
 * does not hide the good ones. An item without any is an empty list: see requireItem.
 */
export const listRecoveryPoints = (vault: VaultAccess, itemId?: string, options: ListOptions = {}): Promise<RecoveryPointList> =>
  pickRecoveryPoints(vault, itemId, options, (point) => point);

/** The same with what `pick` makes of each: a thousand manifests of large machines would fill memory. */
export async function pickRecoveryPoints<T>(vault: VaultAccess, itemId: string | undefined, { deleted = false }: ListOptions, pick: (point: ListedPoint) => T): Promise<{ points: T[]; damaged: DamagedManifest[] }> {
  const all = await manifestNames(vault, itemId);
  const ids = new Set(all.map((name) => recoveryPointId(name.itemId, name.stamp)));
  const marks = await readMarks(vault, { itemId, wanted: (id) => ids.has(id) });
  const names = all.map((name) => ({ ...name, marks: marks.of(recoveryPointId(name.itemId, name.stamp)) })).filter((name) => name.marks.state === 'live' || (deleted && name.marks.state === 'binned'));
  const points: { itemId: string; sequence: number; picked: T }[] = [];
  const damaged: DamagedManifest[] = [];
  const queue = names.values();
  await Promise.all(Array.from({ length: Math.min(PARALLEL_READS, names.length) }, async () => {
    for (const { itemId: item, stamp, marks: state } of queue) {
      try {
        const found = await findManifest(vault, item, stamp);
        if (found) points.push({ itemId: item, sequence: found.manifest.sequence, picked: pick({ ...found, marks: state }) });
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        damaged.push({ id: recoveryPointId(item, stamp), itemId: item, stamp, error: error.toJSON(), marks: state });
      }
    }
  }));
  points.sort((a, b) => compare(a.itemId, b.itemId) || a.sequence - b.sequence);
  damaged.sort((a, b) => compare(a.id, b.id));
  return { points: points.map(({ picked }) => picked), damaged };
}

/** The items that have recovery points, by name, from their manifests alone. */
export async function listItems(vault: VaultAccess): Promise<ItemSummary[]> {
  const { points, damaged } = await listRecoveryPoints(vault);
  const ids = new Set([...points.map(({ manifest }) => manifest.itemId), ...damaged.map(({ itemId }) => itemId)]);
  const shown = new Set([...points.map(({ manifest }) => manifest.id), ...damaged.map(({ id }) => id)]);
  const proved = await lastProvedItems(vault, (id) => shown.has(id));
  return [...ids].sort(compare).map((itemId) => {
    const own = points.filter(({ manifest }) => manifest.itemId === itemId).map(({ manifest }) => manifest);
    const latest = own.at(-1);
    return {
      itemId,
      name: latest?.source.name ?? null,
      recoveryPoints: own.length,
      damaged: damaged.filter((one) => one.itemId === itemId).length,
      oldestAt: own[0]?.createdAt ?? null,
      latest: latest ? { id: latest.id, createdAt: latest.createdAt, consistency: latest.consistency, sizeBytes: diskBytes(latest) } : null,
      proved: provedOf(proved.get(itemId)),
    };
  });
}

const provedOf = (last: LastProof | undefined): ItemSummary['proved'] => last ? { recoveryPoint: last.recoveryPoint, at: last.at, ok: last.ok } : null;

export const diskBytes = ({ disks }: { readonly disks: readonly { readonly sizeBytes: number }[] }): number => disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/**
 * The recovery point that a person names: its id, or `latest`, which is the one of the highest sequence of the item.
 * `latest` needs `itemId` unless the vault has one item only. Throws RECOVERY_POINT_NOT_FOUND, RECOVERY_POINT_DELETED (also for one in the bin,
 * unless `deleted` asks for those too), ITEM_NOT_FOUND, ITEM_AMBIGUOUS, or the damage of a manifest: an older recovery point is never handed out as the latest.
 */
export async function resolveRecoveryPoint(vault: VaultAccess, wanted: string, itemId?: string, options: ListOptions = {}): Promise<ListedPoint> {
  if (wanted !== 'latest') {
    const found = await loadRecoveryPoint(vault, wanted, options);
    if (itemId !== undefined && found.manifest.itemId !== await itemIdOf(vault, itemId)) {
      throw new HoldfastError('RECOVERY_POINT_NOT_FOUND', `${wanted} is a recovery point of ${found.manifest.itemId}, not of ${itemId}`, { data: { id: wanted, itemId } });
    }
    return found;
  }
  const item = itemId === undefined ? await onlyItem(vault) : await itemIdOf(vault, itemId);
  const { points, damaged } = await listRecoveryPoints(vault, item);
  const latest = points.at(-1);
  const bad = damaged.find(({ stamp }) => latest === undefined || stamp > latest.manifest.stamp);
  if (bad) throw new HoldfastError(bad.error.code, `The latest recovery point of ${item}, ${bad.id}, is damaged: ${bad.error.message}`, { data: { id: bad.id } });
  if (!latest) throw itemNotFound(vault, item);
  return latest;
}

/** A recovery point by its id, with what became of it. Throws RECOVERY_POINT_NOT_FOUND, RECOVERY_POINT_DELETED, or the damage of its manifest. */
export async function loadRecoveryPoint(vault: VaultAccess, id: string, { deleted = false }: ListOptions = {}): Promise<ListedPoint> {
  const marks = await readMarksOf(vault, id);
  refuseGone(id, marks);
  if (marks.state === 'binned' && !deleted) {
    throw new HoldfastError('RECOVERY_POINT_DELETED', `${id} was deleted at ${marks.deleted?.at} by ${marks.deleted?.by}, and lies in the bin until ${marks.binUntil}`, { data: { id, binUntil: marks.binUntil } });
  }
  return { ...await loadManifest(vault, id), marks };
}

/**
 * The id of the item that a person names: by its id, or by its machine's name where only one item has it. What is neither is
 * answered as it is; looking for its recovery points then says that there are none. Throws ITEM_AMBIGUOUS.
 */
export async function itemIdOf(vault: VaultAccess, asked: string): Promise<string> {
  if (!ITEM_ID.test(asked) || (await manifestNames(vault, asked)).length > 0) return asked;
  const named: string[] = [];
  for await (const itemId of itemIds(vault)) if (itemId.startsWith(`${asked}-`) && (await findItem(vault, itemId))?.name === asked) named.push(itemId);
  if (named.length > 1) throw new HoldfastError('ITEM_AMBIGUOUS', `${named.length} items are called ${asked}: ${named.join(', ')}`, { data: { items: named } });
  return named[0] ?? asked;
}

/** The ids of the items that have recovery points, in order, deleted ones and all: one list, and no manifest is read. */
export async function itemsInVault(vault: VaultAccess): Promise<string[]> {
  return [...new Set((await manifestNames(vault)).map(({ itemId }) => itemId))].sort(compare);
}

/** Throws ITEM_NOT_FOUND unless the item has a recovery point, damaged or not. */
export async function requireItem(vault: VaultAccess, itemId: string): Promise<void> {
  if ((await manifestNames(vault, itemId)).length === 0) throw itemNotFound(vault, itemId);
}

/**
 * A disk of a recovery point by its name, else by its lun; without either the only one it has.
 * Throws DISK_AMBIGUOUS when there are several, DISK_NOT_FOUND when there is none such.
 */
export function findDisk(manifest: Manifest, wanted?: string): ManifestDisk {
  const known = manifest.disks.map(({ name, lun }) => `${name} (lun ${lun})`);
  const data = { id: manifest.id, disks: manifest.disks.map(({ name }) => name) };
  if (wanted === undefined) {
    const [only, ...more] = manifest.disks;
    if (only && more.length === 0) return only;
    throw new HoldfastError('DISK_AMBIGUOUS', `${manifest.id} has ${manifest.disks.length} disks: ${known.join(', ')}`, { data });
  }
  const byName = manifest.disks.filter(({ name }) => name === wanted);
  if (byName.length > 1) throw new HoldfastError('DISK_AMBIGUOUS', `${manifest.id} has ${byName.length} disks of the name ${wanted}: ${known.join(', ')}`, { data });
  const found = byName[0] ?? manifest.disks.find(({ lun }) => lun === wanted);
  if (!found) throw new HoldfastError('DISK_NOT_FOUND', `${manifest.id} has no disk ${JSON.stringify(wanted.slice(0, 120))}; it has ${known.join(', ')}`, { data });
  return found;
}

export interface NewestPoint {
  readonly itemId: string;
  /** The newest recovery point that is there, was not deleted and opens; null when none does. */
  readonly newest: Pick<Manifest, 'id' | 'createdAt'> | null;
  /** Recovery points above it that do not open. */
  readonly unreadable: number;
  /** When the oldest one that is there was wanted, as its stamp says. */
  readonly oldestStamp: string;
}

/** Of each item with recovery points the newest: two lists, and as a rule one manifest an item. */
export async function newestPoints(vault: VaultAccess): Promise<NewestPoint[]> {
  const all = await manifestNames(vault);
  const ids = new Set(all.map(({ itemId, stamp }) => recoveryPointId(itemId, stamp)));
  const marks = await readMarks(vault, { wanted: (id) => ids.has(id) });
  const stamps = new Map<string, string[]>();
  for (const { itemId, stamp } of all) if (marks.of(recoveryPointId(itemId, stamp)).state === 'live') stamps.set(itemId, [...stamps.get(itemId) ?? [], stamp]);
  const found: NewestPoint[] = [];
  const queue = stamps.entries();
  await Promise.all(Array.from({ length: PARALLEL_READS }, async () => {
    for (const [itemId, own] of queue) found.push(await newestOf(vault, itemId, own));
  }));
  return found.sort((a, b) => compare(a.itemId, b.itemId));
}

async function newestOf(vault: VaultAccess, itemId: string, stamps: readonly string[]): Promise<NewestPoint> {
  const ascending = [...stamps].sort((a, b) => compare(stampOrder(a), stampOrder(b)));
  const oldestStamp = ascending[0] ?? '';
  let unreadable = 0;
  for (const stamp of ascending.reverse()) {
    try {
      const manifest = (await findManifest(vault, itemId, stamp))?.manifest;
      if (manifest) return { itemId, newest: { id: manifest.id, createdAt: manifest.createdAt }, unreadable, oldestStamp };
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      unreadable++;
    }
  }
  return { itemId, newest: null, unreadable, oldestStamp };
}

async function manifestNames(vault: VaultAccess, itemId?: string): Promise<{ itemId: string; stamp: string }[]> {
  if (itemId !== undefined && !ITEM_ID.test(itemId)) throw itemNotFound(vault, itemId);
  const names: { itemId: string; stamp: string }[] = [];
  for await (const name of listNames(vault.store, itemId === undefined ? PREFIX : `${PREFIX}${itemId}/`)) {
    const [item, stamp, ...more] = name.slice(PREFIX.length).split('/');
    // What is no name of a manifest was not written by Holdfast, and is no recovery point.
    if (item !== undefined && stamp !== undefined && more.length === 0 && ITEM_ID.test(item) && STAMP.test(stamp)) names.push({ itemId: item, stamp });
  }
  return names;
}

async function onlyItem(vault: VaultAccess): Promise<string> {
  const items = await itemsInVault(vault);
  const [only, ...more] = items;
  if (only === undefined) throw new HoldfastError('RECOVERY_POINT_NOT_FOUND', `${vault.store.description} has no recovery point yet`);
  if (more.length > 0) throw new HoldfastError('ITEM_AMBIGUOUS', `The vault has ${items.length} items: ${items.slice(0, 20).join(', ')}`, { data: { items: items.slice(0, 100) } });
  return only;
}

const itemNotFound = (vault: VaultAccess, itemId: string): HoldfastError =>
  new HoldfastError('ITEM_NOT_FOUND', `${vault.store.description} has no recovery point of an item ${JSON.stringify(itemId.slice(0, 120))}`, { data: { itemId: itemId.slice(0, 120) } });

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
