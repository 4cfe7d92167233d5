import { HoldfastError } from '../../errors/holdfast-error';
import type { DiskRange } from './block-source';
import { PackKind, REGION_WINDOWS, WINDOW_BYTES } from '../format/format';
import type { InnerNode, PackUsage } from '../format/nodes';
import { PackWriter } from '../format/pack-writer';
import { refFromJson, refToJson } from '../format/ref-json';
import { buildRegion, type BuiltNode } from '../format/tree-builder';
import { leafRefs, loadHooks, loadLeaf, type VaultAccess } from '../format/tree';
import type { Lane, LaneJob, LaneResult } from './transfer-lane';
import { addStats, emptyStats, type TransferStats } from './transfer-types';
import { windowCount } from './window-blocks';

/** Nodes hardly compress (ids are random) and are small: the fastest level is right. */
const META_LEVEL = 1;

export interface SliceOutcome {
  readonly windows: readonly LaneResult[];
  readonly stats: TransferStats;
}

export interface RunLanesOptions<R> {
  /** Called for each result as it comes. */
  readonly onResult?: (result: R) => void;
  readonly signal?: AbortSignal;
}

/** Feeds jobs to lanes, each of which takes the next one as soon as it is done with one. The first failure stops the rest; what was begun is waited for. */
export async function runLanes<J, R>(lanes: readonly Lane[], jobs: Iterable<J> | AsyncIterable<J>, work: (lane: Lane, job: J) => Promise<R>, options: RunLanesOptions<R> = {}): Promise<R[]> {
  // Without a lane no job would be done, and a disk that nobody read would look like one of zeros.
  if (lanes.length === 0) throw new HoldfastError('INTERNAL', 'There is no lane to work on the windows');
  const queue = Symbol.asyncIterator in jobs ? jobs[Symbol.asyncIterator]() : jobs[Symbol.iterator]();
  const results: R[] = [];
  let stopped = false;
  const failures: unknown[] = [];
  await Promise.all(lanes.map(async (lane) => {
    try {
      for (let next = await queue.next(); !next.done && !stopped; next = await queue.next()) {
        if (options.signal?.aborted) throw new HoldfastError('CANCELLED', 'The run was cancelled');
        const result = await work(lane, next.value);
        results.push(result);
        options.onResult?.(result);
      }
    } catch (error) {
      stopped = true;
      failures.push(error);
    }
  }));
  if (failures.length > 0) throw failures[0];
  return results;
}

/** Transfers windows and makes them durable. The results' references are good when this resolves. */
export async function transferSlice(lanes: readonly Lane[], jobs: readonly LaneJob[], options: RunLanesOptions<LaneResult> = {}): Promise<SliceOutcome> {
  const before = await storedBytes(lanes);
  const windows = await runLanes(lanes, jobs, (lane, job) => lane.write(job), options);
  const stats = windows.reduce((sum, { stats: more }) => addStats(sum, more), emptyStats());
  stats.storedBytes = await storedBytes(lanes) - before;
  return { windows, stats };
}

const storedBytes = async (lanes: readonly Lane[]): Promise<number> =>
  (await Promise.all(lanes.map((lane) => lane.flush()))).reduce((sum, { storedBytes: bytes }) => sum + bytes, 0);

/** What is known of a disk's parent: the same disk in the item's recovery point before. */
export interface ParentDisk {
  readonly diskBytes: number;
}

/**
 * The jobs for the windows of a region that have to be looked at. `windows` are numbers of the disk.
 * `rangesOf` gives what is known to have changed in a window, or null when all of it must be read and compared.
 */
export function windowJobs(region: InnerNode | null, diskBytes: number, fresh: boolean, windows: Iterable<number>, rangesOf: (window: number) => readonly DiskRange[] | null): LaneJob[] {
  const jobs: LaneJob[] = [];
  for (const window of windows) {
    const parent = region?.children.get(window % REGION_WINDOWS) ?? null;
    jobs.push({ window, diskBytes, ranges: fresh && parent ? null : rangesOf(window), parent: parent && refToJson(parent), parentDiskBytes: region?.diskBytes ?? diskBytes, fresh });
  }
  return jobs;
}

/**
 * What the parent's leaves refer to, without those that could not be read: of these it is not known what to take off the parent's usage. Throws damage
 * when a leaf that nobody looked at does not read either: then all windows have to be looked at.
 */
async function recountUsage(vault: VaultAccess, parent: InnerNode, windows: readonly LaneResult[]): Promise<Map<string, PackUsage>> {
  const lost = new Set(windows.filter(({ parentLost }) => parentLost).map(({ window }) => window));
  const usage = new Map<string, PackUsage>();
  for (const [window, ref] of leafRefs(parent)) {
    if (lost.has(window)) continue;
    for (const { chunk } of (await loadLeaf(vault, ref, window, parent.diskBytes)).entries) {
      if (!chunk) continue;
      const row = usage.get(chunk.pack) ?? { chunks: 0, bytes: 0 };
      usage.set(chunk.pack, { chunks: row.chunks + 1, bytes: row.bytes + chunk.length });
    }
  }
  return usage;
}

export interface RegionOutcome extends BuiltNode {
  readonly storedBytes: number;
}

/** Builds and stores a region's node from what its windows became. */
export async function finishRegion(vault: VaultAccess, index: number, diskBytes: number, parent: InnerNode | null, fresh: boolean, windows: readonly LaneResult[]): Promise<RegionOutcome> {
  const metaPacks = new PackWriter(vault.store, vault.keys, { kind: PackKind.meta, compressionLevel: META_LEVEL });
  const usageBefore = parent && !fresh && windows.some(({ parentLost }) => parentLost) ? await recountUsage(vault, parent, windows) : undefined;
  const built = await buildRegion(vault.keys, metaPacks, {
    index, usageBefore, diskBytes, parent, parentHooks: parent ? await loadHooks(vault, parent) : [], fresh,
    changes: windows.map(({ window, leaf, hooks }) => ({ window, hooks, leaf: leaf === null || leaf === 'same' ? leaf : refFromJson(leaf) })),
    usage: windows.map(({ usage }) => usage),
  });
  await metaPacks.flush();
  return { ...built, storedBytes: metaPacks.storedBytes };
}

/** The windows of a disk of this size that a byte range touches. */
export function windowsOf(diskBytes: number, range: DiskRange): { first: number; last: number } {
  const last = Math.floor((range.offset + range.length - 1) / WINDOW_BYTES);
  return { first: Math.floor(range.offset / WINDOW_BYTES), last: Math.min(last, windowCount(diskBytes) - 1) };
}
