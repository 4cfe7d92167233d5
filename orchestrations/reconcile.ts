import type { OrchestrationContext } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { ReconcileResult } from '../activities/reconcile';
import type { ReleaseResult, RunInput } from '../activities/types';
import type { ErrorReport } from '../errors/holdfast-error';
import { ACTIVITIES, HOUSEKEEPING } from './names';
import { persist, step, type Steps } from './steps';

/** Twenty thousand items; the timer begins again from the first. */
const MAX_PAGES = 100;
const MAX_SHOWN = 40;
const RELEASING = { firstMs: 2_000, mostMs: 60_000, limitMs: 10 * 60_000 };

export interface ReconcileJobResult extends Pick<ReconcileResult, 'checked' | 'alive' | 'committed' | 'abandoned' | 'closed'> { readonly error: ErrorReport | null }

/** Closes runs in the vault whose orchestration is gone, a page of items after the other. */
export function* reconcile(context: OrchestrationContext): Steps<ReconcileJobResult> {
  let total: ReconcileJobResult = { checked: 0, alive: 0, committed: 0, abandoned: 0, closed: [], error: null };
  let after: string | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    const outcome: Outcome<ReconcileResult> = yield* step<ReconcileResult>(context, HOUSEKEEPING.reconcileItems, { after });
    if (!outcome.ok) return { ...total, error: outcome.error };
    const { checked, alive, committed, abandoned, closed, next }: ReconcileResult = outcome.value;
    total = {
      checked: total.checked + checked, alive: total.alive + alive, committed: total.committed + committed, abandoned: total.abandoned + abandoned,
      closed: [...total.closed, ...closed].slice(0, MAX_SHOWN), error: null,
    };
    // What is not through after this is the business of the item's next run, or of the sweep.
    for (const { itemId, sequence, stamp } of closed) {
      yield* persist<ReleaseResult>(context, ACTIVITIES.releaseSnapshots, { itemId, sequence, stamp } satisfies RunInput, RELEASING, ({ pending }) => pending === 0);
    }
    if (next === null) break;
    after = next;
  }
  return total;
}
