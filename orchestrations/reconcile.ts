import type { OrchestrationContext } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { ReconcileResult } from '../activities/reconcile';
import type { ErrorReport } from '../errors/holdfast-error';
import { HOUSEKEEPING } from './names';
import { step, type Steps } from './steps';

/** Twenty thousand items; the timer begins again from the first. */
const MAX_PAGES = 100;
const MAX_SHOWN = 40;

export interface ReconcileJobResult extends Pick<ReconcileResult, 'checked' | 'alive' | 'committed' | 'abandoned' | 'closed'> { readonly error: ErrorReport | null }

/** Closes runs in the vault whose orchestration is gone, a page of items after the other. */
export function* reconcile(context: OrchestrationContext): Steps<ReconcileJobResult> {
  let total: ReconcileJobResult = { checked: 0, alive: 0, committed: 0, abandoned: 0, closed: [], error: null };
  let after: string | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    const outcome: Outcome<ReconcileResult> = yield* step<ReconcileResult>(context, HOUSEKEEPING.reconcileItems, { after });
    if (!outcome.ok) return { ...total, error: outcome.error };
    const { checked, alive, committed, abandoned, closed, next } = outcome.value;
    total = {
      checked: total.checked + checked, alive: total.alive + alive, committed: total.committed + committed, abandoned: total.abandoned + abandoned,
      closed: [...total.closed, ...closed].slice(0, MAX_SHOWN), error: null,
    };
    if (next === null) break;
    after = next;
  }
  return total;
}
