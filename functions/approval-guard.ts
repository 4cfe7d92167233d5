import type { HttpResponseInit } from '@azure/functions';
import type { Caller } from '../access/roles';
import { announceApproval } from '../activities/approval-events';
import { type Asked, createRequest, drawApprovalId, findSame, type Person } from '../activities/approval-records';
import { type GuardedKind, loadRules, LOOSENING } from '../activities/approval-rules';
import { APPROVALS, approvalInstanceId } from '../orchestrations/names';
import type { ApprovalRun } from '../orchestrations/approval';
import { isRefusal, recorded } from '../vault/trail/recorded';
import { isDry, targetOf, whoOf } from './audited';
import { located } from './problem';
import type { Call, Route } from './route';

/** A caller as the records of approvals have one. */
export const personOf = (caller: Caller): Person => ({ ...caller, roles: [...caller.roles] });

/** What a call would take away, for whoever is to agree to it. */
export interface Guarded {
  readonly kind: GuardedKind;
  /** For people: what would be gone. */
  readonly what: string;
  /** What it is about, as it is now: the number of marks, a revision, a plan's token. */
  readonly fingerprint: string;
  /** What the handler asks for in the query and only now can be told: the confirmation of how things are. */
  readonly query?: Readonly<Record<string, unknown>>;
  /** The revision that it is to be done over. */
  readonly ifMatch?: string;
}

/** Of a route whose calls may need a second person. */
export interface RouteGuard<C> {
  /**
   * What this call takes away; null where it takes nothing, or will be refused anyhow. With `approved` it has been agreed to, and what it is about now is compared with what it was then: null when there is nothing
   * left to compare with.
   */
  what(call: C, approved: boolean): Promise<Guarded | null>;
  /** Whether things are as this call wants them. */
  isDone(call: C): Promise<boolean>;
}

/**
 * Runs a call, unless the rules of the vault say that what it takes away needs a second person: then it is asked for, and the answer is 202 with the approval. Throws APPROVAL_RULES_INVALID, APPROVALS_FULL, and what
 * the call throws.
 */
export async function withApproval(route: Route, call: Call, run: () => Promise<HttpResponseInit>): Promise<HttpResponseInit> {
  if (!route.guard) return run();
  const { deps } = call.services;
  const vault = await deps.vault();
  const { rules } = await loadRules(vault.store);
  if (rules.actions.length === 0 || isDry(call)) return run();
  const guarded = await route.guard.what(call, false).catch((error: unknown) => {
    // The handler refuses it as well, and says so in the audit trail.
    if (isRefusal(error)) return null;
    throw error;
  });
  if (guarded === null || (guarded.kind !== LOOSENING && !rules.actions.includes(guarded.kind))) return run();
  const { id: routeId, action = routeId } = route;
  const asked: Asked = {
    expiresHours: rules.expiresHours, delayMinutes: rules.delayMinutes, askedBy: personOf(call.caller), kind: guarded.kind, action, what: guarded.what, fingerprint: guarded.fingerprint,
    call: { route: routeId, params: call.params as Record<string, string>, query: call.query ?? null, body: call.body ?? null },
  };
  const same = await findSame(vault, asked, deps.nowMs());
  if (same) return accepted(same.id, same.expiresAt);
  const id = drawApprovalId(call.atMs);
  const doing = { who: whoOf(call.caller), from: call.caller.from, action: 'approval.ask', target: id, details: { action, on: targetOf(call.params), what: guarded.what } };
  const request = await recorded(vault, doing, async () => {
    const made = await createRequest(vault, id, asked, deps.nowMs());
    await call.client.startNew(APPROVALS.approval, { instanceId: approvalInstanceId(id, 'expiry'), input: { id, wakeAtMs: Date.parse(made.expiresAt) } satisfies ApprovalRun });
    await announceApproval(deps, vault, made);
    return made;
  }, { onUnrecorded: (error) => call.context.error(`The approval ${id} was asked for, but the audit trail says only that this was begun: ${error.message}`) });
  return accepted(id, request.expiresAt);
}

const accepted = (id: string, expiresAt: string): HttpResponseInit => located({ approval: id, state: 'waiting', expiresAt, location: `/api/approvals/${id}` });
