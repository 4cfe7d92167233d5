import type { AccessUri } from '@azure/arm-compute';
import type { AccessUrl, SnapshotHandle } from '../../activities/cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import type { DataClient } from '../disk/data-client';
import { dataPlaneError, singleHeader } from '../disk/data-errors';
import { dataPatience, sendPatiently } from '../disk/patient-client';
import { footerBytes } from '../disk/ranges';
import { serviceVersion } from '../disk/snapshot-source';
import { askedPause, isLoopback } from './arm-client';
import { type ArmContext, asking, type Submittable } from './context';
import { cloudError } from './errors';

const gib = 1024 ** 3;
/** Access is granted within seconds; when it takes minutes, the durable layer above had better ask again. */
const longestGrantMs = 4 * 60_000;
const usualPauseMs = 2000;
const mostAgreedSizes = 1000;

/** The parts of the SDK's poller that are used. Its serialized state holds the access URL, so it never leaves this file. */
export interface PatientPoller<T> extends Submittable {
  readonly isDone: boolean;
  readonly result: T | undefined;
  poll(): Promise<unknown>;
}

/** Which hosts an access URL may name. Sources: Azure's disk documents and the VM snapshot extension (see the tests for examples). */
export function isDataPlaneHost(url: URL, armEndpoint: URL, moreHosts: readonly string[]): boolean {
  const host = url.hostname.toLowerCase();
  if (isLoopback(url)) return isLoopback(armEndpoint);
  if (url.protocol !== 'https:') return false;
  return /^[a-z0-9-]+(\.[a-z0-9-]+)*\.(blob|disk)\.storage\.azure\.net$/.test(host)
    || /^md-[a-z0-9-]+\.blob\.core\.windows\.net$/.test(host)
    || moreHosts.some((allowed) => host === allowed.toLowerCase() || host.endsWith(`.${allowed.toLowerCase()}`));
}

export interface AccessSettings {
  readonly armEndpoint: URL;
  /** More hosts, and with them their subdomains: sovereign clouds. */
  readonly dataPlaneHosts: readonly string[];
  readonly dataClient: DataClient;
}

export function accessOperations(context: ArmContext, settings: AccessSettings) {
  // A snapshot does not change its size, and every slice of a disk asks for access anew: one comparison is enough.
  const agreedBytes = new Map<string, number>();
  return {
    async grantRead(handle: SnapshotHandle, durationSeconds: number): Promise<AccessUrl> {
      const doing = `read access to ${handle.id}`;
      const url = checkedUrl(await awaitAccess(context, doing, grantPoller(context, handle, durationSeconds)), settings, handle.id);
      const blobBytes = await blobSize(context, settings.dataClient, url, handle.id);
      if (agreedBytes.get(handle.id) !== blobBytes) {
        await checkSize(context, handle, blobBytes);
        if (agreedBytes.size >= mostAgreedSizes) agreedBytes.clear();
        agreedBytes.set(handle.id, blobBytes);
      }
      return { url, sizeBytes: blobBytes - footerBytes };
    },
    async endAccess(handle: SnapshotHandle): Promise<void> {
      await endAccessOf(handle.id, revokePoller(context, handle));
    },
  };
}

/** Ends access to a resource; that it is gone, or that there was none, is fine: either way nobody can use it any more. */
export async function endAccessOf(id: string, revoke: () => Submittable): Promise<void> {
  await unlessEnded(id, () => revoke().submitted());
}

/** The same, and waits until it is done: nothing else can be done to a disk before that. */
export async function endAccessWhole(context: ArmContext, id: string, revoke: () => PatientPoller<void>): Promise<void> {
  await unlessEnded(id, () => awaitPoller(context, `the end of access to ${id}`, revoke));
}

async function unlessEnded(id: string, end: () => Promise<void>): Promise<void> {
  try {
    await end();
  } catch (error) {
    const failure = cloudError(error, `to end access to ${id}`);
    if (failure.code === 'CLOUD_NOT_FOUND' || /^(AccessNotGranted|NoActiveAccess|SasNotActive|SharedAccessNotFound)$/i.test(String(failure.data['serviceCode']))) return;
    throw failure;
  }
}

function grantPoller(context: ArmContext, handle: SnapshotHandle, durationSeconds: number): () => PatientPoller<AccessUri> {
  const grant = { access: 'Read', durationInSeconds: durationSeconds } as const;
  if (handle.kind === 'snapshot') {
    const id = context.ids.parse(handle.id, 'snapshots');
    return () => context.clientFor(id.subscriptionId).snapshots.grantAccess(id.resourceGroup, id.name, grant);
  }
  const id = context.ids.parseDiskRestorePoint(handle.id);
  return () => context.clientFor(id.subscriptionId).diskRestorePoint.grantAccess(id.resourceGroup, id.collection, id.restorePoint, id.name, grant);
}

