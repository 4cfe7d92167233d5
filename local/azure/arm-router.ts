import { beginGetAccess, endGetAccess } from './access';
import { deleteCollection, findCollection, getCollection, listCollections, patchCollection, putCollection } from './arm-collections';
import { deleteDisk, getDisk, listDisks, patchDisk, putDisk } from './arm-disks';
import { deleteRunCommand, getExtension, getRunCommand, putExtension, putRunCommand } from './arm-guest';
import { deleteRestorePoint, getDiskRestorePoint, getRestorePoint, listDiskRestorePoints, putRestorePoint } from './arm-restore-points';
import { deleteSnapshot, getSnapshot, listSnapshots, patchSnapshot, putSnapshot } from './arm-snapshots';
import { listSkus } from './arm-skus';
import { attachDetach, deleteVm, patchVm, setPower } from './arm-vm-changes';
import { putVm } from './arm-vm-create';
import { vmJson } from './arm-vms';
import { look, operationResult, operationStatus } from './operations';
import { localLocation, localResourceGroup } from './subscription-folder';
import { ArmError, type ArmReply, type JsonObject } from './wire';
import { keyOf, notFound, sameId, type World } from './world';

export interface ArmRequest {
  readonly method: string;
  /** Path as the client spelled it, decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly apiVersion: string;
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly body: JsonObject;
}

/** A path below a provider: the id so far, and the alternating types and names after Microsoft.Compute. */
interface ComputePath {
  readonly id: string;
  readonly scopeId: string;
  readonly types: readonly string[];
  readonly names: readonly string[];
  readonly action: string | undefined;
}

const actions = ['begingetaccess', 'endgetaccess', 'instanceview', 'deallocate', 'start', 'attachdetachdatadisks'];

/** Answers one Resource Manager request, or throws the ArmError that it deserves. */
export async function routeArm(world: World, request: ArmRequest): Promise<ArmReply> {
  const segments = request.path.split('/').filter((segment) => segment !== '');
  if (segments.length === 1) return { status: 200, body: { value: [subscriptionJson(world)] } };
  if (!sameId(segments[1] ?? '', world.state.subscriptionId)) {
    throw new ArmError(404, 'SubscriptionNotFound', `The subscription '${segments[1] ?? ''}' could not be found.`);
  }
  if (segments.length === 2) return { status: 200, body: subscriptionJson(world) };
  const at = segments.findIndex((segment) => keyOf(segment) === 'providers');
  if (at < 0) return resourceGroups(world, segments);
  if (keyOf(segments[at + 1] ?? '') !== 'microsoft.compute') throw new ArmError(404, 'InvalidResourceNamespace', `The resource namespace '${segments[at + 1] ?? ''}' is invalid.`);
  const rest = segments.slice(at + 2);
  if (keyOf(rest[0] ?? '') === 'skus' && rest.length === 1) return only(request, { GET: () => listSkus(world, request.query.get('$filter')) });
  if (keyOf(rest[0] ?? '') === 'locations') return operations(world, rest, request);
  return compute(world, request, parsePath(segments, at, rest));
}

function parsePath(segments: readonly string[], providersAt: number, rest: readonly string[]): ComputePath {
  const last = rest.at(-1) ?? '';
  const action = rest.length % 2 === 1 && actions.includes(keyOf(last)) ? keyOf(last) : undefined;
  const parts = action === undefined ? rest : rest.slice(0, -1);
  return {
    id: `/${[...segments.slice(0, providersAt + 2), ...parts].join('/')}`,
    scopeId: `/${segments.slice(0, providersAt).join('/')}`,
    types: parts.filter((_part, index) => index % 2 === 0).map(keyOf),
    names: parts.filter((_part, index) => index % 2 === 1),
    action,
  };
}

async function compute(world: World, request: ArmRequest, path: ComputePath): Promise<ArmReply> {
  const isList = path.names.length < path.types.length && path.action === undefined;
  checkNames(path.names);
  switch (path.types.join('/')) {
    case 'virtualmachines':
      return isList ? listVms(world, request, path) : vm(world, request, path);
    case 'virtualmachines/extensions':
      if (!isList) return only(request, { PUT: () => putExtension(world, path.id, request.body), GET: () => getExtension(world, path.id) });
      break;
    case 'virtualmachines/runcommands':
      if (!isList) {
        return only(request, {
          PUT: () => putRunCommand(world, path.id, request.body), DELETE: () => deleteRunCommand(world, path.id),
          GET: () => getRunCommand(world, path.id, keyOf(request.query.get('$expand') ?? '') === 'instanceview'),
        });
      }
      break;
    case 'disks':
      return isList ? only(request, { GET: () => listDisks(world, path.scopeId) }) : disk(world, request, path);
    case 'snapshots':
      return isList ? only(request, { GET: () => listSnapshots(world, path.scopeId) }) : snapshot(world, request, path);
    case 'restorepointcollections':
      return isList ? only(request, { GET: () => listCollections(world, path.scopeId) }) : collection(world, request, path);
    case 'restorepointcollections/restorepoints':
      if (!isList) return restorePoint(world, request, path);
      break;
    case 'restorepointcollections/restorepoints/diskrestorepoints':
      return isList ? only(request, { GET: () => listDiskRestorePoints(world, parentId(path.id, 1)) }) : diskRestorePoint(world, request, path);
    default:
      break;
  }
  throw new ArmError(404, 'InvalidResourceType', `The stand-in has no '${path.types.join('/')}' at ${path.id}.`);
}

type Handlers = Partial<Record<string, () => Promise<ArmReply> | ArmReply>>;

async function only(request: ArmRequest, handlers: Handlers): Promise<ArmReply> {
  const handler = handlers[request.method];
  if (handler === undefined) throw new ArmError(405, 'MethodNotAllowed', `The method ${request.method} is not allowed here.`);
  return handler();
}

function disk(world: World, request: ArmRequest, { id, action }: ComputePath): Promise<ArmReply> {
  if (action !== undefined) return access(world, request, id, action);
  return only(request, {
    PUT: () => putDisk(world, id, request.body, request.apiVersion),
    GET: () => getDisk(world, id),
    PATCH: () => patchDisk(world, id, request.body),
    DELETE: () => deleteDisk(world, id, request.apiVersion),
  });
}

function snapshot(world: World, request: ArmRequest, { id, action }: ComputePath): Promise<ArmReply> {
  if (action !== undefined) return access(world, request, id, action);
  return only(request, {
    PUT: () => putSnapshot(world, id, request.body, request.apiVersion),
    GET: () => getSnapshot(world, id),
    PATCH: () => patchSnapshot(world, id, request.body),
    DELETE: () => deleteSnapshot(world, id, request.apiVersion),
  });
}

function collection(world: World, request: ArmRequest, { id }: ComputePath): Promise<ArmReply> {
  return only(request, {
    PUT: () => putCollection(world, id, request.body),
    GET: () => getCollection(world, id, keyOf(request.query.get('$expand') ?? '') === 'restorepoints'),
    PATCH: () => patchCollection(world, id, request.body),
    DELETE: () => deleteCollection(world, id, request.apiVersion),
  });
}

function restorePoint(world: World, request: ArmRequest, { id }: ComputePath): Promise<ArmReply> {
  return only(request, {
    PUT: () => putRestorePoint(world, findCollection(world, parentId(id, 2)), id, request.body, request.apiVersion),
    GET: () => getRestorePoint(world, id, keyOf(request.query.get('$expand') ?? '') === 'instanceview'),
    DELETE: () => deleteRestorePoint(world, id, request.apiVersion),
  });
}

function diskRestorePoint(world: World, request: ArmRequest, { id, action }: ComputePath): Promise<ArmReply> {
  if (action !== undefined) return access(world, request, id, action);
  return only(request, { GET: () => getDiskRestorePoint(world, parentId(id, 2), id) });
}

function access(world: World, request: ArmRequest, id: string, action: string): Promise<ArmReply> {
  return only(request, {
    POST: () => (action === 'begingetaccess' ? beginGetAccess(world, id, request.body, request.apiVersion) : endGetAccess(world, id, request.apiVersion)),
  });
}

async function listVms(world: World, request: ArmRequest, path: ComputePath): Promise<ArmReply> {
  if (request.method !== 'GET') return only(request, {});
  const vms = (await world.vms()).filter((vm) => keyOf(world.vmResourceId(vm)).startsWith(`${keyOf(path.scopeId)}/`));
  return { status: 200, body: { value: vms.map((vm) => vmJson(world, vm, false)) } };
}

async function vm(world: World, request: ArmRequest, path: ComputePath): Promise<ArmReply> {
  const { id, action } = path;
  const { body, apiVersion, ifMatch, ifNoneMatch } = request;
  if (action === 'deallocate' || action === 'start') return only(request, { POST: () => setPower(world, id, action === 'start' ? 'running' : 'deallocated', apiVersion) });
  if (action === 'attachdetachdatadisks') return only(request, { POST: () => attachDetach(world, id, body, apiVersion) });
  return only(request, {
    GET: () => getVm(world, request, path),
    ...(action === undefined ? {
      PUT: () => putVm(world, id, body, apiVersion, ifNoneMatch), PATCH: () => patchVm(world, id, body, apiVersion, ifMatch), DELETE: () => deleteVm(world, id, apiVersion),
    } : {}),
  });
}

async function getVm(world: World, request: ArmRequest, path: ComputePath): Promise<ArmReply> {
  await look(world, path.id);
  const vm = await world.findVm(path.id);
  if (vm === undefined) throw notFound(path.id);
  const json = vmJson(world, vm, path.action === 'instanceview' || keyOf(request.query.get('$expand') ?? '') === 'instanceview');
  if (path.action !== 'instanceview') return { status: 200, body: json };
  const properties = json['properties'] as JsonObject;
  return { status: 200, body: properties['instanceView'] as JsonObject };
}

async function operations(world: World, rest: readonly string[], request: ArmRequest): Promise<ArmReply> {
  if (rest.length !== 4 || !['operations', 'diskoperations'].includes(keyOf(rest[2] ?? ''))) throw new ArmError(404, 'NotFound', `There is nothing at ${request.path}.`);
  const id = rest[3] ?? '';
  return only(request, { GET: () => (request.query.get('monitor') === 'true' ? operationResult(world, id, request.apiVersion) : operationStatus(world, id)) });
}

function subscriptionJson(world: World): JsonObject {
  const { subscriptionId } = world.state;
  return { id: `/subscriptions/${subscriptionId}`, subscriptionId, displayName: 'Local disk images', state: 'Enabled' };
}

/** Groups exist as soon as something lies in them: the stand-in makes nobody create one first. */
function resourceGroups(world: World, segments: readonly string[]): ArmReply {
  if (keyOf(segments[2] ?? '') !== 'resourcegroups') throw new ArmError(404, 'NotFound', `There is nothing at /${segments.join('/')}.`);
  const groupJson = (name: string): JsonObject => ({
    id: `/subscriptions/${world.state.subscriptionId}/resourceGroups/${name}`, name, type: 'Microsoft.Resources/resourceGroups',
    location: localLocation, properties: { provisioningState: 'Succeeded' },
  });
  if (segments[3] !== undefined) return { status: 200, body: groupJson(segments[3]) };
  const { snapshots, collections, disks, vms } = world.state;
  const names = [...Object.values(snapshots), ...Object.values(collections), ...Object.values(disks), ...Object.values(vms)].map((record) => record.id.split('/')[4] ?? localResourceGroup);
  return { status: 200, body: { value: [...new Set([localResourceGroup, ...names])].map(groupJson) } };
}

function parentId(id: string, levels: number): string {
  return id.split('/').slice(0, -levels).join('/');
}

function checkNames(names: readonly string[]): void {
  const bad = names.find((name) => !/^[A-Za-z0-9_.-]{1,160}$/.test(name));
  if (bad !== undefined) throw new ArmError(400, 'InvalidParameter', `The entity name '${bad}' is invalid.`);
}
