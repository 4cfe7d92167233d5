import { rm } from 'node:fs/promises';
import { accessUrl, endAccessOf } from './access';
import { removeCopy } from './copies';
import { guestState } from './guest-state';
import type { OperationRecord } from './state';
import { ArmError, type ArmReply } from './wire';
import { keyOf, sameId, type World } from './world';

/**
 * One look at an operation: counts as a poll, and ends the operation when its work is over and it was kept waiting
 * long enough. Looking at the resource that it works on counts the same, since clients may poll either.
 */
export async function pollOperation(world: World, operation: OperationRecord): Promise<void> {
  if (operation.status !== 'InProgress') return;
  await world.atRest(operation);
  if (operation.pollsLeft > 0) {
    operation.pollsLeft--;
    return;
  }
  if (!operation.workDone || world.now() < operation.readyAtMs) return;
  operation.status = operation.failure === null ? 'Succeeded' : 'Failed';
  operation.endedAtMs = world.now();
  await applyOutcome(world, operation);
  world.store.save();
}

/** Polls whatever is in progress on a resource. */
export async function look(world: World, targetId: string): Promise<void> {
  for (const operation of Object.values(world.state.operations)) {
    if (operation.status === 'InProgress' && sameId(operation.targetId, targetId)) await pollOperation(world, operation);
  }
}

async function applyOutcome(world: World, operation: OperationRecord): Promise<void> {
  const key = keyOf(operation.targetId);
  const { snapshots, restorePoints, disks, collections, vms } = world.state;
  switch (operation.kind) {
    case 'createSnapshot':
    case 'createRestorePoint':
    case 'createDisk': {
      const record = snapshots[key] ?? restorePoints[key] ?? disks[key];
      if (record === undefined) return;
      record.failure = operation.failure;
      if (record.state === 'Creating') record.state = operation.failure === null ? 'Succeeded' : 'Failed';
      return;
    }
    case 'grant':
      if (operation.failure !== null) await endAccessOf(world, operation.targetId);
      return;
    case 'revoke':
      return;
    case 'changeVm': {
      const record = vms[key];
      if (record === undefined) return;
      record.failure = operation.failure;
      if (operation.failure !== null && record.before !== null) record.now = record.before;
      record.before = null;
      record.version += 1;
      record.state = operation.failure === null ? 'Succeeded' : 'Failed';
      return;
    }
    case 'guest': {
      const { extensions, runCommands } = guestState(world.state);
      const record = extensions[key] ?? runCommands[key];
      if (record === undefined) return;
      record.failure = operation.failure;
      record.state = operation.failure === null ? 'Succeeded' : 'Failed';
      return;
    }
    case 'delete': {
      const record = snapshots[key] ?? restorePoints[key] ?? disks[key] ?? collections[key] ?? vms[key];
      if (record === undefined) return;
      if (operation.failure !== null) record.state = 'failure' in record && record.failure !== null ? 'Failed' : 'Succeeded';
      else await removeResource(world, key);
    }
  }
}

async function removeResource(world: World, key: string): Promise<void> {
  const { snapshots, restorePoints, disks, collections } = world.state;
  const points = Object.values(restorePoints).filter((point) => keyOf(point.id) === key || (collections[key] !== undefined && keyOf(point.collectionId) === key));
  for (const point of points) {
    for (const disk of point.disks) if (disk.copy !== null) await removeCopy(world, disk.copy);
    delete restorePoints[keyOf(point.id)];
  }
  const copy = snapshots[key]?.copy;
  if (copy !== null && copy !== undefined) await removeCopy(world, copy);
  const disk = disks[key];
  if (disk !== undefined) await rm(world.store.contentPath(disk.file), { force: true });
  delete snapshots[key];
  delete disks[key];
  delete collections[key];
  delete world.state.vms[key];
}

/** The Azure-AsyncOperation answer: always 200, with the state in the body. */
export async function operationStatus(world: World, id: string): Promise<ArmReply> {
  const operation = findOperation(world, id);
  await pollOperation(world, operation);
  const url = grantedUrl(world, operation);
  return {
    status: 200,
    headers: operation.status === 'InProgress' ? { 'retry-after': world.retryAfter(operation) } : {},
    body: {
      name: operation.id,
      status: operation.status,
      startTime: new Date(operation.startedAtMs).toISOString(),
      ...(operation.endedAtMs === null ? {} : { endTime: new Date(operation.endedAtMs).toISOString() }),
      ...(operation.status === 'Failed' && operation.failure !== null ? { error: { ...operation.failure } } : {}),
      ...(url === undefined ? {} : { properties: { output: { accessSAS: url } } }),
    },
  };
}

/** The Location answer: 202 while it runs, then the result itself. */
export async function operationResult(world: World, id: string, apiVersion: string): Promise<ArmReply> {
  const operation = findOperation(world, id);
  await pollOperation(world, operation);
  if (operation.status === 'InProgress') return world.accepted(operation, apiVersion, 202);
  if (operation.status === 'Failed' && operation.failure !== null) throw new ArmError(409, operation.failure.code, operation.failure.message);
  const url = grantedUrl(world, operation);
  if (url !== undefined) return { status: 200, body: { accessSAS: url } };
  return { status: operation.kind === 'delete' ? 204 : 200 };
}

function findOperation(world: World, id: string): OperationRecord {
  const operation = world.state.operations[id];
  if (operation === undefined) throw new ArmError(404, 'NotFound', `The operation ${id} is not known.`);
  return operation;
}

function grantedUrl(world: World, operation: OperationRecord): string | undefined {
  if (operation.kind !== 'grant' || operation.status !== 'Succeeded' || operation.container === null) return undefined;
  const access = world.state.accesses[operation.container];
  return access === undefined ? undefined : accessUrl(world, access);
}
