import { z } from 'zod';
import { type ExtensionRecord, recordDeed, type RunCommandRecord } from './guest-state';
import type { LocalVm } from './subscription-folder';
import { ArmError, objectAt, stringAt, type JsonObject } from './wire';
import type { World } from './world';

/** The guest refuses a request that is older. */
const tooLateMinutes = 140;
const epochTicks = 621_355_968_000_000_000n;

const publicObject = z.object({ backupMetadata: z.array(z.object({ Key: z.string(), Value: z.string() })) });
const privateObject = z.object({ blobSASUri: z.array(z.url()).min(1) });

/** How a snapshot by the extension can go wrong inside of the guest; a fault names one. */
export const guestOutcomes = [
  'freezeFailed', 'freezeTimeout', 'vssFailed', 'noNetwork', 'snapshotLimit', 'tooLate', 'scriptFailed', 'scriptPassedOver', 'oneSnapshotFails', 'agentNotReady', 'neverAnswers', 'garbage', 'scriptTimeout',
] as const;
export type GuestOutcome = (typeof guestOutcomes)[number];

const failures: Partial<Record<GuestOutcome, { readonly code: number; readonly message: string }>> = {
  freezeFailed: { code: 121, message: 'Failed to freeze the mount /data' },
  freezeTimeout: { code: 122, message: 'The freeze did not end within 60 seconds' },
  vssFailed: { code: 2, message: 'VSS Writer SqlServerWriter in bad state: 8, error 0x800423f4' },
  noNetwork: { code: 76, message: 'Snapshot failed, the storage account cannot be reached' },
  snapshotLimit: { code: 85, message: 'The snapshot count against this blob has been exceeded' },
  tooLate: { code: 402, message: 'The guest agent invoked the command too late' },
  scriptFailed: { code: 300, message: 'Pre-script failed with exit code 1' },
};

interface SnapshotInfo { readonly isSuccessful: boolean; readonly snapshotUri: string | null; readonly errorMessage: string | null; readonly blobUri: string; readonly directDriveSnapshotIdentifier: null }

/**
 * What the snapshot extension does inside of the guest, over HTTP with the access it was given: reads the settings as its public parser does, makes the
 * guest consistent (here: does nothing, since files have no guest), snapshots each blob, and writes its status. Throws the ArmError with
 * which the extension's own provisioning fails.
 */
export async function playExtension(world: World, vm: LocalVm, record: ExtensionRecord, protectedSettings: JsonObject): Promise<void> {
  const settings = objectAt(record.properties, 'settings');
  const outcome = world.faults.take('guest', 'PUT', [record.id])?.outcome;
  if (vm.consistency === 'crash' || outcome === 'agentNotReady') {
    throw new ArmError(409, 'VMExtensionHandlerNotReady', `VM '${vm.name}' has not reported status for VM agent or extensions. Verify that the VM has a running VM agent.`);
  }
  const hidden = privateObject.parse(decoded(protectedSettings));
  const { backupMetadata } = publicObject.parse(decoded(settings));
  const statusUrl = stringAt(settings, 'statusBlobUri') ?? stringAt(protectedSettings, 'statusBlobUri') ?? '';
  const taskId = stringAt(settings, 'taskId') ?? '';
  if (!/snapshot/.test(stringAt(settings, 'commandToExecute') ?? '') || outcome === 'neverAnswers') return;
  if (record.tasksDone.includes(taskId)) return writeStatus(world, statusUrl, settings, 'success', 3, 'This task was processed before', []);
  record.tasksDone.push(taskId);
  if (outcome === 'garbage') return write(statusUrl, '{"status": ');
  const askedMs = Number((BigInt(stringAt(settings, 'commandStartTimeUTCTicks') ?? '0') - epochTicks) / 10_000n);
  const failure = (world.now() - askedMs > tooLateMinutes * 60_000 ? failures.tooLate : undefined) ?? (outcome === undefined ? undefined : failures[outcome]);
  if (failure !== undefined) return writeStatus(world, statusUrl, settings, 'error', failure.code, failure.message, []);
  recordDeed(world.state, `freeze ${vm.name}`);
  const infos: SnapshotInfo[] = [];
  for (const [index, url] of hidden.blobSASUri.entries()) infos.push(outcome === 'oneSnapshotFails' && index === hidden.blobSASUri.length - 1 ? failedSnapshot(url, 'Rate exceeded') : await snapshot(url, backupMetadata));
  recordDeed(world.state, `thaw ${vm.name}`);
  const isWhole = infos.every(({ isSuccessful }) => isSuccessful);
  if (!isWhole) return writeStatus(world, statusUrl, settings, 'error', outcome === 'oneSnapshotFails' ? 173 : 2, 'Not all snapshots succeeded', infos);
  const code = outcome === 'scriptPassedOver' ? 301 : vm.consistency === 'application' ? 0 : 1;
  return writeStatus(world, statusUrl, settings, 'success', code, outcome === 'scriptPassedOver' ? 'Post-script failed, going on' : 'Enable Succeeded', infos);
}

