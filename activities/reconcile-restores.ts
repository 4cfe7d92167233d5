import { findDocument } from '../vault/format/documents';
import type { VaultAccess } from '../vault/format/tree';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import type { OwnerState } from './reconcile';
import { requestSchema, restorePlanSchema, restoreRecords } from './restore-records';

/** Restores of one call: what is not closed by it is found by the next. */
const MAX_LOST = 50;
const UNPLANNED_MS = 24 * 3_600_000;

export interface ReconcileRestoresResult {
  readonly alive: number;
  /** Restores that have not ended and whose orchestration is gone. */
  readonly lost: readonly string[];
}

/** Finds the restores whose orchestration is gone and that were not brought to their end (fault 35); what they made is then removed, or released. */
export const createReconcileRestores = (deps: ActivityDeps, ownerState: (restoreId: string) => Promise<OwnerState>) => activity<object, ReconcileRestoresResult>(async () => {
  const vault = await deps.vault();
  const lost: string[] = [];
  let alive = 0;
  for (const restoreId of await openRestores(vault)) {
    const request = await findDocument(vault, restoreRecords.request({ restoreId }), requestSchema);
    if (!request) continue;
    const state = await ownerState(restoreId);
    if (state === 'active' || (state === 'unknown' && deps.nowMs() <= await timeIsOverMs(vault, restoreId, request.requestedAt))) alive++;
    else if (lost.length < MAX_LOST) lost.push(restoreId);
  }
  return { alive, lost };
});

/** One that is not known here may be another app's: it has until its own deadline, or a day where it was not even planned. */
async function timeIsOverMs(vault: VaultAccess, restoreId: string, requestedAt: string): Promise<number> {
  const plan = await findDocument(vault, restoreRecords.plan({ restoreId }), restorePlanSchema);
  return plan ? Date.parse(plan.deadline) : Date.parse(requestedAt) + UNPLANNED_MS;
}

/** Ids of restores that have made something, or may have, and have no end. */
async function openRestores(vault: VaultAccess): Promise<string[]> {
  const seen = new Map<string, Set<string>>();
  for await (const { name } of vault.store.list('restores/')) {
    const [, restoreId = '', record = ''] = name.split('/');
    seen.set(restoreId, (seen.get(restoreId) ?? new Set()).add(record));
  }
  const open: string[] = [];
  for (const [restoreId, found] of seen) {
    if (found.has('end')) continue;
    // Given up before it was planned: nothing was made, and nothing is left to do.
    if (found.has('verdict') && !await findDocument(vault, restoreRecords.plan({ restoreId }), restorePlanSchema)) continue;
    open.push(restoreId);
  }
  return open;
}
