import { type ErrorReport, HoldfastError } from '../../errors/holdfast-error';
import type { BlobRef } from '../format/blob';
import { listRecoveryPoints } from '../catalog';
import { isDamage } from '../proof/damage';
import { damagedPacks } from '../proof/damage-ledger';
import { BLOCK_BYTES, BLOB_OVERHEAD_BYTES, BlobKind, PACK_LIMIT_BYTES, PACK_TRAILER_BYTES, PackKind } from '../format/format';
import { diskTree, type Manifest, type ManifestDisk } from '../format/manifest';
import type { InnerNode } from '../format/nodes';
import { packName } from '../format/pack-names';
import { fetchBlob } from '../format/pack-reader';
import { type DiskTree, leafRefs, loadLeaf, loadRegion, loadRoot, type VaultAccess } from '../format/tree';

/**
 * What a restore needs, proved before anything is written: every node of the tree opens, every data pack that leaves refer to is there and
 * long enough for what is taken from it, and of packs that are known as damaged every chunk that is needed still proves. Content is not read
 * here: each chunk is proved when it is written. Memory is that of one region (64 GiB of disk), whatever the disk's size.
 */
export interface NeedsOptions {
  /** Packs that a scrub or a check found damaged. */
  readonly suspects: ReadonlySet<string>;
  readonly signal?: AbortSignal;
  readonly onRegion?: () => void;
}

/** Something that a restore needs and that is not there, or not whole. */
export interface MissingNeed {
  readonly code: ErrorReport['code'];
  readonly message: string;
  /** 32 hex digits. */
  readonly pack: string;
}

export interface Needs {
  /** Windows of 64 MiB that hold data. */
  windows: number;
  /** Plain bytes of chunks: what is written; the rest of the disk is zeros. */
  dataBytes: number;
  /** Up to MAX_LISTED of what is missing. */
  readonly missing: MissingNeed[];
}

/** Enough to see what is wrong; a vault without any pack would make a list as long as itself. */
const MAX_LISTED = 100;
const PARALLEL = 16;

export const noNeeds = (): Needs => ({ windows: 0, dataBytes: 0, missing: [] });

export function addNeeds(into: Needs, more: Needs): Needs {
  into.windows += more.windows;
  into.dataBytes += more.dataBytes;
  const known = new Set(into.missing.map(({ pack }) => pack));
  for (const one of more.missing) if (!known.has(one.pack) && into.missing.length < MAX_LISTED) into.missing.push(one);
  return into;
}

/** The regions of a disk that hold data, or what is wrong with its root. */
export async function regionsToRestore(vault: VaultAccess, tree: DiskTree): Promise<{ readonly regions: ReadonlyMap<number, BlobRef>; readonly needs: Needs }> {
  const needs = noNeeds();
  const root = await tolerated(needs, tree.root, () => loadRoot(vault, tree));
  return { regions: root?.children ?? new Map<number, BlobRef>(), needs };
}

/** Everything that one region needs. Throws what is no damage: a store that cannot be reached proves nothing. */
export async function needsOfRegion(vault: VaultAccess, ref: BlobRef, region: number, diskBytes: number, options: NeedsOptions): Promise<Needs> {
  const needs = noNeeds();
  const node = await tolerated(needs, ref, () => loadRegion(vault, ref, region, diskBytes));
  if (!node) return needs;
  const ends = new Map<string, number>();
  const doubtful: { chunk: BlobRef; bytes: number }[] = [];
  await parallel(leafRefs(node), options.signal, async ([window, leafRef]) => {
    const leaf = await tolerated(needs, leafRef, () => loadLeaf(vault, leafRef, window, diskBytes));
    needs.windows++;
    for (const { chunk, blocks } of leaf?.entries ?? []) {
      if (!chunk) continue;
      needs.dataBytes += blocks * BLOCK_BYTES;
      ends.set(chunk.pack, Math.max(ends.get(chunk.pack) ?? 0, chunk.offset + chunk.length));
      if (options.suspects.has(chunk.pack)) doubtful.push({ chunk, bytes: blocks * BLOCK_BYTES });
    }
  });
  await parallel(ends, options.signal, ([pack, end]) => provePack(vault, needs, pack, end));
  const lost = new Set(needs.missing.map(({ pack }) => pack));
  await parallel(doubtful.filter(({ chunk }) => !lost.has(chunk.pack)), options.signal, async ({ chunk, bytes }) => {
    await tolerated(needs, chunk, () => fetchBlob(vault.store, vault.keys, PackKind.data, BlobKind.chunk, chunk, bytes));
  });
  return needs;
}

/** Everything that a disk needs, region by region. */
export async function needsOfDisk(vault: VaultAccess, tree: DiskTree, options: NeedsOptions): Promise<Needs> {
  const { regions, needs } = await regionsToRestore(vault, tree);
  for (const [region, ref] of regions) {
    addNeeds(needs, await needsOfRegion(vault, ref, region, tree.sizeBytes, options));
    options.onRegion?.();
  }
  return needs;
}

/**
 * Throws RESTORE_DAMAGED when something is missing: with the packs, and with the item's other recovery points that need none of them, the
 * newest first.
 */