/** As the parser reads it: base64 of JSON in ASCII. It breaks where the member is missing. */
function decoded(settings: JsonObject): unknown {
  const text = stringAt(settings, 'objectStr');
  if (text === undefined || text === '') throw new ArmError(409, 'VMExtensionProvisioningError', "VM has reported a failure when processing extension: 'NoneType' object has no attribute 'keys'");
  return JSON.parse(Buffer.from(text, 'base64').toString('ascii'));
}

async function snapshot(url: string, metadata: readonly { readonly Key: string; readonly Value: string }[]): Promise<SnapshotInfo> {
  const looked = await fetch(`${url}&comp=metadata`);
  if (!looked.ok) return failedSnapshot(url, `reading its metadata was answered ${looked.status}`);
  const answer = await fetch(`${url}&comp=snapshot`, { method: 'PUT', headers: Object.fromEntries(metadata.map(({ Key, Value }) => [`x-ms-meta-${Key}`, Value])) });
  const taken = answer.headers.get('x-ms-snapshot');
  if (!answer.ok || taken === null) return failedSnapshot(url, `the snapshot was answered ${answer.status} ${answer.headers.get('x-ms-error-code') ?? ''}`);
  const blobUri = url.split('?')[0] ?? '';
  return { isSuccessful: true, snapshotUri: `${blobUri}?snapshot=${taken}`, errorMessage: null, blobUri, directDriveSnapshotIdentifier: null };
}

const failedSnapshot = (url: string, errorMessage: string): SnapshotInfo => ({ isSuccessful: false, snapshotUri: null, errorMessage, blobUri: url.split('?')[0] ?? '', directDriveSnapshotIdentifier: null });

async function writeStatus(world: World, url: string, settings: JsonObject, status: string, code: number, message: string, snapshotInfo: readonly SnapshotInfo[]): Promise<void> {
  const document = [{
    version: '1.0', timestampUTC: `/Date(${world.now()})/`,
    status: {
      name: 'VMSnapshotLinux', operation: 'Enable', status, substatus: [], code, taskId: stringAt(settings, 'taskId') ?? '', formattedMessage: { lang: 'en-US', message },
      storageDetails: { partitionCount: 1, totalUsedSizeInBytes: 0, isStoragespacePresent: false, isSizeComputationFailed: false },
      commandStartTimeUTCTicks: stringAt(settings, 'commandStartTimeUTCTicks') ?? '', telemetryData: [], uniqueMachineId: '', snapshotInfo, vmHealthInfo: null,
    },
  }];
  await write(url, JSON.stringify(document));
}

async function write(url: string, text: string): Promise<void> {
  const answer = await fetch(url, { method: 'PUT', headers: { 'x-ms-blob-type': 'BlockBlob' }, body: text });
  if (!answer.ok) throw new ArmError(409, 'VMExtensionProvisioningError', `The status could not be written: ${answer.status}`);
}

/** A script in the guest. None is really run: whoever can reach the stand-in could run anything on this machine then. Throws where the agent cannot run it. */
export function playScript(world: World, vm: LocalVm, record: RunCommandRecord): Promise<void> {
  const outcome = world.faults.take('guest', 'PUT', [record.id])?.outcome;
  if (vm.consistency === 'crash' || outcome === 'agentNotReady') throw new ArmError(409, 'VMAgentStatusCommunicationError', `VM '${vm.name}' has not reported status for VM agent or extensions.`);
  record.startedAtMs = world.now();
  record.executionState = 'Running';
  recordDeed(world.state, `${record.script.split('\n')[0] ?? ''} on ${vm.name}`);
  if (outcome === 'neverAnswers') return Promise.resolve();
  record.endedAtMs = world.now();
  record.executionState = outcome === 'scriptTimeout' ? 'TimedOut' : outcome === 'scriptFailed' ? 'Failed' : 'Succeeded';
  record.exitCode = outcome === 'scriptTimeout' ? null : outcome === 'scriptFailed' ? 1 : 0;
  return Promise.resolve();
}
