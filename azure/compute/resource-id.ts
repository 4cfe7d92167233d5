import { HoldfastError } from '../../errors/holdfast-error';

/**
 * Resource ids come from people, from tags and from other resources, and end up in the path of requests that carry the
 * backup's identity. So they are parsed by what is allowed, never by what is forbidden, and only the parts travel on.
 */
export interface ResourceId {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
}

export interface DiskRestorePointId extends ResourceId {
  readonly collection: string;
  readonly restorePoint: string;
}

/** Parses ids and refuses those of subscriptions that the app was not given. */
export interface ResourceIds {
  /** The id of a VM, disk or snapshot. Throws CLOUD_ID_INVALID, CLOUD_ACCESS_DENIED. */
  parse(id: string, type: 'virtualMachines' | 'disks' | 'snapshots'): ResourceId;
  parseDiskRestorePoint(id: string): DiskRestorePointId;
  /**
   * Checks an id that a request's body is to hold, for instance of Microsoft.Network/networkInterfaces: with the backup's identity, a machine could else be
   * put into a network of which its user knows no more than a name. Throws CLOUD_ID_INVALID, CLOUD_ACCESS_DENIED.
   */
  checkReference(id: string, provider: string, types: readonly string[]): void;
  /** Checks names that come apart. */
  check(parts: { readonly subscriptionId: string; readonly resourceGroup: string }, names: readonly string[]): void;
}

const subscriptionPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Letters of any script, digits and -_.(): a resource group's alphabet (Azure naming rules). It may not end with a dot. */
const groupPattern = /^[\p{L}\p{N}_.()-]{0,89}[\p{L}\p{N}_()-]$/u;
/** A resource of Microsoft.Compute. A disk restore point is named <disk>_<guid>, hence the length. */
const namePattern = /^[\p{L}\p{N}_][\p{L}\p{N}_.-]{0,159}$/u;

export function createResourceIds(subscriptionIds: readonly string[]): ResourceIds {
  for (const id of subscriptionIds) {
    if (!subscriptionPattern.test(id)) throw new HoldfastError('CLOUD_SETTING_INVALID', `The subscription id ${JSON.stringify(id)} is not a GUID`);
  }
  const allowed = new Set(subscriptionIds.map((id) => id.toLowerCase()));
  const check = (parts: { subscriptionId: string; resourceGroup: string }, names: readonly string[], shown: string): void => {
    if (!subscriptionPattern.test(parts.subscriptionId) || !groupPattern.test(parts.resourceGroup) || !names.every((name) => namePattern.test(name))) {
      throw invalid(shown);
    }
    if (!allowed.has(parts.subscriptionId.toLowerCase())) {
      throw new HoldfastError('CLOUD_ACCESS_DENIED', `The subscription ${parts.subscriptionId} is not one that this app may look at (${shown.slice(0, 300)})`, { data: { serviceCode: '', subscriptionId: parts.subscriptionId } });
    }
  };
  return {
    parse: (id, type) => {
      const [subscriptionId, resourceGroup, name] = captures(id, 'Microsoft.Compute', [type]);
      check({ subscriptionId, resourceGroup }, [name], id);
      return { subscriptionId, resourceGroup, name };
    },
    parseDiskRestorePoint: (id) => {
      const [subscriptionId, resourceGroup, collection, restorePoint = '', name = ''] = captures(id, 'Microsoft.Compute', ['restorePointCollections', 'restorePoints', 'diskRestorePoints']);
      check({ subscriptionId, resourceGroup }, [collection, restorePoint, name], id);
      return { subscriptionId, resourceGroup, collection, restorePoint, name };
    },
    checkReference: (id, provider, types) => {
      const [subscriptionId, resourceGroup, ...names] = captures(id, provider, types);
      check({ subscriptionId, resourceGroup }, names, id);
    },
    check: (parts, names) => check(parts, names, `${parts.subscriptionId}/${parts.resourceGroup}/${names.join('/')}`),
  };
}

/** Subscription, group, then a name for each type. The fixed words are compared without case, as Azure does. */
function captures(id: string, provider: string, types: readonly string[]): [string, string, string, ...string[]] {
  const segments = id.length > 1000 ? [] : id.split('/');
  const fixed = ['', 'subscriptions', undefined, 'resourcegroups', undefined, 'providers', provider.toLowerCase(), ...types.flatMap((type) => [type.toLowerCase(), undefined])];
  if (segments.length !== fixed.length || !fixed.every((word, index) => word === undefined || word === segments[index]?.toLowerCase())) throw invalid(id, provider, types);
  const [subscriptionId = '', resourceGroup = '', name = '', ...rest] = segments.filter((_, index) => fixed[index] === undefined);
  return [subscriptionId, resourceGroup, name, ...rest];
}

function invalid(shown: string, provider = '', types: readonly string[] = []): HoldfastError {
  const wanted = types.length === 0 ? 'a valid resource id' : `the id of a resource of the type ${provider}/${types.join('/')}`;
  return new HoldfastError('CLOUD_ID_INVALID', `${JSON.stringify(shown.slice(0, 300))} is not ${wanted}`, { data: { serviceCode: '' } });
}

/** Azure compares ids without case and spells them differently from one answer to the next. */
export function isSameId(left: string | undefined, right: string | undefined): boolean {
  return left !== undefined && right !== undefined && left.toLowerCase() === right.toLowerCase();
}
