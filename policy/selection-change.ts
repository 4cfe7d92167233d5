import { HoldfastError } from '../errors/holdfast-error';
import type { ItemsSelection } from './items-schema';
import { resourceIdKey } from './resource-id';
import { selectItems, type SelectableVm } from './select';

/**
 * The selection that covers a VM as well, with the least change: an exclusion of just this VM goes, else its id is added. One that covers it already comes back as it is.
 * Throws SELECTION_BY_TAGS where the policy excludes it by tags: to take that away would let in others.
 */
export function withVm(items: ItemsSelection, vm: SelectableVm): ItemsSelection {
  if (covers(items, vm)) return items;
  const allowed = withoutIds(items, 'excludeResourceIds', vm);
  if (covers(allowed, vm)) return allowed;
  const added = { ...allowed, resourceIds: [...allowed.resourceIds ?? [], vm.id] };
  if (allowed.all === true || !covers(added, vm)) throw new HoldfastError('SELECTION_BY_TAGS', `The policy excludes ${vm.name} by its tags`, { data: { resourceId: vm.id } });
  return added;
}

/** The selection that does not cover a VM: its id goes, and where tags or `all` select it, it is excluded. Throws SELECTION_EMPTY where nothing would be left. */
export function withoutVm(items: ItemsSelection, vm: SelectableVm): ItemsSelection {
  if (!covers(items, vm)) return items;
  const removed = withoutIds(items, 'resourceIds', vm);
  if (removed.all === undefined && removed.resourceIds === undefined && removed.tags === undefined) {
    throw new HoldfastError('SELECTION_EMPTY', `Without ${vm.name} the policy would cover nothing`, { data: { resourceId: vm.id } });
  }
  return covers(removed, vm) ? { ...removed, excludeResourceIds: [...removed.excludeResourceIds ?? [], vm.id] } : removed;
}

const covers = (items: ItemsSelection, vm: SelectableVm): boolean => selectItems({ items }, [vm]).length > 0;

/** An empty list is no selection. */
function withoutIds(items: ItemsSelection, list: 'resourceIds' | 'excludeResourceIds', vm: SelectableVm): ItemsSelection {
  const { [list]: ids, ...rest } = items;
  const left = ids?.filter((id) => resourceIdKey(id) !== resourceIdKey(vm.id)) ?? [];
  return left.length === 0 ? rest : { ...rest, [list]: left };
}