export async function refuseMissing(vault: VaultAccess, manifest: Manifest, missing: readonly MissingNeed[]): Promise<void> {
  const [first] = missing;
  if (!first) return;
  const packs = [...new Set(missing.map(({ pack }) => pack))];
  const others = await pointsWithout(vault, manifest, new Set(packs));
  const instead = others.length > 0 ? `These recovery points of ${manifest.itemId} do not need what is damaged: ${others.join(', ')}` : `No other recovery point of ${manifest.itemId} does without it`;
  throw new HoldfastError('RESTORE_DAMAGED', `${manifest.id} cannot be restored whole: ${first.message}${packs.length > 1 ? `, and ${packs.length - 1} more` : ''}. Nothing was written. ${instead}`,
    { data: { recoveryPoint: manifest.id, packs: packs.slice(0, 20), others } });
}

/** Proves that everything is there that these disks of a recovery point need. Throws RESTORE_DAMAGED; see refuseMissing. */
export async function proveRestorable(vault: VaultAccess, manifest: Manifest, disks: readonly ManifestDisk[], signal?: AbortSignal): Promise<void> {
  const options = { suspects: await damagedPacks(vault), ...(signal ? { signal } : {}) };
  for (const disk of disks) await refuseMissing(vault, manifest, (await needsOfDisk(vault, diskTree(disk), options)).missing);
}

/** Other recovery points that are looked at: enough to offer a choice. */
const MAX_OTHERS = 20;

async function pointsWithout(vault: VaultAccess, manifest: Manifest, packs: ReadonlySet<string>): Promise<string[]> {
  const { points } = await listRecoveryPoints(vault, manifest.itemId);
  const others = points.map((point) => point.manifest).filter(({ id }) => id !== manifest.id).reverse().slice(0, MAX_OTHERS);
  const seen = new Map<string, boolean>();
  const good: string[] = [];
  for (const other of others) {
    let needed = false;
    for (const disk of other.disks) needed ||= await refersTo(vault, diskTree(disk), packs, seen);
    if (!needed) good.push(other.id);
  }
  return good;
}

/** Whether a disk's tree refers to one of the packs, by what its inner nodes say. A node that does not open counts as one that does. */
async function refersTo(vault: VaultAccess, tree: DiskTree, packs: ReadonlySet<string>, seen: Map<string, boolean>): Promise<boolean> {
  try {
    if (tree.root && packs.has(tree.root.pack)) return true;
    const root = await loadRoot(vault, tree);
    for (const [region, ref] of root?.children ?? []) {
      const key = ref.id.toString('hex');
      const known = seen.get(key) ?? (packs.has(ref.pack) || namesOne(await loadRegion(vault, ref, region, tree.sizeBytes), packs));
      seen.set(key, known);
      if (known) return true;
    }
    return false;
  } catch (error) {
    if (isDamage(error)) return true;
    throw error;
  }
}

const namesOne = ({ usage, children }: InnerNode, packs: ReadonlySet<string>): boolean =>
  [...packs].some((pack) => usage.has(pack)) || [...children.values()].some(({ pack }) => packs.has(pack));

/** The smallest footer: a count of nothing, within the overhead of its blob. */
const LEAST_AFTER_BLOBS = BLOB_OVERHEAD_BYTES + 4 + PACK_TRAILER_BYTES;

async function provePack(vault: VaultAccess, needs: Needs, pack: string, endBytes: number): Promise<void> {
  const info = await vault.store.stat(packName(PackKind.data, pack));
  if (!info) note(needs, { code: 'PACK_MISSING', message: `Pack ${pack} is not in the vault`, pack });
  else if (info.sizeBytes < endBytes + LEAST_AFTER_BLOBS || info.sizeBytes > PACK_LIMIT_BYTES) {
    note(needs, { code: 'PACK_DAMAGED', message: `Pack ${pack} has ${info.sizeBytes} bytes, and chunks up to byte ${endBytes} are needed of it`, pack });
  }
}

function note(needs: Needs, missing: MissingNeed): void {
  addNeeds(needs, { windows: 0, dataBytes: 0, missing: [missing] });
}

/** Runs a step and takes damage of what `ref` names up instead of throwing it. */
async function tolerated<T>(needs: Needs, ref: BlobRef | null, step: () => Promise<T>): Promise<T | null> {
  try {
    return await step();
  } catch (error) {
    if (!isDamage(error) || !ref) throw error;
    note(needs, { code: error.code, message: error.message, pack: ref.pack });
    return null;
  }
}

/** A few at once, to hide the time of a round trip. The first failure stops the rest. */
export async function parallel<T>(all: Iterable<T>, signal: AbortSignal | undefined, work: (one: T) => Promise<void>): Promise<void> {
  const queue = all[Symbol.iterator]();
  let failed = false;
  const results = await Promise.allSettled(Array.from({ length: PARALLEL }, async () => {
    for (let next = queue.next(); !next.done && !failed; next = queue.next()) {
      if (signal?.aborted) throw new HoldfastError('CANCELLED', 'It was stopped');
      try {
        await work(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  }));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
