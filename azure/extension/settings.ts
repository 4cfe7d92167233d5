import type { VirtualMachineExtension } from '@azure/arm-compute';
import type { GuestSnapshotRequest } from '../../activities/guest-cloud';

const publisher = 'Microsoft.Azure.RecoveryServices';
/** The name is the type's: a machine has one extension of a type, and Azure Backup names it so. */
export const extensionOf = (osType: 'Windows' | 'Linux'): { readonly name: string; readonly version: string } =>
  osType === 'Windows' ? { name: 'VMSnapshot', version: '1.9' } : { name: 'VMSnapshotLinux', version: '1.0' };

/** Secrets: each opens a blob to whoever has it. They go into protectedSettings, which Azure encrypts for the machine and gives back to nobody. */
export interface GuestAccess {
  readonly diskUrls: readonly string[];
  readonly statusUrl: string;
  readonly logUrl: string;
}

/** .NET ticks: units of 100 ns since the year 1. */
export const ticksOf = (ms: number): string => (621_355_968_000_000_000n + BigInt(ms) * 10_000n).toString();

/** JSON in base64. Both sides read it as ASCII. */
const objectStr = (value: object): string => Buffer.from(JSON.stringify(value).replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`), 'latin1').toString('base64');

/**
 * The extension as the parser in its public source reads it: without `objectStr` in the public settings, or `backupMetadata` in that, it fails.
 * `onlyGuest` because the host's way needs a token that Azure gives to itself alone. Never crash-consistent by the guest's own choice: a
 * snapshot without a frozen guest is taken by Holdfast, which then says so.
 */
export function extensionSettings(request: GuestSnapshotRequest, access: GuestAccess): VirtualMachineExtension {
  const customSettings = JSON.stringify({
    takeSnapshotFrom: 'onlyGuest', isManagedVm: false, backupTaskId: request.taskId, waDiskLunList: [], canTakeCrashConsistentSnapshot: false, backupRetryCount: 0,
  });
  const { name, version } = extensionOf(request.osType);
  return {
    location: request.location, publisher, typePropertiesType: name, typeHandlerVersion: version, autoUpgradeMinorVersion: true,
    settings: {
      locale: 'en-us', taskId: request.taskId, commandToExecute: 'snapshot', commandStartTimeUTCTicks: ticksOf(request.askedAtMs), vmType: 'microsoft.compute/virtualmachines', customSettings,
      objectStr: objectStr({
        backupMetadata: Object.entries(request.tags).map(([Key, Value]) => ({ Key, Value })),
        includedDisks: {
          dataDiskLunList: request.disks.filter(({ lun }) => lun !== 'os').map(({ lun }) => Number(lun)), isOSDiskIncluded: request.disks.some(({ lun }) => lun === 'os'),
          isAnyDiskExcluded: request.isPartial, isVmmdBlobIncluded: false, isVMADEEnabled: false, isAnyWADiskIncluded: false, isVmgsBlobIncluded: false, isAnyDirectDriveDiskIncluded: false,
        },
      }),
    },
    protectedSettings: { objectStr: objectStr({ blobSASUri: access.diskUrls }), statusBlobUri: access.statusUrl, logsBlobUri: access.logUrl },
  };
}
