import type { ItemsSelection } from './items-schema';
import { resourceIdKey } from './resource-id';
import type { PolicyDocument } from './schema';

/** What a policy looks at to choose a VM; the cloud's summaries have more. */
export interface SelectableVm {
  /** Full resource id, in any case. */
  readonly id: string;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * The VMs that a policy covers, in their given order, each resource id once. Whether the policy is enabled plays
 * no part, so that the selection of a disabled one can be looked at before it is enabled.
 */
export function selectItems<T extends SelectableVm>(policy: Pick<PolicyDocument, 'items'>, vms: readonly T[]): readonly T[] {
  const seen = new Set<string>();
  const isSelected = selector(policy.items);
  return vms.filter((vm) => {
    const key = resourceIdKey(vm.id);
    if (seen.has(key) || !isSelected(vm)) return false;
    seen.add(key);
    return true;
  });
}

/** The enabled policies that cover a VM, in their given order. Several may: each then makes its own recovery points. */
export function policyFor<P extends Pick<PolicyDocument, 'items' | 'enabled'>>(item: SelectableVm, policies: readonly P[]): readonly P[] {
  return policies.filter((policy) => policy.enabled && selector(policy.items)(item));
}

/**
 * Included by all, by id, or by carrying every one of the tags; excluded by id, or by carrying any one of the excluded
 * tags. Exclusion wins.
 */
function selector(items: ItemsSelection): (vm: SelectableVm) => boolean {
  const included = new Set(items.resourceIds?.map(resourceIdKey));
  const excluded = new Set(items.excludeResourceIds?.map(resourceIdKey));
  const wanted = Object.entries(items.tags ?? {});
  const unwanted = Object.entries(items.excludeTags ?? {});
  return (vm) => {
    const key = resourceIdKey(vm.id);
    const tags = tagsByLowerCaseName(vm);
    if (excluded.has(key) || unwanted.some(([name, values]) => carries(tags, name, values))) return false;
    if (items.all === true || included.has(key)) return true;
    // No wanted tags is "by id alone", not "every VM".
    return wanted.length > 0 && wanted.every(([name, values]) => carries(tags, name, values));
  };
}

/** Azure compares the names of tags without case and their values with it. Source: Azure Resource Manager, tags. */
function tagsByLowerCaseName(vm: SelectableVm): ReadonlyMap<string, string> {
  return new Map(Object.entries(vm.tags).map(([name, value]) => [name.toLowerCase(), value]));
}

function carries(tags: ReadonlyMap<string, string>, name: string, values: string | readonly string[]): boolean {
  const value = tags.get(name.toLowerCase());
  return value !== undefined && (typeof values === 'string' ? value === values : values.includes(value));
}
