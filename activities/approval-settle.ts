import { HoldfastError, toReport } from '../errors/holdfast-error';
import type { VaultAccess } from '../vault/format/tree';
import { THE_APP } from '../vault/trail/record';
import { isRefusal } from '../vault/trail/recorded';
import { appendRecord } from '../vault/trail/trail';
import { type Approval, type ApprovalEnd, type ApprovalRequest, decideApproval, endApproval, type Person, readApproval } from './approval-records';
import type { ActivityDeps } from './deps';
import { activity, isTransient } from './outcome';

export interface SettleApprovalResult {
  readonly state: string;
  /** When to look again; null when it is over. */
  readonly wakeAtMs: number | null;
}

/** What is to be carried out, as the app that has the routes does it. */
export interface CarryOut {
  /** What the call is about now; compared with what it was about when it was asked for. Null when that can no longer be told: then it is not what it was. */
  fingerprint(request: ApprovalRequest): Promise<string | null>;
  /** Whether things are as the call wants them already, because a try before this one died after its effect. */
  isDone(request: ApprovalRequest): Promise<boolean>;
  /** Carries it out, in the name of who asked for it, and records that. */
  run(request: ApprovalRequest, approvedBy: Person): Promise<void>;
}

/**
 * Does with an approval what its time has come for: lets it expire, or carries it out. Safe to run again, twice at once, or late: the verdict decides once whether it is carried out; the deed itself
 * is a change of one numbered record (a mark, a revision) that two cannot make; and a try that finds it done does nothing.
 */
export const createSettleApproval = (deps: Pick<ActivityDeps, 'vault' | 'nowMs'>, carryOut: CarryOut) => activity(async ({ id }: { readonly id: string }): Promise<SettleApprovalResult> => {
  const vault = await deps.vault();
  const one = await readApproval(vault, id, deps.nowMs());
  const { request, approval, verdict, end } = one;
  const over = async (): Promise<SettleApprovalResult> => ({ state: (await readApproval(vault, id, deps.nowMs())).state, wakeAtMs: null });
  if (end || (verdict && verdict.verdict !== 'carry-out')) return { state: one.state, wakeAtMs: null };
  if (!approval) {
    const expiresMs = Date.parse(request.expiresAt);
    if (deps.nowMs() < expiresMs) return { state: one.state, wakeAtMs: expiresMs };
    await expire(vault, one, deps.nowMs());
    return over();
  }
  const dueMs = Date.parse(approval.dueAt);
  if (deps.nowMs() < dueMs) return { state: one.state, wakeAtMs: dueMs };
  if ((await decideApproval(vault, id, 'carry-out', null, deps.nowMs())).verdict !== 'carry-out') return over();
  const outcome = await tryOut(request, approval.by, carryOut, verdict !== null);
  await endApproval(vault, id, outcome, deps.nowMs());
  return over();
});

/** Somebody may agree at the very last moment: then the one who looks again finds it agreed to. */
async function expire(vault: VaultAccess, { request }: Approval, nowMs: number): Promise<void> {
  const decided = await decideApproval(vault, request.id, 'expired', null, nowMs);
  if (decided.verdict === 'expired') await appendRecord(vault, { who: THE_APP, from: null, action: 'approval.expire', target: request.id, outcome: 'done', details: { action: request.action, what: request.what } });
}

/** Throws what may be gone in a minute, so that the step is repeated. `again`: an earlier try may have done it and died. */
async function tryOut(request: ApprovalRequest, approvedBy: Person, carryOut: CarryOut, again: boolean): Promise<Omit<ApprovalEnd, 'version' | 'at'>> {
  const done = { outcome: 'done', code: null, message: null } as const;
  try {
    if (again && await carryOut.isDone(request)) return done;
    if (await carryOut.fingerprint(request) !== request.fingerprint) {
      // The twin of this try was faster.
      if (await carryOut.isDone(request)) return done;
      throw new HoldfastError('APPROVAL_STALE', `What ${request.id} is about has changed since it was asked for: ${request.what}`, { data: { id: request.id } });
    }
    await carryOut.run(request, approvedBy);
    return done;
  } catch (error) {
    const report = toReport(error);
    if (isTransient(report)) throw error;
    // The same: it did it between the look and the try.
    if (await carryOut.isDone(request)) return done;
    return { outcome: isRefusal(error) ? 'refused' : 'failed', code: report.code, message: report.message };
  }
}
