import { z } from 'zod';
import { findPolicy, savePolicy, type StoredPolicy } from '../activities/policy-store';
import { HoldfastError } from '../errors/holdfast-error';
import type { ItemsSelection } from '../policy/items-schema';
import { parsePolicy } from '../policy/schema';
import type { SelectableVm } from '../policy/select';
import { withoutVm, withVm } from '../policy/selection-change';
import { findItem, findMachine } from './http-items';
import { requirePolicy } from './http-policies';
import { expectedRevision, isStale, overRevision, revised } from './revisions';
import { type Call, pathId, route } from './route';
import { approvalAsked } from './schemas/approvals';
import { storedPolicy } from './schemas/policies';

const ofItemAndPolicy = z.strictObject({ item: pathId, name: pathId });
type Asked = Pick<Call<z.output<typeof ofItemAndPolicy>>, 'params' | 'request' | 'services'>;

/** Edits whom a policy selects, over the revision that If-Match names, or over the one that was read. */
async function changeSelection({ params, request, services }: Asked, change: (items: ItemsSelection, vm: SelectableVm) => ItemsSelection): ReturnType<ReturnType<typeof route>['handler']> {
  const { resourceId, name, tags } = await findMachine(services, params.item);
  const { store } = await services.deps.vault();
  const { document, revision } = await requirePolicy(store, params.name);
  const expected = expectedRevision(request.headers);
  if (expected !== null && expected !== revision) throw new HoldfastError('POLICY_CHANGED', `The policy "${document.name}" is at revision ${revision}, not ${expected}`, { data: { name: document.name, revision } });
  const items = change(document.items, { id: resourceId, name, tags });
  if (items === document.items) return revised({ ...document, revision });
  const changed = parsePolicy({ ...document, items });
  return revised({ ...changed, revision: await savePolicy(store, changed, revision) });
}

/** What the policy selects, and what it would without the item; undefined where the handler has something to refuse. */
async function selectionOf({ params, services }: Asked): Promise<{ readonly itemId: string; readonly policy: StoredPolicy; readonly without: ItemsSelection } | undefined> {
  const { id, resourceId, name, tags } = await findItem(services, params.item);
  const policy = await findPolicy((await services.deps.vault()).store, params.name);
  return policy && resourceId !== null ? { itemId: id, policy, without: withoutVm(policy.document.items, { id: resourceId, name, tags }) } : undefined;
}

const protectItem = route({
  id: 'protectItem', method: 'PUT', path: 'items/{item}/policies/{name}', role: 'Admin', action: 'item.protect', params: ofItemAndPolicy, responses: { 200: storedPolicy }, versioned: true,
  summary: 'Has a policy cover an item; the ETag is the policy\'s',
  handler: (call) => changeSelection(call, withVm),
});

const unprotectItem = route({
  id: 'unprotectItem', method: 'DELETE', path: 'items/{item}/policies/{name}', role: 'Admin', action: 'item.unprotect', params: ofItemAndPolicy, responses: { 200: storedPolicy, 202: approvalAsked }, versioned: true,
  summary: 'Takes an item out of a policy; its recovery points stay. The ETag is the policy\'s',
  guard: {
    async what(call, approved) {
      const found = await selectionOf(call);
      if (!found || found.without === found.policy.document.items || isStale(found.policy, call.request, approved)) return null;
      return { kind: 'policy.disable', what: `The policy "${found.policy.document.name}" would no longer cover ${found.itemId}`, ...overRevision(found.policy.revision) };
    },
    async isDone(call) {
      const found = await selectionOf(call);
      return found !== undefined && found.without === found.policy.document.items;
    },
  },
  handler: (call) => changeSelection(call, withoutVm),
});

export const protectionRoutes = [protectItem, unprotectItem];