function revokePoller(context: ArmContext, handle: SnapshotHandle): () => Submittable {
  if (handle.kind === 'snapshot') {
    const id = context.ids.parse(handle.id, 'snapshots');
    return () => context.clientFor(id.subscriptionId).snapshots.revokeAccess(id.resourceGroup, id.name);
  }
  const id = context.ids.parseDiskRestorePoint(handle.id);
  return () => context.clientFor(id.subscriptionId).diskRestorePoint.revokeAccess(id.resourceGroup, id.collection, id.restorePoint, id.name);
}

/** Polls at the service's pace, with the injected clock instead of the SDK's, and gives up after some minutes. */
export async function awaitAccess(context: ArmContext, doing: string, start: () => PatientPoller<AccessUri>): Promise<AccessUri> {
  return (await awaitPoller(context, doing, start)) ?? {};
}

async function awaitPoller<T>(context: ArmContext, doing: string, start: () => PatientPoller<T>): Promise<T | undefined> {
  return asking(doing, () => askedPause.run({ pauseMs: undefined }, async () => {
    const poller = start();
    await poller.submitted();
    let waitedMs = 0;
    while (!poller.isDone) {
      const pauseMs = Math.max(askedPause.getStore()?.pauseMs ?? usualPauseMs, 100);
      waitedMs += pauseMs;
      if (waitedMs > longestGrantMs) throw new HoldfastError('CLOUD_FAILED', `Azure did not get done with ${doing} within ${String(longestGrantMs / 60_000)} minutes`, { data: { serviceCode: 'AccessTimeout' } });
      await context.waiting.wait(pauseMs);
      await poller.poll();
    }
    return poller.result;
  }));
}

export function checkedUrl(access: AccessUri, settings: AccessSettings, id: string): string {
  const text = access.accessSAS ?? '';
  if (!URL.canParse(text)) throw new HoldfastError('CLOUD_FAILED', `Azure granted access to ${id} without an address`, { data: { serviceCode: '' } });
  const url = new URL(text);
  if (!isDataPlaneHost(url, settings.armEndpoint, settings.dataPlaneHosts)) {
    throw new HoldfastError('CLOUD_FAILED', `The access URL of ${id} names the host ${url.host}, which is not one of Azure's disks`, { data: { serviceCode: '', host: url.host } });
  }
  return text;
}

/** The length of the blob behind the URL, footer included. */
export async function blobSize(context: ArmContext, client: DataClient, url: string, id: string): Promise<number> {
  const doing = `asking for the size of ${id}`;
  const response = await sendPatiently(client, { method: 'HEAD', url, headers: { 'x-ms-version': serviceVersion }, maxBodyBytes: 0 }, doing, dataPatience, context.waiting);
  if (response.status !== 200) throw dataPlaneError(response, doing);
  const sizeBytes = Number(singleHeader(response.headers, 'content-length'));
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= footerBytes || sizeBytes % 512 !== 0) {
    throw new HoldfastError('CLOUD_FAILED', `The disk service says that ${id} has ${String(singleHeader(response.headers, 'content-length'))} bytes`, { data: { serviceCode: '' } });
  }
  return sizeBytes;
}

/**
 * The blob is a fixed VHD, data and then a footer of 512 bytes. That is held against what the resource says: exactly for
 * a snapshot, to the GiB for a disk restore point, which tells no more.
 */
async function checkSize(context: ArmContext, handle: SnapshotHandle, blobBytes: number): Promise<void> {
  const dataBytes = blobBytes - footerBytes;
  if (handle.kind === 'snapshot') {
    const id = context.ids.parse(handle.id, 'snapshots');
    const { diskSizeBytes } = await asking(`to read the snapshot ${handle.id}`, () => context.clientFor(id.subscriptionId).snapshots.get(id.resourceGroup, id.name));
    if (diskSizeBytes !== undefined && diskSizeBytes !== dataBytes) throw sizesDisagree(handle.id, blobBytes, `${String(diskSizeBytes)} bytes`);
    return;
  }
  const id = context.ids.parseDiskRestorePoint(handle.id);
  const point = await asking(`to read the restore point ${id.restorePoint}`, () => context.clientFor(id.subscriptionId).restorePoints.get(id.resourceGroup, id.collection, id.restorePoint));
  const profile = point.sourceMetadata?.storageProfile;
  const disk = [profile?.osDisk, ...(profile?.dataDisks ?? [])].find((candidate) => candidate?.diskRestorePoint?.id?.toLowerCase() === handle.id.toLowerCase());
  if (disk?.diskSizeGB !== undefined && Math.abs(disk.diskSizeGB * gib - dataBytes) >= gib) throw sizesDisagree(handle.id, blobBytes, `${String(disk.diskSizeGB)} GiB`);
}

export function sizesDisagree(id: string, blobBytes: number, told: string): HoldfastError {
  return new HoldfastError('CLOUD_FAILED', `The blob of ${id} has ${String(blobBytes)} bytes with its footer, but the resource says ${told}`, { data: { serviceCode: 'SizeMismatch' } });
}
