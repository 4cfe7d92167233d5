import { DUTIES, type Duty } from '../../activities/deps';
import type { StoreUse } from '../support/traffic';
import type { Call } from './calls';
import { resourceOf } from './resource';
import { isMembers, type Shape } from './shape';

/** Where a right is needed: on the machines' subscriptions, in the vault's container, on its key, in the storage accounts of unmanaged disks, in the containers that restores write to. */
export type Place = 'machines' | 'vault' | 'key' | 'diskAccounts' | 'restoreContainers';
export interface Rights { readonly actions: readonly string[]; readonly dataActions: readonly string[] }
export type RightsByDuty = Readonly<Record<Duty, Partial<Record<Place, Rights>>>>;

interface Right { readonly place: Place; readonly name: string; readonly isData: boolean }

const blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';
const [READ, ADD, WRITE, DELETE] = [`${blobs}/read`, `${blobs}/add/action`, `${blobs}/write`, `${blobs}/delete`];
const HOLD = `${blobs}/immutableStorage/runAsSuperUser/action`;

/** Source: "Permissions for calling data operations" in the reference of Blob Storage (Authorize with Microsoft Entra ID). Creating takes no `write`, which would allow to replace. */
export const blobRights: Readonly<Record<string, readonly string[]>> = {
  'Get Blob': [READ], 'Get Blob Properties': [READ], 'Get Page Ranges': [READ], 'Get Page Ranges, diff': [READ], 'List Blobs': [READ], 'Put Blob, create only': [ADD], 'Snapshot Blob': [ADD],
  'Put Blob': [WRITE], 'Put Page': [WRITE], 'Put Page, clear': [WRITE], 'Delete Blob': [DELETE], 'Set Blob Immutability Policy': [HOLD],
};
/** Of the same table, but actions and no data actions. The app signs addresses with its delegation key to read (r), create (c) and write (w): whoever signs needs what the signature allows. */
const accountRights: Readonly<Record<string, readonly { readonly name: string; readonly isData: boolean }[]>> = {
  'Create Container': [{ name: 'Microsoft.Storage/storageAccounts/blobServices/containers/write', isData: false }],
  'Get User Delegation Key': [{ name: 'Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action', isData: false }, ...[READ, ADD, WRITE].map((name) => ({ name, isData: true }))],
};

/** What the blob store sends for each of the store's operations; a test holds it to that. A create whose answer was lost looks whose write there is. */
export const storeRequests: Readonly<Record<Exclude<StoreUse['operation'], 'wrap' | 'unwrap'>, readonly string[]>> = {
  create: ['Put Blob, create only', 'Get Blob Properties'], read: ['Get Blob'], stat: ['Get Blob Properties'], list: ['List Blobs'], delete: ['Delete Blob'], serverTimeMs: ['List Blobs'],
  until: ['Get Blob Properties'], extend: ['Get Blob Properties', 'Set Blob Immutability Policy'],
};

/**
 * Rights that Azure asks for on what a request names in its body (it refuses with LinkedAuthorizationFailed otherwise). `member` is looked for anywhere in the body.
 * Sources: the refusals that people reported (Azure/OpenShift#186 for snapshots), and the documented roles of products that attach disks.
 */
