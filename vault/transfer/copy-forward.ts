import { DATA_PACK_TARGET_BYTES, PackKind } from '../format/format';
import { diskTree } from '../format/manifest';
import { packName } from '../format/pack-names';
import { newestPoint } from '../run';
import { regionsOf, type VaultAccess } from '../format/tree';
import { isDamage } from '../proof/damage';

/**
 * A pack of which the newest tree uses less than this share is sparse: its chunks are copied into new packs by the item's next backup, so that the old one
 * goes with the last recovery point that needs it (docs/decisions/copy-forward.md). A copied byte then stands against three that become free.
 */
export const SPARSE_BELOW = 0.25;
/** Blobs that one run copies of one disk: about two seconds of reading and writing, beside a run that has its own work. */
export const MAX_FORWARD_BYTES = 64 * 1024 * 1024;
/** Packs that one run copies of one disk: a vault whose sparse packs hold little each is still not asked a thousand things. */
export const MAX_FORWARD_PACKS = 128;
/** Regions that one run looks at: all of a disk up to a TiB; of a larger one they take turns. */
export const MAX_SURVEYED_REGIONS = 16;
/** Packs whose size one run asks for. */
const MAX_SIZED_PACKS = 512;
/** A smaller pack is left alone: the objects that it would free cost less than the copying, and what closes a pack is a large part of it. */
export const MIN_SPARSE_PACK_BYTES = 64 * 1024;
const PARALLEL_READS = 16;

export interface SparsePack {
  readonly pack: string;
  readonly region: number;
  /** Bytes of blobs that the region uses of it. */
  readonly liveBytes: number;
}

/** The regions whose turn it is to be looked at: as many as one run may, another share on each run. */
export function regionsOfTurn(regions: readonly number[], turn: number): number[] {
  if (regions.length <= MAX_SURVEYED_REGIONS) return [...regions];
  const start = (turn * MAX_SURVEYED_REGIONS) % regions.length;
  return Array.from({ length: MAX_SURVEYED_REGIONS }, (_, index) => regions[(start + index) % regions.length] as number);
}

/**
 * Which packs a run copies forward: sparse ones, those with the least left in them first, within the bounds of a run. A pack that holds chunks of a lender is
 * left alone while the lender's newest recovery point uses it: it is sparse here only, and copying it would undo what was saved.
 */
export async function chooseSparse(vault: VaultAccess, used: readonly SparsePack[], lenders: readonly string[]): Promise<SparsePack[]> {
  const total = new Map<string, number>();
  for (const { pack, liveBytes } of used) total.set(pack, (total.get(pack) ?? 0) + liveBytes);
  const live = (one: SparsePack): number => total.get(one.pack) ?? 0;
  const candidates = used.filter((one) => live(one) < SPARSE_BELOW * DATA_PACK_TARGET_BYTES).sort((a, b) => live(a) - live(b) || (a.pack < b.pack ? -1 : 1));
  const sparse = await sparseOf(vault, [...new Set(candidates.map(({ pack }) => pack))], total);
  if (sparse.size === 0) return [];
  for (const lender of lenders) await removeUsedBy(vault, lender, sparse);
  const chosen = new Set<string>();
  let bytes = 0;
  for (const one of candidates) {
    if (chosen.has(one.pack) || !sparse.has(one.pack)) continue;
    bytes += live(one);
    // At least one, so that however large it is its turn comes.
    if (chosen.size > 0 && (bytes > MAX_FORWARD_BYTES || chosen.size === MAX_FORWARD_PACKS)) break;
    chosen.add(one.pack);
  }
  return used.filter(({ pack }) => chosen.has(pack));
}

/** Those of the packs that are sparse by their size in the store. One that is missing is no matter of this: a check finds it. */
async function sparseOf(vault: VaultAccess, packs: readonly string[], live: ReadonlyMap<string, number>): Promise<Set<string>> {
  const sparse = new Set<string>();
  const queue = packs.slice(0, MAX_SIZED_PACKS).values();
  await Promise.all(Array.from({ length: PARALLEL_READS }, async () => {
    for (const pack of queue) {
      const info = await vault.store.stat(packName(PackKind.data, pack));
      if (info && info.sizeBytes >= MIN_SPARSE_PACK_BYTES && (live.get(pack) ?? 0) < SPARSE_BELOW * info.sizeBytes) sparse.add(pack);
    }
  }));
  return sparse;
}

async function removeUsedBy(vault: VaultAccess, itemId: string, packs: Set<string>): Promise<void> {
  const { point, passedOver } = await newestPoint(vault, itemId);
  // What the lender uses cannot be told, so nothing is copied this time.
  if (passedOver.some(({ damage }) => damage)) packs.clear();
  for (const disk of point?.manifest.disks ?? []) {
    if (packs.size === 0) return;
    try {
      for await (const region of regionsOf(vault, diskTree(disk))) for (const pack of region.usage.keys()) packs.delete(pack);
    } catch (error) {
      if (!isDamage(error)) throw error;
      packs.clear();
    }
  }
}
