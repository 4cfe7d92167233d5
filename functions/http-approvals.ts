import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { type Approval, APPROVAL_STATES, approvalIds, approve, type Person, readApproval, stopApproval } from '../activities/approval-records';
import { loadRules, looser, LOOSENING, rulesSchema, saveRules, type StoredRules } from '../activities/approval-rules';
import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { isUnreadable } from '../vault/format/documents';
import type { ApprovalRun } from '../orchestrations/approval';
import { APPROVALS, approvalInstanceId } from '../orchestrations/names';
import type { VaultAccess } from '../vault/format/tree';
import { personOf } from './approval-guard';
import { targetOf } from './audited';
import { findStatus } from './durable-status';
import { listOf, pageFrom, pageQuery } from './paging';
import { json } from './problem';
import { expectedRevision, overRevision, revised, stored } from './revisions';
import { type Call, pathId, route } from './route';
import { approvalAsked, approvalView } from './schemas/approvals';

const person = ({ id, name }: Person) => ({ id, name });

export type ApprovalView = z.output<typeof approvalView>;

function viewOf({ request, approval, verdict, end, state }: Approval): ApprovalView {
  const { id, at, expiresAt, kind, action, what, askedBy, call } = request;
  return {
    id, state, kind, action, what, target: targetOf(call.params), body: call.body ?? null, askedBy: person(askedBy), askedAt: at, expiresAt,
    approvedBy: approval && person(approval.by), approvedAt: approval?.at ?? null, dueAt: approval?.dueAt ?? null,
    stoppedBy: verdict?.by ? person(verdict.by) : null, endedAt: end?.at ?? (verdict && verdict.verdict !== 'carry-out' ? verdict.at : null), code: end?.code ?? null, message: end?.message ?? null,
  };
}

const listApprovals = route({
  id: 'listApprovals', method: 'GET', path: 'approvals', role: 'Reader', responses: { 200: listOf('ApprovalList', approvalView) },
  query: z.strictObject({ ...pageQuery, state: z.enum(APPROVAL_STATES).optional() }), summary: 'What waits for a second person, and what became of what did, the newest first',
  async handler({ request, query, services: { deps } }) {
    const vault = await deps.vault();
    async function* wanted(): AsyncGenerator<Approval> {
      for (const id of await approvalIds(vault)) {
        const one = await readable(vault, id, deps.nowMs());
        if (one && (query.state === undefined || one.state === query.state)) yield one;
      }
    }
    return json(await pageFrom(request, query, wanted(), (one) => one.request.id, (page) => page.map(viewOf), 'descending'));
  },
});

/** One that does not open, or of a newer version, is left out: nothing is carried out for it. */
async function readable(vault: VaultAccess, id: string, nowMs: number): Promise<Approval | null> {
  try {
    return await readApproval(vault, id, nowMs);
  } catch (error) {
    if (isUnreadable(error) || isHoldfastError(error, 'APPROVAL_NOT_FOUND')) return null;
    throw error;
  }
}

const ofApproval = z.strictObject({ id: pathId });

const getApproval = route({
  id: 'getApproval', method: 'GET', path: 'approvals/{id}', role: 'Reader', params: ofApproval, responses: { 200: approvalView }, summary: 'What somebody asked for, who agreed, and what came of it',
  handler: async ({ params: { id }, services: { deps } }) => json(viewOf(await readApproval(await deps.vault(), id, deps.nowMs()))),
});

const approveApproval = route({
  id: 'approveApproval', method: 'POST', path: 'approvals/{id}/approve', role: 'Admin', action: 'approval.approve', params: ofApproval, responses: { 202: approvalView },
  summary: 'Agrees to what another person asked for: it is carried out once its delay is over',
  async handler({ params: { id }, caller, client, services: { deps } }) {
    const vault = await deps.vault();
    const dueAt = await approve(vault, id, personOf(caller), deps.nowMs());
    const instanceId = approvalInstanceId(id, 'due');
    // Asked once more after a crash in between, it begins what was not begun.
    if (!await findStatus(client, instanceId)) await client.startNew(APPROVALS.approval, { instanceId, input: { id, wakeAtMs: Date.parse(dueAt) } satisfies ApprovalRun });
    return json(viewOf(await readApproval(vault, id, deps.nowMs())), { status: 202, headers: { location: `/api/approvals/${id}` } });
  },
});

const stopping = (verdict: 'rejected' | 'cancelled') => async ({ params: { id }, caller, services: { deps } }: Call<z.output<typeof ofApproval>>) => {
  const vault = await deps.vault();
  await stopApproval(vault, id, verdict, personOf(caller), deps.nowMs());
  return json(viewOf(await readApproval(vault, id, deps.nowMs())));
};

const rejectApproval = route({
  id: 'rejectApproval', method: 'POST', path: 'approvals/{id}/reject', role: 'Admin', action: 'approval.reject', params: ofApproval, responses: { 200: approvalView },
  summary: 'Stops what another person asked for, also while its delay runs', handler: stopping('rejected'),
});

/** Asked for with the role that the call takes; to take it back takes no more than having asked. */
const cancelApproval = route({
  id: 'cancelApproval', method: 'POST', path: 'approvals/{id}/cancel', role: 'Reader', action: 'approval.cancel', params: ofApproval, responses: { 200: approvalView },
  summary: 'Takes back what the caller asked for, also while its delay runs', handler: stopping('cancelled'),
});

const storedRules = rulesSchema.extend({ revision: z.int() }).meta({ id: 'ApprovalRules' });
const rulesView = ({ rules, revision }: StoredRules) => ({ ...rules, revision });

const getApprovalRules = route({
  id: 'getApprovalRules', method: 'GET', path: 'approval-rules', role: 'Reader', responses: { 200: storedRules }, versioned: true, summary: 'What needs a second person; the ETag is the revision, 0 where nobody made rules',
  handler: async ({ services: { deps } }) => revised(rulesView(await loadRules((await deps.vault()).store))),
});

const putApprovalRules = route({
  id: 'putApprovalRules', method: 'PUT', path: 'approval-rules', role: 'Admin', action: 'approval-rules.put', body: rulesSchema, responses: { 200: storedRules, 201: storedRules, 202: approvalAsked }, versioned: true,
  summary: 'Says what needs a second person; with If-Match only over the revision that it names. To loosen rules that ask for anything needs a second person itself',
  audit: ({ body }) => ({ rules: body }),
  guard: {
    async what({ body, services: { deps } }) {
      const { rules, revision } = await loadRules((await deps.vault()).store);
      const less = looser(rules, body);
      return less.length === 0 ? null : { kind: LOOSENING, what: less.join('; '), ...overRevision(revision) };
    },
    isDone: async ({ body, services: { deps } }) => isDeepStrictEqual((await loadRules((await deps.vault()).store)).rules, body),
  },
  async handler({ body, caller, request, services: { deps } }) {
    // There is one caller on one machine: nobody could ever agree to anything.
    if (caller.kind === 'local' && body.actions.length > 0) throw new HoldfastError('REQUEST_INVALID', 'On one machine everybody is the same caller, so there is no second person: approvals need a sign-in with Entra ID');
    const revision = await saveRules((await deps.vault()).store, body, expectedRevision(request.headers));
    return stored({ ...body, revision });
  },
});

export const approvalRoutes = [listApprovals, getApproval, approveApproval, rejectApproval, cancelApproval, getApprovalRules, putApprovalRules];