const linked: readonly { readonly call: RegExp; readonly member: string; readonly action: string }[] = [
  { call: /^PUT Microsoft\.Compute\/snapshots\//, member: 'sourceResourceId', action: 'Microsoft.Compute/disks/beginGetAccess/action' },
  { call: /^PUT Microsoft\.Compute\/restorePointCollections\/\{\}$/, member: 'source', action: 'Microsoft.Compute/virtualMachines/read' },
  { call: /^PUT Microsoft\.Compute\/restorePointCollections\/\{\}\/restorePoints\//, member: 'excludeDisks', action: 'Microsoft.Compute/disks/read' },
  { call: /^(PUT|PATCH) Microsoft\.Compute\/virtualMachines\/\{\}$/, member: 'managedDisk', action: 'Microsoft.Compute/disks/write' },
  { call: /^POST .*\/attachDetachDataDisks$/, member: 'dataDisksToAttach', action: 'Microsoft.Compute/disks/write' },
  { call: /^PUT Microsoft\.Compute\/virtualMachines\/\{\}$/, member: 'networkInterfaces', action: 'Microsoft.Network/networkInterfaces/join/action' },
  { call: /^PUT Microsoft\.Compute\/virtualMachines\/\{\}$/, member: 'subnet', action: 'Microsoft.Network/virtualNetworks/subnets/join/action' },
  { call: /^PUT Microsoft\.Compute\/virtualMachines\/\{\}$/, member: 'networkSecurityGroup', action: 'Microsoft.Network/networkSecurityGroups/join/action' },
];

/** What each duty needs for the calls that it was seen to make, and nothing else. */
export function rightsOf(calls: readonly Call[]): RightsByDuty {
  const ofDuty = (duty: Duty): Partial<Record<Place, Rights>> => {
    const rights = calls.filter(({ by }) => by?.includes(duty)).flatMap((call) => rightsOfCall(call, duty));
    const places = [...new Set(rights.map(({ place }) => place))].sort();
    const names = (place: Place, isData: boolean): string[] => [...new Set(rights.filter((right) => right.place === place && right.isData === isData).map(({ name }) => name))].sort();
    return Object.fromEntries(places.map((place) => [place, { actions: names(place, false), dataActions: names(place, true) }]));
  };
  return Object.fromEntries(DUTIES.map((duty) => [duty, ofDuty(duty)])) as RightsByDuty;
}

/** Throws an Error for a call that no rule knows: a right that is not thought of is one that is missing. */
function rightsOfCall({ call, body }: Call, duty: Duty): Right[] {
  const resource = resourceOf(call);
  if (resource) {
    const more = linked.filter((rule) => rule.call.test(call) && body !== undefined && has(body, rule.member)).map(({ action }) => action);
    // Where an operation is looked up is Azure's to say, in its answer: that of a disk's may be with the other operations of Compute.
    if (resource.type.endsWith('/DiskOperations')) more.push('Microsoft.Compute/locations/operations/read');
    return [actionOf(resource), ...more].map((name) => ({ place: 'machines', name, isData: false }));
  }
  const [, kind = '', operation = ''] = /^(\w+) (.+)$/.exec(call) ?? [];
  if (kind === 'blob') {
    // Only restores write to containers of their own; all else that is asked of blobs by its duty is about unmanaged disks.
    const place = duty === 'restore' ? 'restoreContainers' : 'diskAccounts';
    const rights = accountRights[operation] ?? blobRights[operation]?.map((name) => ({ name, isData: true }));
    if (rights) return rights.map((right) => ({ place, ...right }));
  }
  if (kind === 'vault' && (operation === 'wrap' || operation === 'unwrap')) return [{ place: 'key', name: `Microsoft.KeyVault/vaults/keys/${operation}/action`, isData: true }];
  if (kind === 'vault') return (storeRequests[operation as keyof typeof storeRequests] ?? []).flatMap((request) => blobRights[request] ?? []).map((name) => ({ place: 'vault', name, isData: true }));
  throw new Error(`No rule says which right ${call} takes`);
}

/** Azure's rule: the method says what is done with the type that the path names. */
function actionOf({ method, type, action }: { readonly method: string; readonly type: string; readonly action: string }): string {
  if (method === 'POST') return `${type}/${action}/action`;
  // The list of operations writes the one type that a path writes with a capital with a small letter.
  const spelled = type.replace('/DiskOperations', '/diskOperations');
  return `${spelled}/${method === 'DELETE' ? 'delete' : method === 'PUT' || method === 'PATCH' ? 'write' : 'read'}`;
}

function has(shape: Shape, member: string): boolean {
  if (typeof shape === 'string') return false;
  if (!isMembers(shape)) return shape.some((element) => has(element, member));
  return Object.entries(shape).some(([name, inner]) => name.replace(/\?$/, '') === member || has(inner, member));
}
