import { isHoldfastError } from '../../errors/holdfast-error';
import { proofsToRemove, restoresToRemove } from './collect-records';
import type { ItemHistory } from './item-history';
import { MARGINS } from './margins';
import { type RunSurvey, runTimes } from './run-survey';
import type { VaultAccess } from '../format/tree';
import { listNames } from '../store/list-names';

/** Records that were of use to a run only. */
export interface WorkRemoved {
  /** Objects below work/. */
  readonly work: number;
  /** Records of references of runs that made no recovery point. */
  readonly abandoned: number;
  /** What restores that ended long ago kept between their steps. */
  readonly restores: number;
  /** Proofs that newer ones stand above, or of recovery points that are gone. */
  readonly proofs: number;
}

export const recordsRemoved = ({ work, abandoned, restores, proofs }: WorkRemoved): number => work + abandoned + restores + proofs;

const WORK_NAME = /^work\/([^/]+)\/(\d{10})\/(.+)$/;
/** What clean-up in the cloud still asks of earlier runs (activities/release-snapshots.ts). */
const KEPT = new Set(['plan', 'snapshot', 'released']);
const PARALLEL_DELETES = 16;

/** What collection found to be over, for good. */
export interface EndedRecords {
  readonly abandonedRuns: ReadonlyMap<string, ItemHistory['abandoned']>;
  /** Ids of recovery points that were purged. */
  readonly tombs: ReadonlySet<string>;
}

/**
 * Removes what ended runs kept between their steps, and what runs that made no recovery point left behind. The latter's packs are not needed by anybody and
 * are the business of the plan; here it is their records. And what restores and proofs left that nobody asks for any more (collect-records.ts).
 */
export async function collectWork(vault: VaultAccess, survey: RunSurvey, { abandonedRuns: abandoned, tombs }: EndedRecords, serverNowMs: number, beforeMs: number, dryRun: boolean): Promise<WorkRemoved> {
  const work: string[] = [];
  const ended = new Map<string, Set<number>>();
  const last = new Map<string, number>();
  for (const [itemId, runs] of survey.items) {
    ended.set(itemId, new Set(runs.flatMap((run) => (run.ended ? [run.sequence] : []))));
    last.set(itemId, runs.at(-1)?.sequence ?? 0);
  }
  const isOld = async (itemId: string, sequence: number): Promise<boolean> => {
    const { endedAtMs } = await runTimes(vault, itemId, sequence);
    return endedAtMs !== null && endedAtMs <= serverNowMs - MARGINS.workKeptMs;
  };
  let asked = { itemId: '', sequence: 0, old: false };
  for await (const name of listNames(vault.store, 'work/')) {
    const [, itemId = '', number, rest = ''] = WORK_NAME.exec(name) ?? [];
    const sequence = Number(number);
    if (ended.get(itemId)?.has(sequence) !== true) continue;
    if (KEPT.has(rest) && sequence >= (last.get(itemId) ?? 0) - MARGINS.workKeptRuns) continue;
    // A run's names follow one another in the list.
    if (asked.itemId !== itemId || asked.sequence !== sequence) asked = { itemId, sequence, old: await isOld(itemId, sequence) };
    if (asked.old) work.push(name);
  }
  const records: string[] = [];
  for (const [itemId, runs] of abandoned) {
    for (const { sequence, endedAtMs } of runs) {
      // The records of the run itself stay: its verdict is what keeps a writer that wakes after months from committing what is gone.
      if (endedAtMs === null || endedAtMs >= beforeMs || endedAtMs < beforeMs - MARGINS.abandonedSweptMs) continue;
      for await (const { name } of vault.store.list(`references/${itemId}/${String(sequence).padStart(10, '0')}/`)) records.push(name);
    }
  }
  const restores = await restoresToRemove(vault, serverNowMs);
  const proofs = await proofsToRemove(vault, tombs, serverNowMs);
  if (dryRun) return { work: work.length, abandoned: records.length, restores: restores.length, proofs: proofs.length };
  return { work: await deleteAll(vault, work), abandoned: await deleteAll(vault, records), restores: await deleteAll(vault, restores), proofs: await deleteAll(vault, proofs) };
}

/** Deletes what the store lets go of, and answers how much that was. */
async function deleteAll(vault: VaultAccess, names: readonly string[]): Promise<number> {
  let deleted = 0;
  const queue = names.values();
  await Promise.all(Array.from({ length: Math.min(PARALLEL_DELETES, names.length) }, async () => {
    for (const name of queue) {
      try {
        if (await vault.store.delete(name) === 'deleted') deleted++;
      } catch (error) {
        if (!isHoldfastError(error, 'STORE_IMMUTABLE')) throw error;
      }
    }
  }));
  return deleted;
}
