import { HttpRequest, type InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import type { ApprovalRequest, Person } from '../activities/approval-records';
import { type CarryOut, createSettleApproval } from '../activities/approval-settle';
import { stepOf } from '../activities/observed';
import { HoldfastError } from '../errors/holdfast-error';
import { approval } from '../orchestrations/approval';
import { APPROVALS } from '../orchestrations/names';
import { recorded } from '../vault/trail/recorded';
import type { RouteGuard } from './approval-guard';
import { targetOf, whoOf } from './audited';
import type { Call, Route } from './route';
import type { Services } from './services';

/** Approvals: their workflow and its step, which carries out what was agreed to, by the routes' own handlers. */
export function registerApprovals(services: Services, routes: readonly Route[]): void {
  df.app.orchestration(APPROVALS.approval, approval);
  df.app.activity(APPROVALS.settleApproval, {
    extraInputs: [df.input.durableClient()],
    handler: (input: { id: string }, context: InvocationContext) =>
      stepOf(services.deps.telemetry, APPROVALS.settleApproval, createSettleApproval(services.deps, carryOutBy(services, routes, df.getClient(context), context)))(input),
  });
}

function carryOutBy(services: Services, routes: readonly Route[], client: df.DurableClient, context: InvocationContext): CarryOut {
  const routeOf = ({ id, call }: ApprovalRequest): Route & { readonly guard: RouteGuard<Call> } => {
    const found = routes.find((route) => route.id === call.route);
    if (!found?.guard) throw new HoldfastError('APPROVAL_STALE', `This version of the app has nothing called ${call.route.slice(0, 80)}, which ${id} is about`, { data: { id } });
    return found as Route & { readonly guard: RouteGuard<Call> };
  };
  const callOf = (request: ApprovalRequest, name: string, ifMatch?: string): Call => {
    const { method, path } = routeOf(request);
    const { params, query, body } = request.call;
    return {
      params, query, body: body ?? undefined, caller: { ...request.askedBy, name }, context, client, services, requestId: null, atMs: services.deps.nowMs(), earlierMs: [], approved: { id: request.id, fingerprint: request.fingerprint },
      request: new HttpRequest({ method, url: `http://approvals/api/${path.replace(/[{}]/g, '')}`, ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }) }),
    };
  };
  return {
    fingerprint: async (request) => (await routeOf(request).guard.what(callOf(request, request.askedBy.name), true))?.fingerprint ?? null,
    isDone: (request) => routeOf(request).guard.isDone(callOf(request, request.askedBy.name)),
    async run(request, approvedBy) {
      const route = routeOf(request);
      // For the marks and jobs that it leaves: both names.
      const name = `${request.askedBy.name}, approved by ${approvedBy.name}`;
      const now = await route.guard.what(callOf(request, name), true);
      const call = callOf(request, name, now?.ifMatch);
      const ready = now?.query ? { ...call, query: { ...call.query as object, ...now.query } } : call;
      const doing = {
        who: whoOf(request.askedBy), from: request.askedBy.from, action: request.action, target: targetOf(request.call.params), details: { ...route.audit?.(ready), ...approvalDetails(request, approvedBy) },
      };
      await recorded(await services.deps.vault(), doing, () => route.handler(ready), {
        details: ({ status = 200 }) => ({ status }),
        onUnrecorded: (error) => context.error(`${request.action} was carried out for ${request.id}, but the audit trail says only that it was begun: ${error.message}`),
      });
    },
  };
}

const approvalDetails = ({ id }: ApprovalRequest, { id: approver, name }: Person): Readonly<Record<string, unknown>> => ({ approval: id, approvedBy: { id: approver, name } });
