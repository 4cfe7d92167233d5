import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';
import type { DiskRange } from './block-source';
import { createDocument, findDocument } from './documents';
import { MAX_DISK_BYTES, PackKind, REGION_WINDOWS } from './format';
import type { InnerNode } from './nodes';
import { blobRefSchema } from './manifest';
import { PackWriter } from './pack-writer';
import { refFromJson, refToJson } from './ref-json';
import type { RunRef } from './run';
import type { BlobRef } from './blob';
import { type BuiltNode, buildRoot } from './tree-builder';
import { type DiskTree, loadRegion, loadRoot, type VaultAccess } from './tree';
import { finishRegion, transferSlice, windowJobs, windowsOf } from './transfer';
import type { Lane } from './transfer-lane';
import { addStats, emptyStats, type TransferStats } from './transfer-types';
import { windowCount } from './window-blocks';

export interface BackupDiskRequest {
  readonly sizeBytes: number;
  readonly parent: DiskTree | null;
  /** Ranges known to have changed since the parent; null when everything must be read and compared. */
  readonly changed: readonly DiskRange[] | null;
  /** Where the disk's references are recorded: see referencesFolder. */
  readonly referencesFolder: string;
  readonly onWindow?: (stats: TransferStats) => void;
  readonly signal?: AbortSignal;
}

export interface BackupDiskOutcome {
  readonly root: BlobRef | null;
  readonly mode: 'full' | 'incremental' | 'compared';
  readonly stats: TransferStats;
}

/**
 * Backs up a whole disk in this process: all regions one after another, over the same pieces that the activities use.
 * A disk whose size is not its parent's is read whole and compared.
 */
export async function backupDisk(vault: VaultAccess, lanes: readonly Lane[], request: BackupDiskRequest): Promise<BackupDiskOutcome> {
  const { sizeBytes, parent } = request;
  if (sizeBytes > MAX_DISK_BYTES) throw new HoldfastError('SOURCE_TOO_LARGE', `A disk of ${sizeBytes} bytes is larger than ${MAX_DISK_BYTES}`);
  const fresh = parent !== null && parent.sizeBytes !== sizeBytes;
  const changed = parent === null || fresh ? null : request.changed;
  const parentRoot = parent && await loadRoot(vault, parent);
  const windows = changed === null ? null : changedWindows(sizeBytes, changed);
  const regions = new Map<number, BlobRef | 'same' | null>();
  const stats = emptyStats();
  for (let region = 0; region * REGION_WINDOWS < windowCount(sizeBytes); region++) {
    const wanted = windowsOfRegion(sizeBytes, region, windows);
    if (wanted.length === 0) continue;
    const parentRegion = await regionOf(vault, parentRoot, region);
    const jobs = windowJobs(parentRegion, sizeBytes, fresh, wanted, (window) => windows?.get(window) ?? null);
    const slice = await transferSlice(lanes, jobs, { onResult: ({ stats: more }) => request.onWindow?.(more), signal: request.signal });
    addStats(stats, slice.stats);
    const built = await finishRegion(vault, region, sizeBytes, parentRegion, fresh, slice.windows);
    stats.storedBytes += built.storedBytes;
    regions.set(region, await recordReferences(vault, regionReferences(request.referencesFolder, region), built));
  }
  const root = await finishDisk(vault, sizeBytes, parent, parentRoot, regions, request.referencesFolder);
  stats.storedBytes += root.storedBytes;
  return { root: root.ref, stats, mode: parent === null ? 'full' : changed === null ? 'compared' : 'incremental' };
}

