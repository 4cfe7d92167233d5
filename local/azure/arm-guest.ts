import { playExtension, playScript } from './guest';
import { type ExtensionRecord, guestState, type RunCommandRecord } from './guest-state';
import { look } from './operations';
import { ArmError, numberAt, objectAt, stringAt, tagsOf, type ArmReply, type JsonObject } from './wire';
import { keyOf, notFound, type World } from './world';

const publisher = 'Microsoft.Azure.RecoveryServices';
const types = { Windows: 'VMSnapshot', Linux: 'VMSnapshotLinux' } as const;

/** PUT virtualMachines/{vm}/extensions/{name}: only the snapshot extension of the guest's system, of which a VM has one. */
export async function putExtension(world: World, id: string, body: JsonObject): Promise<ArmReply> {
  await look(world, id);
  const vmId = id.split('/').slice(0, -2).join('/');
  const vm = await world.findVm(vmId);
  if (vm === undefined) throw notFound(vmId);
  const { protectedSettings, ...properties } = objectAt(body, 'properties');
  const type = stringAt(properties, 'type');
  if (stringAt(properties, 'publisher') !== publisher || type !== types[vm.osType] || stringAt(properties, 'typeHandlerVersion') === undefined) {
    throw new ArmError(404, 'ArtifactNotFound', `Extension with publisher '${stringAt(properties, 'publisher') ?? ''}', type '${type ?? ''}' could not be found for a ${vm.osType} machine.`);
  }
  const extensions = guestState(world.state).extensions;
  const existing = extensions[keyOf(id)];
  if (existing?.state === 'Creating') throw new ArmError(409, 'Conflict', 'The request failed due to conflict with a concurrent request.');
  const record: ExtensionRecord = { id, name: id.split('/').at(-1) ?? '', properties, state: 'Creating', failure: null, tasksDone: existing?.tasksDone ?? [] };
  extensions[keyOf(id)] = record;
  const hidden = objectAt({ protectedSettings }, 'protectedSettings');
  // Accepted at once: what goes on in the guest takes as long as it takes.
  world.startOperation('guest', id, { work: () => playExtension(world, vm, record, hidden) });
  return { status: existing === undefined ? 201 : 200, body: extensionJson(record, tagsOf(body)) };
}

export async function getExtension(world: World, id: string): Promise<ArmReply> {
  await world.guestAtRest(id);
  await look(world, id);
  const record = guestState(world.state).extensions[keyOf(id)];
  if (record === undefined) throw notFound(id);
  return { status: 200, body: extensionJson(record, {}) };
}

function extensionJson(record: ExtensionRecord, tags: Record<string, string>): JsonObject {
  return {
    id: record.id, name: record.name, type: 'Microsoft.Compute/virtualMachines/extensions', location: 'local', tags,
    properties: {
      ...record.properties, provisioningState: record.state,
      instanceView: { name: record.name, statuses: record.failure === null ? [] : [{ code: `ProvisioningState/failed/${record.failure.code}`, level: 'Error', displayStatus: 'Provisioning failed', message: record.failure.message }] },
    },
  };
}

const mostCommands = 25;

/** PUT virtualMachines/{vm}/runCommands/{name}. */
export async function putRunCommand(world: World, id: string, body: JsonObject): Promise<ArmReply> {
  await look(world, id);
  const vmId = id.split('/').slice(0, -2).join('/');
  const vm = await world.findVm(vmId);
  if (vm === undefined) throw notFound(vmId);
  const commands = guestState(world.state).runCommands;
  const properties = objectAt(body, 'properties');
  const script = stringAt(objectAt(properties, 'source'), 'script');
  if (script === undefined) throw new ArmError(400, 'InvalidParameter', 'Required parameter source.script is missing.');
  if (commands[keyOf(id)] === undefined && Object.keys(commands).filter((key) => key.startsWith(`${keyOf(vmId)}/`)).length >= mostCommands) throw new ArmError(409, 'OperationNotAllowed', `A machine has at most ${mostCommands} run commands.`);
  const record: RunCommandRecord = {
    id, name: id.split('/').at(-1) ?? '', script, timeoutSeconds: numberAt(properties, 'timeoutInSeconds') ?? 5400, state: 'Creating', failure: null,
    executionState: 'Pending', exitCode: null, startedAtMs: null, endedAtMs: null,
  };
  commands[keyOf(id)] = record;
  world.startOperation('guest', id, { work: () => Promise.resolve().then(() => playScript(world, vm, record)) });
  return { status: 201, body: runCommandJson(record, false) };
}

export async function getRunCommand(world: World, id: string, withInstanceView: boolean): Promise<ArmReply> {
  await world.guestAtRest(id);
  await look(world, id);
  const record = guestState(world.state).runCommands[keyOf(id)];
  if (record === undefined) throw notFound(id);
  return { status: 200, body: runCommandJson(record, withInstanceView) };
}

export function deleteRunCommand(world: World, id: string): ArmReply {
  const commands = guestState(world.state).runCommands;
  if (commands[keyOf(id)] === undefined) return { status: 204 };
  delete commands[keyOf(id)];
  world.store.save();
  return { status: 200 };
}

function runCommandJson(record: RunCommandRecord, withInstanceView: boolean): JsonObject {
  const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
  return {
    id: record.id, name: record.name, type: 'Microsoft.Compute/virtualMachines/runCommands', location: 'local',
    properties: {
      source: { script: record.script }, timeoutInSeconds: record.timeoutSeconds, asyncExecution: true, provisioningState: record.state,
      ...(withInstanceView ? { instanceView: {
        executionState: record.executionState, exitCode: record.exitCode ?? 0, output: 'out', error: '', startTime: time(record.startedAtMs), endTime: time(record.endedAtMs),
        statuses: record.failure === null ? [] : [{ code: `ProvisioningState/failed/${record.failure.code}`, level: 'Error', displayStatus: 'Provisioning failed', message: record.failure.message }],
      } } : {}),
    },
  };
}
