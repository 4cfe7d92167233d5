import type { ErrorReport } from '../../errors/holdfast-error';
import { refToJson } from '../format/ref-json';
import { runLanes } from './transfer';
import type { Lane, LaneReadJob, LaneReadResult } from './transfer-lane';
import { type DiskTree, leafRefs, loadRegion, loadRoot, type VaultAccess } from '../format/tree';
import { isDamage } from '../proof/damage';

export interface ReadTotals {
  readonly chunks: number;
  /** Plain bytes that were read back and proved; the rest of the disk is zeros. */
  readonly plainBytes: number;
  readonly storedBytes: number;
  readonly damage: readonly ErrorReport[];
}

export interface ReadDiskOptions {
  readonly onWindow?: (result: LaneReadResult) => void;
  readonly onPlan?: (windows: number) => void;
  readonly signal?: AbortSignal;
  /** Collects damage of the tree too instead of throwing. */
  readonly collectDamage?: boolean;
}

/** Reads every window of a disk back over the lanes: to their sink when they have one, else only to prove it. */
export async function readDisk(vault: VaultAccess, lanes: readonly Lane[], tree: DiskTree, options: ReadDiskOptions = {}): Promise<ReadTotals> {
  const damage: ErrorReport[] = [];
  const jobs = await planRead(vault, tree, options.collectDamage ? damage : null);
  options.onPlan?.(jobs.length);
  const results = await runLanes(lanes, jobs, (lane, job) => lane.read(job), { onResult: options.onWindow, signal: options.signal });
  const totals = { chunks: 0, plainBytes: 0, storedBytes: 0, damage };
  for (const one of results) {
    totals.chunks += one.chunks;
    totals.plainBytes += one.plainBytes;
    totals.storedBytes += one.storedBytes;
    for (const report of one.damage) damage.push(report);
  }
  return totals;
}

async function planRead(vault: VaultAccess, tree: DiskTree, damage: ErrorReport[] | null): Promise<LaneReadJob[]> {
  const jobs: LaneReadJob[] = [];
  const tolerate = async (step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      if (!damage || !isDamage(error)) throw error;
      damage.push(error.toJSON());
    }
  };
  await tolerate(async () => {
    const root = await loadRoot(vault, tree);
    for (const [region, ref] of root?.children ?? []) {
      await tolerate(async () => {
        for (const [window, leaf] of leafRefs(await loadRegion(vault, ref, region, tree.sizeBytes))) jobs.push({ window, leaf: refToJson(leaf), diskBytes: tree.sizeBytes });
      });
    }
  });
  return jobs;
}
