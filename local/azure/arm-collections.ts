import { randomUUID } from 'node:crypto';
import { refuseWhileOpen, restorePointJson } from './arm-restore-points';
import { look } from './operations';
import type { CollectionRecord, RestorePointRecord } from './state';
import { ArmError, objectAt, stringAt, tagsOf, type ArmReply, type JsonObject } from './wire';
import { keyOf, notFound, sameId, type World } from './world';

/** PUT restorePointCollections/{name}: what the restore points of one VM hang under. */
export async function putCollection(world: World, id: string, body: JsonObject): Promise<ArmReply> {
  const vmId = stringAt(objectAt(objectAt(body, 'properties'), 'source'), 'id');
  if (vmId === undefined) throw new ArmError(400, 'InvalidParameter', "Required parameter 'source.id' is missing (null).");
  const vm = await world.findVm(vmId);
  const existing = world.state.collections[keyOf(id)];
  if (existing !== undefined) {
    if (!sameId(existing.vmId, vmId)) throw new ArmError(409, 'PropertyChangeNotAllowed', "Changing property 'source' is not allowed.");
    existing.tags = tagsOf(body);
    world.store.save();
    return { status: 200, body: collectionJson(world, existing, false) };
  }
  if (vm === undefined) throw notFound(vmId);
  const record: CollectionRecord = {
    id, name: id.split('/').at(-1) ?? '', location: stringAt(body, 'location') ?? 'local', vmId,
    collectionGuid: randomUUID(), tags: tagsOf(body), state: 'Succeeded',
  };
  world.state.collections[keyOf(id)] = record;
  world.store.save();
  return { status: 201, body: collectionJson(world, record, false) };
}

export async function getCollection(world: World, id: string, withPoints: boolean): Promise<ArmReply> {
  await look(world, id);
  const record = findCollection(world, id);
  if (withPoints) for (const point of pointsOf(world, record)) await look(world, point.id);
  return { status: 200, body: collectionJson(world, record, withPoints) };
}

export async function listCollections(world: World, underId: string): Promise<ArmReply> {
  const records = Object.values(world.state.collections).filter((record) => keyOf(record.id).startsWith(`${keyOf(underId)}/`));
  for (const record of records) await look(world, record.id);
  return { status: 200, body: { value: records.filter((record) => world.state.collections[keyOf(record.id)] !== undefined).map((record) => collectionJson(world, record, false)) } };
}

/** PATCH changes tags and nothing else. */
export async function patchCollection(world: World, id: string, body: JsonObject): Promise<ArmReply> {
  const record = findCollection(world, id);
  record.tags = tagsOf(body);
  world.store.save();
  return { status: 200, body: collectionJson(world, record, false) };
}

/** DELETE takes every restore point in it along. */
export async function deleteCollection(world: World, id: string, apiVersion: string): Promise<ArmReply> {
  await look(world, id);
  const record = world.state.collections[keyOf(id)];
  if (record === undefined) return { status: 204 };
  for (const point of pointsOf(world, record)) {
    await look(world, point.id);
    refuseWhileOpen(world, point);
    if (point.state === 'Creating') throw new ArmError(409, 'OperationNotAllowed', `The restore point ${point.name} is still being created.`);
  }
  record.state = 'Deleting';
  return world.accepted(world.startOperation('delete', id), apiVersion, 202);
}

export function findCollection(world: World, id: string): CollectionRecord {
  const record = world.state.collections[keyOf(id)];
  if (record === undefined) throw notFound(id);
  return record;
}

function pointsOf(world: World, record: CollectionRecord): RestorePointRecord[] {
  return Object.values(world.state.restorePoints).filter((point) => sameId(point.collectionId, record.id));
}

function collectionJson(world: World, record: CollectionRecord, withPoints: boolean): JsonObject {
  return {
    name: record.name,
    id: record.id,
    type: 'Microsoft.Compute/restorePointCollections',
    location: record.location,
    tags: record.tags,
    properties: {
      provisioningState: record.state,
      restorePointCollectionId: record.collectionGuid,
      source: { id: record.vmId, location: record.location },
      ...(withPoints ? { restorePoints: pointsOf(world, record).map((point) => restorePointJson(point, false)) } : {}),
    },
  };
}
