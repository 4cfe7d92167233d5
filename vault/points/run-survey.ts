import { HoldfastError } from '../../errors/holdfast-error';
import { MARGINS } from './margins';
import { ITEM_ID } from '../format/manifest';
import { abandonRun, commitRun, findRunOpen, findVerdict, runFolder, type RunRef } from '../run';
import type { VaultAccess } from '../format/tree';
import { listNames } from '../store/list-names';

/** A run by its records' names. */
export interface SurveyedRun {
  readonly sequence: number;
  ended: boolean;
}

/** By the clock of the store's server; null where the record is not there. */
export interface RunTimes {
  readonly openedAtMs: number | null;
  readonly endedAtMs: number | null;
}
export interface EndedRun extends RunTimes { readonly sequence: number }

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

/** When a run began and ended. Two questions to the store, for the few runs where it matters: a list that tells it of all may have to ask after each object. */
export async function runTimes(vault: VaultAccess, itemId: string, sequence: number): Promise<RunTimes> {
  const folder = runFolder(itemId, sequence);
  const [open, end] = await Promise.all(['open', 'end'].map((record) => vault.store.stat(`${folder}/${record}`)));
  return { openedAtMs: open?.modifiedAtMs ?? null, endedAtMs: end?.modifiedAtMs ?? null };
}

/** Every run of the vault, from one list: some 30 bytes a run. */
async function listRuns(vault: VaultAccess): Promise<Map<string, SurveyedRun[]>> {
  const items = new Map<string, SurveyedRun[]>();
  let runs: SurveyedRun[] = [];
  let itemId = '';
  for await (const name of listNames(vault.store, 'runs/')) {
    const [, item, number, record] = RUN_NAME.exec(name) ?? [];
    if (item === undefined || !ITEM_ID.test(item)) continue;
    if (item !== itemId) {
      itemId = item;
      runs = items.get(item) ?? [];
      items.set(item, runs);
    }
    const sequence = Number(number);
    let run = runs.at(-1);
    if (run?.sequence !== sequence) runs.push(run = { sequence, ended: false });
    if (record === 'end') run.ended = true;
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
      if (run.ended) continue;
      const found = await settle(vault, itemId, run, serverNowMs, dryRun);
      if ('outcome' in found) settled.push(found); else open.push(found);
      if ('outcome' in found && !dryRun) run.ended = true;
    }
  }
  return { items, open, settled };
}

async function settle(vault: VaultAccess, itemId: string, run: SurveyedRun, serverNowMs: number, dryRun: boolean): Promise<SettledRun | OpenRun> {
  const { sequence } = run;
  const open = await findRunOpen(vault, itemId, sequence);
  const verdict = await findVerdict(vault, itemId, sequence);
  const ref: RunRef = { itemId, sequence, stamp: open?.stamp ?? '' };
  const openedAtMs = (await runTimes(vault, itemId, sequence)).openedAtMs ?? serverNowMs;
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