/** Builds and stores the root from what became of the regions, and drops regions beyond the end of a disk that shrank. */
export async function finishDisk(
  vault: VaultAccess, sizeBytes: number, parent: DiskTree | null, parentRoot: InnerNode | null,
  regions: ReadonlyMap<number, BlobRef | 'same' | null>, referencesFolder: string,
): Promise<{ ref: BlobRef | null; storedBytes: number }> {
  const metaPacks = new PackWriter(vault.store, vault.keys, { kind: PackKind.meta, compressionLevel: 1 });
  const before = parent?.root && parentRoot ? { node: parentRoot, ref: parent.root } : null;
  const built = await buildRoot(vault.keys, metaPacks, sizeBytes, before, regions);
  await metaPacks.flush();
  const ref = await recordReferences(vault, `${referencesFolder}/root`, built);
  await giveUpBeyondEnd(vault, sizeBytes, parentRoot, referencesFolder);
  return { ref: ref === 'same' ? before?.ref ?? null : ref, storedBytes: metaPacks.storedBytes };
}

/** A disk that shrank gives up everything that its parent's later regions referred to. */
async function giveUpBeyondEnd(vault: VaultAccess, sizeBytes: number, parentRoot: InnerNode | null, folder: string): Promise<void> {
  for (const index of parentRoot?.children.keys() ?? []) {
    if (index * REGION_WINDOWS < windowCount(sizeBytes)) continue;
    const built = await finishRegion(vault, index, sizeBytes, await regionOf(vault, parentRoot, index), true, []);
    await recordReferences(vault, regionReferences(folder, index), built);
  }
}

export const regionReferences = (folder: string, region: number): string => `${folder}/${String(region).padStart(4, '0')}`;

const referencesSchema = z.object({ version: z.literal(1), node: blobRefSchema.nullable() });

/**
 * Records what a node refers to, and returns the node to go on with. When the same step of the same run recorded another one before
 * (it ran twice, with packs of its own each time), that one counts: record and tree always speak of the same packs.
 */
export async function recordReferences(vault: VaultAccess, name: string, built: BuiltNode): Promise<BuiltNode['ref']> {
  const { ref, references } = built;
  const all = [references.data.taken, references.data.given, references.meta.taken, references.meta.given];
  if (ref === 'same' || (ref === null && all.every((packs) => packs.length === 0))) return ref;
  if (await createDocument(vault, name, { version: 1, node: ref && refToJson(ref), ...references }) === 'created') return ref;
  const first = await findDocument(vault, name, referencesSchema);
  if (!first) throw new HoldfastError('VAULT_DAMAGED', `The record ${name} is there and is not there`, { data: { name } });
  return first.node && refFromJson(first.node);
}

export async function regionOf(vault: VaultAccess, root: InnerNode | null, region: number): Promise<InnerNode | null> {
  const ref = root?.children.get(region);
  return root && ref ? loadRegion(vault, ref, region, root.diskBytes) : null;
}

/** By run, not by stamp: a run that is given up leaves its records, and the next run for the same slot has other packs. */
export const referencesFolder = (run: RunRef, disk: number): string => `references/${run.itemId}/${String(run.sequence).padStart(10, '0')}/${disk}`;

/** Changed ranges by window. Throws RANGES_INVALID for one that does not lie within the disk. */
function changedWindows(sizeBytes: number, changed: readonly DiskRange[]): Map<number, DiskRange[]> {
  const byWindow = new Map<number, DiskRange[]>();
  for (const range of changed) {
    // NaN would pass every comparison and drop the range without a word.
    if (!Number.isSafeInteger(range.offset) || !Number.isSafeInteger(range.length) || range.offset < 0 || range.length < 0 || range.offset + range.length > sizeBytes) {
      throw new HoldfastError('RANGES_INVALID', `The range at ${range.offset} of ${range.length} bytes does not lie within the disk of ${sizeBytes}`);
    }
    if (range.length === 0) continue;
    const { first, last } = windowsOf(sizeBytes, range);
    for (let window = first; window <= last; window++) {
      const list = byWindow.get(window);
      if (list) list.push(range); else byWindow.set(window, [range]);
    }
  }
  return byWindow;
}

function windowsOfRegion(sizeBytes: number, region: number, windows: ReadonlyMap<number, unknown> | null): number[] {
  const first = region * REGION_WINDOWS;
  const end = Math.min(first + REGION_WINDOWS, windowCount(sizeBytes));
  const all = Array.from({ length: end - first }, (_, index) => first + index);
  return windows ? all.filter((window) => windows.has(window)) : all;
}
