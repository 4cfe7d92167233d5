import { HoldfastError } from '../errors/holdfast-error';
import { itemIdOfResource } from '../policy/item-id';
import { selectItems } from '../policy/select';
import { itemIds } from '../vault/items';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { loadPolicy } from './policy-store';
import type { SelectItemsInput, SelectItemsResult } from './types';

/** Items of one page: with a resource id each, a page stays far below what a history event may hold. */
const PAGE = 100;

/** The items that a policy covers now, by item id, a page at a time. */
export const createSelectItems = (deps: ActivityDeps) => activity(async (input: SelectItemsInput): Promise<SelectItemsResult> => {
  const vault = await deps.vault();
  const policy = (await loadPolicy(vault.store, input.policy))?.document;
  if (!policy) throw new HoldfastError('POLICY_NOT_FOUND', `There is no policy "${input.policy}"`);
  const known = new Set<string>();
  if (input.only === 'new') for await (const itemId of itemIds(vault)) known.add(itemId);
  const all = selectItems(policy, await deps.cloud.listVms()).map(({ id }) => ({ itemId: itemIdOfResource(id), vmId: id })).filter(({ itemId }) => !known.has(itemId));
  const rest = all.sort((a, b) => (a.itemId < b.itemId ? -1 : 1)).filter(({ itemId }) => input.after === null || itemId > input.after);
  const items = rest.slice(0, PAGE);
  return { items, next: rest.length > PAGE ? items[items.length - 1]?.itemId ?? null : null, maxParallelVms: policy.limits.maxParallelVms };
});
