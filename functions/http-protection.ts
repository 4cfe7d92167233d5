import { z } from 'zod';
import { loadPolicy, savePolicy } from '../activities/policy-store';
import { HoldfastError } from '../errors/holdfast-error';
import type { ItemsSelection } from '../policy/items-schema';
import { parsePolicy } from '../policy/schema';
import type { SelectableVm } from '../policy/select';
import { withoutVm, withVm } from '../policy/selection-change';
import { findItem } from './http-items';
import { expectedRevision, isPolicyName } from './http-policies';
import { json } from './problem';
import { type Call, pathId, route } from './route';
import { storedPolicy } from './schemas/policies';

const ofItemAndPolicy = z.strictObject({ item: pathId, name: pathId });
type Asked = Pick<Call<z.output<typeof ofItemAndPolicy>>, 'params' | 'request' | 'services'>;

/** Edits whom a policy selects, over the revision that If-Match names, or over the one that was read. */
async function changeSelection({ params, request, services }: Asked, change: (items: ItemsSelection, vm: SelectableVm) => ItemsSelection): ReturnType<ReturnType<typeof route>['handler']> {
  const { id, resourceId, name, tags } = await findItem(services, params.item);
  if (resourceId === null) throw new HoldfastError('CLOUD_NOT_FOUND', `The machine of ${id} is gone; its recovery points can still be restored`);
  const { store } = await services.deps.vault();
  const policy = isPolicyName(params.name) ? await loadPolicy(store, params.name) : undefined;
  if (!policy) throw new HoldfastError('POLICY_NOT_FOUND', `There is no policy "${params.name.slice(0, 80)}"`);
  const { document, revision } = policy;
  const expected = expectedRevision(request.headers);
  if (expected !== null && expected !== revision) throw new HoldfastError('POLICY_CHANGED', `The policy "${document.name}" is at revision ${revision}, not ${expected}`, { data: { name: document.name, revision } });
  const items = change(document.items, { id: resourceId, name, tags });
  if (items === document.items) return json({ ...document, revision }, { headers: { etag: `"${revision}"` } });
  const changed = parsePolicy({ ...document, items });
  const next = await savePolicy(store, changed, revision);
  return json({ ...changed, revision: next }, { headers: { etag: `"${next}"` } });
}

const protectItem = route({
  id: 'protectItem', method: 'PUT', path: 'items/{item}/policies/{name}', role: 'Admin', action: 'item.protect', params: ofItemAndPolicy, responses: { 200: storedPolicy }, versioned: true,
  summary: 'Has a policy cover an item; the ETag is the policy\'s',
  handler: (call) => changeSelection(call, withVm),
});

const unprotectItem = route({
  id: 'unprotectItem', method: 'DELETE', path: 'items/{item}/policies/{name}', role: 'Admin', action: 'item.unprotect', params: ofItemAndPolicy, responses: { 200: storedPolicy }, versioned: true,
  summary: 'Takes an item out of a policy; its recovery points stay. The ETag is the policy\'s',
  handler: (call) => changeSelection(call, withoutVm),
});

export const protectionRoutes = [protectItem, unprotectItem];
