import type { VirtualMachineExtension } from '@azure/arm-compute';
import type { BlobSnapshot, GuestFiles, GuestSnapshotQuery, GuestSnapshotRequest, GuestSnapshotStatus } from '../../activities/guest-cloud';
import { HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import { type ArmContext, askingIfThere, begin } from '../compute/context';
import { redact } from '../../errors/redact';
import { aboutAgent } from './agent';
import type { BlobAddresses } from './blob-address';
import type { blobDiskOperations } from './blob-disks';
import type { BlobServices } from './blob-service';
import { GuestFileStore } from './guest-files';
import { extensionOf, extensionSettings } from './settings';
import { readStatusBlob } from './status-blob';

/** Snapshots by the extension in the guest. It is set and never deleted: Azure Backup and others use the same one. */
export function guestSnapshotOperations(context: ArmContext, addresses: BlobAddresses, services: BlobServices, blobs: ReturnType<typeof blobDiskOperations>) {
  const files = new GuestFileStore(addresses, services);
  const find = (vmId: string, osType: 'Windows' | 'Linux'): Promise<VirtualMachineExtension | undefined> => {
    const vm = context.ids.parse(vmId, 'virtualMachines');
    return askingIfThere(`to read the snapshot extension of ${vm.name}`, () =>
      context.clientFor(vm.subscriptionId).virtualMachineExtensions.get(vm.resourceGroup, vm.name, extensionOf(osType).name, { expand: 'instanceView' }));
  };
  return {
    async startGuestSnapshot(request: GuestSnapshotRequest): Promise<'started' | 'exists'> {
      const vm = context.ids.parse(request.vmId, 'virtualMachines');
      const existing = await find(request.vmId, request.osType);
      if (taskOf(existing) === request.taskId) return 'exists';
      if (/^(creating|updating|deleting|transitioning)$/i.test(existing?.provisioningState ?? '')) {
        throw new HoldfastError('CLOUD_CONFLICT', `The snapshot extension of ${vm.name} is busy with another task (${String(existing?.provisioningState)})`, { data: { serviceCode: '' } });
      }
      const access = await files.prepare(request.files, request.accessSeconds);
      const diskUrls: string[] = [];
      // To read, because the extension looks at the blob's metadata first; to create, which is what a snapshot needs and which overwrites nothing.
      for (const { blobUrl } of request.disks) diskUrls.push(await services.signedUrl(addresses.parse(blobUrl), 'rc', request.accessSeconds));
      const body = extensionSettings(request, { ...access, diskUrls });
      try {
        return await begin(
          `to set the snapshot extension of ${vm.name}`,
          () => context.clientFor(vm.subscriptionId).virtualMachineExtensions.createOrUpdate(vm.resourceGroup, vm.name, extensionOf(request.osType).name, body),
          async () => taskOf(await find(request.vmId, request.osType)) === request.taskId,
        );
      } catch (error) {
        if (isHoldfastError(error, 'CLOUD_CONFLICT') && aboutAgent.test(error.message)) throw new HoldfastError('GUEST_AGENT_NOT_READY', error.message, { data: error.data });
        throw error;
      }
    },

    async getGuestSnapshot(query: GuestSnapshotQuery): Promise<GuestSnapshotStatus> {
      const report = readStatusBlob(await files.readStatus(query.files), query.taskId, query.osType);
      if (report.state === 'failed') return { state: 'failed', failure: report.failure.toJSON() };
      if (report.state === 'running') return extensionState(await find(query.vmId, query.osType), query.taskId);
      const snapshots: BlobSnapshot[] = [];
      for (const blobUrl of query.blobUrls) {
        // What the guest names counts only where the service has it too, with the tags of this very task.
        const there = await blobs.listBlobSnapshots(blobUrl, query.tags);
        const named = there.find(({ id }) => report.snapshotUris.some((uri) => isSameSnapshot(addresses, uri, id)));
        if (!named) return failed('GUEST_SNAPSHOT_FAILED', `The snapshot extension says that all went well, but ${addresses.parse(blobUrl).url} has no snapshot that it names`);
        snapshots.push(named);
      }
      return { state: 'succeeded', consistency: report.consistency, snapshots, notes: report.notes };
    },

    deleteGuestFiles: (old: GuestFiles): Promise<void> => files.remove(old),
  };
}

function extensionState(extension: VirtualMachineExtension | undefined, taskId: string): GuestSnapshotStatus {
  if (!extension) return failed('GUEST_SNAPSHOT_FAILED', 'The snapshot extension is gone from the machine before it answered');
  if (taskOf(extension) !== taskId) return failed('GUEST_SNAPSHOT_FAILED', 'Someone else gave the snapshot extension another task before it answered');
  if (!/^(failed|cancell?ed)$/i.test(extension.provisioningState ?? '')) return { state: 'running' };
  const told = extension.instanceView?.statuses?.find(({ level, code }) => level === 'Error' || /failed/i.test(code ?? ''));
  const message = redact(told?.message ?? told?.displayStatus ?? `it ended in the state ${extension.provisioningState ?? ''}`).slice(0, 500);
  return failed(aboutAgent.test(`${told?.code ?? ''} ${message}`) ? 'GUEST_AGENT_NOT_READY' : 'GUEST_SNAPSHOT_FAILED', `The snapshot extension could not be set: ${message}`);
}

const failed = (code: 'GUEST_SNAPSHOT_FAILED' | 'GUEST_AGENT_NOT_READY', message: string): GuestSnapshotStatus => ({ state: 'failed', failure: new HoldfastError(code, message, { data: { serviceCode: '' } }).toJSON() });

const taskOf = (extension: VirtualMachineExtension | undefined): string | undefined => {
  const task = (extension?.settings as { taskId?: unknown } | undefined)?.taskId;
  return typeof task === 'string' ? task : undefined;
};

/** The guest may name a snapshot with its access signature behind it; the address and the time are what counts. */
function isSameSnapshot(addresses: BlobAddresses, uri: string, id: string): boolean {
  const snapshot = URL.canParse(uri) ? new URL(uri).searchParams.get('snapshot') : null;
  if (snapshot === null) return false;
  try {
    const named = addresses.parse(`${uri.split('?')[0] ?? ''}?snapshot=${snapshot}`);
    return `${named.url}?snapshot=${named.snapshot ?? ''}` === id;
  } catch (error) {
    if (isHoldfastError(error, 'CLOUD_ID_INVALID')) return false;
    throw error;
  }
}
