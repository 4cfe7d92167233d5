import { HoldfastError } from '../../errors/holdfast-error';
import { MARGINS } from './margins';
import { ITEM_ID } from '../format/manifest';
import { abandonRun, commitRun, findRunOpen, findVerdict, type RunRef } from '../run';
import type { VaultAccess } from '../format/tree';

/** A run by its records' names and the times of the store's server. */
export interface SurveyedRun {
  readonly sequence: number;
  /** When it began by the clock of the store's server; null when its `open` is not there. */
  openedAtMs: number | null;
  endedAtMs: number | null;
}

/** A run that has not ended and may still be at work. */
export interface OpenRun {
  readonly itemId: string;
  readonly sequence: number;
  readonly owner: string;
  readonly openedAtMs: number;
  readonly deadline: string;
}

/** A run that had not ended though its time was over, or it was sealed, and what became of it (in a dry run: would become). */
export interface SettledRun {
  readonly itemId: string;
  readonly sequence: number;
  readonly openedAtMs: number;
  readonly outcome: 'committed' | 'abandoned';
}

export interface RunSurvey {
  /** By item, each in the order of the sequence. */
  readonly items: ReadonlyMap<string, SurveyedRun[]>;
  readonly open: readonly OpenRun[];
  readonly settled: readonly SettledRun[];
}

export const RUN_NAME = /^runs\/([^/]+)\/(\d{10})\/([a-z]+)$/;

/** Every run of the vault, from one list. Of each the records and their times are kept: some 60 bytes a run. */
async function listRuns(vault: VaultAccess): Promise<Map<string, SurveyedRun[]>> {
  const items = new Map<string, SurveyedRun[]>();
  let runs: SurveyedRun[] = [];
  let itemId = '';
  for await (const { name, modifiedAtMs } of vault.store.list('runs/')) {
    const [, item, number, record] = RUN_NAME.exec(name) ?? [];
    if (item === undefined || !ITEM_ID.test(item)) continue;
    if (item !== itemId) {
      itemId = item;
      runs = items.get(item) ?? [];
      items.set(item, runs);
    }
    const sequence = Number(number);
    let run = runs.at(-1);
    if (run?.sequence !== sequence) runs.push(run = { sequence, openedAtMs: null, endedAtMs: null });
    if (record === 'open') run.openedAtMs = modifiedAtMs;
    if (record === 'end') run.endedAtMs = modifiedAtMs;
  }
  return items;
}

/**
 * Looks at every run and brings to its end what can be: one that is sealed is committed; one whose time is over, by its own deadline or by what any run may
 * take, is given up. Those that may still be at work are told. With `dryRun` nothing is decided, and what would be is told.
 */
export async function surveyRuns(vault: VaultAccess, serverNowMs: number, dryRun: boolean): Promise<RunSurvey> {
  const items = await listRuns(vault);
  const open: OpenRun[] = [];
  const settled: SettledRun[] = [];
  for (const [itemId, runs] of items) {
    for (const run of runs) {
      if (run.endedAtMs !== null) continue;
      const found = await settle(vault, itemId, run, serverNowMs, dryRun);
      if ('outcome' in found) settled.push(found); else open.push(found);
      // It has ended now; when it began is what matters, and its end was in this moment.
      if ('outcome' in found && !dryRun) run.endedAtMs = serverNowMs;
    }
  }
  return { items, open, settled };
}

async function settle(vault: VaultAccess, itemId: string, run: SurveyedRun, serverNowMs: number, dryRun: boolean): Promise<SettledRun | OpenRun> {
  const { sequence } = run;
  const open = await findRunOpen(vault, itemId, sequence);
  const verdict = await findVerdict(vault, itemId, sequence);
  const ref: RunRef = { itemId, sequence, stamp: open?.stamp ?? '' };
  const openedAtMs = run.openedAtMs ?? serverNowMs;
  if (verdict?.verdict === 'sealed') {
    if (!dryRun) await commitRun(vault, ref, serverNowMs);
    return { itemId, sequence, openedAtMs, outcome: 'committed' };
  }
  const over = open === undefined || serverNowMs > Date.parse(open.deadline) + MARGINS.clockToleranceMs || serverNowMs > openedAtMs + MARGINS.longestRunMs + MARGINS.afterRunMs;
  if (!verdict && !over) return { itemId, sequence, owner: open.owner, openedAtMs, deadline: open.deadline };
  const why = new HoldfastError('RUN_ABANDONED', `The run was given up by maintenance: its time was over at ${open?.deadline ?? 'an unknown time'}`);
  const outcome = dryRun ? 'abandoned' : await abandonRun(vault, ref, why.toJSON(), serverNowMs);
  return { itemId, sequence, openedAtMs, outcome };
}
