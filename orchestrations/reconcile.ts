import type { OrchestrationContext } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { ReconcileResult } from '../activities/reconcile';
import type { ReconcileRestoresResult } from '../activities/reconcile-restores';
import type { AbandonRestoreResult } from '../activities/restore-close';
import type { Leftover } from '../activities/restore-undo';
import type { ReleaseResult, RunInput } from '../activities/types';
import { type ErrorReport, HoldfastError } from '../errors/holdfast-error';
import { ACTIVITIES, HOUSEKEEPING } from './names';
import { persist, step, type Steps } from './steps';

/** Twenty thousand items; the timer begins again from the first. */
const MAX_PAGES = 100;
const MAX_SHOWN = 40;
const RELEASING = { firstMs: 2_000, mostMs: 60_000, limitMs: 10 * 60_000 };

export interface ReconcileJobResult extends Pick<ReconcileResult, 'checked' | 'alive' | 'committed' | 'abandoned' | 'closed'> {
  /** Restores that were closed and cleaned up. */
  readonly restores: readonly string[];
  readonly error: ErrorReport | null;
}

/**
 * Closes what the vault says is open and whose orchestration is gone.
 * 1. runs, a page of items after the other, and releases their snapshots
 * 2. restores, and removes or releases what they made
 */
export function* reconcile(context: OrchestrationContext): Steps<ReconcileJobResult> {
  let total: ReconcileJobResult = { checked: 0, alive: 0, committed: 0, abandoned: 0, closed: [], restores: [], error: null };
  let after: string | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    const outcome: Outcome<ReconcileResult> = yield* step<ReconcileResult>(context, HOUSEKEEPING.reconcileItems, { after });
    if (!outcome.ok) return { ...total, error: outcome.error };
    const { checked, alive, committed, abandoned, closed, next }: ReconcileResult = outcome.value;
    total = {
      checked: total.checked + checked, alive: total.alive + alive, committed: total.committed + committed, abandoned: total.abandoned + abandoned,
      closed: [...total.closed, ...closed].slice(0, MAX_SHOWN), restores: [], error: null,
    };
    // What is not through after this is the business of the item's next run, or of the sweep.
    for (const { itemId, sequence, stamp } of closed) {
      yield* persist<ReleaseResult>(context, ACTIVITIES.releaseSnapshots, { itemId, sequence, stamp } satisfies RunInput, RELEASING, ({ pending }) => pending === 0);
    }
    if (next === null) break;
    after = next;
  }
  return yield* closeRestores(context, total);
}

/** The same for restores: what was decided counts, anything else is given up; then what was made is removed, or released. */
function* closeRestores(context: OrchestrationContext, total: ReconcileJobResult): Steps<ReconcileJobResult> {
  const found: Outcome<ReconcileRestoresResult> = yield* step<ReconcileRestoresResult>(context, HOUSEKEEPING.reconcileRestores, {});
  if (!found.ok) return { ...total, error: found.error };
  const restores: string[] = [];
  for (const restoreId of found.value.lost) {
    const reason = new HoldfastError('RESTORE_ABANDONED', 'The restore was given up: its orchestration is gone').toJSON();
    const closed: Outcome<AbandonRestoreResult> = yield* step<AbandonRestoreResult>(context, ACTIVITIES.abandonRestore, { restoreId, reason });
    if (!closed.ok) return { ...total, restores, error: closed.error };
    const cleaned = yield* persist<Leftover>(context, closed.value.restored ? ACTIVITIES.releaseRestore : ACTIVITIES.undoRestore, { restoreId }, RELEASING, ({ pending }) => pending === 0);
    if (cleaned.ok) restores.push(restoreId);
  }
  return { ...total, alive: total.alive + found.value.alive, restores };
}
