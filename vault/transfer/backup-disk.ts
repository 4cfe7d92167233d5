import { HoldfastError } from '../../errors/holdfast-error';
import type { DiskRange } from './block-source';
import { recordDamage } from '../proof/damage-ledger';
import { MAX_DISK_BYTES, PackKind, REGION_WINDOWS } from '../format/format';
import type { InnerNode } from '../format/nodes';
import { PackWriter } from '../format/pack-writer';
import { damageOfLanes, type ParentSurvey, windowsInNeed } from './parent-survey';
import { type RecordEntry, recordReferences, type ReferencesPlace, regionName } from '../points/references';
import type { BlobRef } from '../format/blob';
import { buildRoot } from '../format/tree-builder';
import { type DiskTree, loadRegion, loadRoot, type VaultAccess } from '../format/tree';
import { finishRegion, transferSlice, windowJobs, windowsOf } from './transfer';
import type { Lane } from './transfer-lane';
import { addStats, emptyStats, type TransferStats } from './transfer-types';
import { windowCount } from './window-blocks';

export interface BackupDiskRequest {
  readonly sizeBytes: number;
  readonly parent: DiskTree | null;
  /** Ranges known to have changed since the parent; null when everything must be read and compared. */
  readonly changed: readonly DiskRange[] | null;
  /** What else is to be looked at, and what not to be taken over: see surveyParent. The lanes must have been opened with its packs. */
  readonly survey?: ParentSurvey | undefined;
  /** The time that goes into entries of the damage ledger; by default this machine's. */
  readonly nowMs?: number | undefined;
  /** Where the disk's references are recorded: see referencesPlace. It must speak of the same parent. */
  readonly references: ReferencesPlace;
  readonly onWindow?: (stats: TransferStats) => void;
  readonly signal?: AbortSignal;
}

export interface BackupDiskOutcome {
  readonly root: BlobRef | null;
  readonly mode: 'full' | 'incremental' | 'compared';
  readonly stats: TransferStats;
  /** The records of references that were made, for the manifest. */
  readonly records: readonly RecordEntry[];
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
  const records: RecordEntry[] = [];
  const stats = emptyStats();
  for (let region = 0; region * REGION_WINDOWS < windowCount(sizeBytes); region++) {
    const changedHere = windowsOfRegion(sizeBytes, region, windows);
    if (changedHere.length === 0 && !request.survey?.regions.includes(region)) continue;
    const parentRegion = await regionOf(vault, parentRoot, region);
    const needy = windows && request.survey ? await windowsInNeed(vault, parentRegion, new Set([...request.survey.avoid, ...request.survey.forward])) : [];
    const wanted = [...new Set([...changedHere, ...needy])].sort((a, b) => a - b);
    if (wanted.length === 0) continue;
    const jobs = windowJobs(parentRegion, sizeBytes, fresh, wanted, (window) => (windows ? windows.get(window) ?? [] : null));
    const slice = await transferSlice(lanes, jobs, { onResult: ({ stats: more }) => request.onWindow?.(more), signal: request.signal });
    addStats(stats, slice.stats);
    await recordDamage(vault, damageOfLanes(slice.windows), { by: 'backup', nowMs: request.nowMs ?? Date.now() });
    const built = await finishRegion(vault, region, sizeBytes, parentRegion, fresh, slice.windows);
    stats.storedBytes += built.storedBytes;
    const { ref, record } = await recordReferences(vault, request.references, regionName(region), built);
    regions.set(region, ref);
    if (record) records.push(record);
  }
  const root = await finishDisk(vault, sizeBytes, parent, parentRoot, regions, request.references);
  stats.storedBytes += root.storedBytes;
  return { root: root.ref, stats, records: [...records, ...root.records], mode: parent === null ? 'full' : changed === null ? 'compared' : 'incremental' };
}

/** Builds and stores the root from what became of the regions, and drops regions beyond the end of a disk that shrank. */
export async function finishDisk(
  vault: VaultAccess, sizeBytes: number, parent: DiskTree | null, parentRoot: InnerNode | null,
  regions: ReadonlyMap<number, BlobRef | 'same' | null>, place: ReferencesPlace,
): Promise<{ ref: BlobRef | null; storedBytes: number; records: RecordEntry[] }> {
  const metaPacks = new PackWriter(vault.store, vault.keys, { kind: PackKind.meta, compressionLevel: 1 });
  const before = parent?.root && parentRoot ? { node: parentRoot, ref: parent.root } : null;
  const built = await buildRoot(vault.keys, metaPacks, sizeBytes, before, regions);
  await metaPacks.flush();
  const { ref, record } = await recordReferences(vault, place, 'root', built);
  const records = [...record ? [record] : [], ...await giveUpBeyondEnd(vault, sizeBytes, parentRoot, place)];
  return { ref: ref === 'same' ? before?.ref ?? null : ref, storedBytes: metaPacks.storedBytes, records };
}

/** A disk that shrank gives up everything that its parent's later regions referred to. */
async function giveUpBeyondEnd(vault: VaultAccess, sizeBytes: number, parentRoot: InnerNode | null, place: ReferencesPlace): Promise<RecordEntry[]> {
  const records: RecordEntry[] = [];
  for (const index of parentRoot?.children.keys() ?? []) {
    if (index * REGION_WINDOWS < windowCount(sizeBytes)) continue;
    const built = await finishRegion(vault, index, sizeBytes, await regionOf(vault, parentRoot, index), true, []);
    const { record } = await recordReferences(vault, place, regionName(index), built);
    if (record) records.push(record);
  }
  return records;
}

export async function regionOf(vault: VaultAccess, root: InnerNode | null, region: number): Promise<InnerNode | null> {
  const ref = root?.children.get(region);
  return root && ref ? loadRegion(vault, ref, region, root.diskBytes) : null;
}

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
