/**
 * Every failure that a user can see, by code: what it means, what to do, and how HTTP and scripts see it.
 * Messages say what happened this time; the catalogue says what to do about it.
 */
export interface CatalogueEntry {
  /** What this failure means, in one sentence. */
  readonly title: string;
  /** What a person does next. */
  readonly remedy: string;
  /** HTTP status of the problem details. */
  readonly status: number;
  /** Exit code of the command line: 1 failed, 2 wrong usage, 3 not found, 4 damaged data, 5 key refused, 6 busy. */
  readonly exitCode: number;
}

const entry = (title: string, remedy: string, status: number, exitCode = 1): CatalogueEntry => ({ title, remedy, status, exitCode });

export const catalogue = {
  // Anything unforeseen
  INTERNAL: entry('Something went wrong inside Holdfast', 'Run it again; if it fails the same way, report it with the message and the job id.', 500),

  // Stores: where the vault's objects lie
  STORE_OBJECT_NOT_FOUND: entry('An object of the vault is not there', 'Check that the vault address is right and that nothing was deleted by hand; `holdfast check` says which recovery points need it.', 404, 4),
  STORE_RANGE: entry('An object of the vault is shorter than it should be', 'The object is truncated: run `holdfast check` to see which recovery points it touches, then back up again.', 500, 4),
  STORE_UNREACHABLE: entry('The vault cannot be reached', 'Check the address, the network and the permissions, then run it again.', 503),
  STORE_ACCESS_DENIED: entry('The vault refused access', 'Give the identity the role Storage Blob Data Contributor on the container, or the user write permission on the folder.', 403),
  STORE_READ_ONLY: entry('The vault is read-only', 'Make the folder or the container writable; nothing was stored and earlier recovery points are untouched.', 503),
  STORE_FULL: entry('The vault has no space left', 'Free or add space, then run it again; nothing half-written is visible.', 507),
  STORE_THROTTLED: entry('The vault kept refusing requests because there were too many', 'Lower the parallelism in the policy, or run it again later.', 503),

  // The cloud that runs the machines
  CLOUD_NOT_FOUND: entry('The machine, disk or snapshot is not there', 'Check the name; if it was deleted, its recovery points in the vault are still good.', 404, 3),
  CLOUD_ACCESS_DENIED: entry('Azure refused the request', 'Give the backup identity the role from infra/ on the resource group of the machine and of the snapshots.', 403),
  CLOUD_THROTTLED: entry('Azure kept refusing requests because there were too many', 'Lower maxParallelVms in the policy or move its schedule away from others; the next run tries again.', 503),
  CLOUD_CONFLICT: entry('Azure is busy with another operation on this resource', 'Wait for the other operation to end; the next run tries again.', 409, 6),
  CLOUD_QUOTA: entry('A limit of the subscription is reached', 'Raise the quota or delete what is no longer needed; the message names the limit.', 409),
  CLOUD_UNREACHABLE: entry('Azure cannot be reached', 'Check the network, DNS and firewall rules of the app; the next run tries again.', 503),
  CLOUD_ACCESS_LIMIT: entry('Too many snapshots of one disk are open for reading', 'At most 5 snapshots of a disk may be open at once: wait for other runs, or end access that was left behind.', 409, 6),
  CLOUD_ACCESS_EXPIRED: entry('Access to a snapshot expired and could not be renewed', 'Check whether someone ended the access or deleted the snapshot; the next run starts anew.', 503),
  CLOUD_DIFF_UNSUPPORTED: entry('Azure cannot compare the two snapshots', 'Nothing to do: the disk is read whole and compared by hash.', 409),
  CLOUD_FAILED: entry('An Azure operation failed', 'The message has the code that Azure gave; look it up in the troubleshooting page of the resource.', 502),

  // Disk images and the local stand-in for Azure
  IMAGE_NOT_FOUND: entry('There is no such disk image', 'Check the path.', 404, 3),
  IMAGE_UNREADABLE: entry('The disk image cannot be opened', 'Give the user that runs this read permission on the file or the block device.', 403),
  IMAGE_NOT_A_DISK: entry('This is not a disk image', 'Give a raw image or block device whose size is a multiple of 512 bytes, or a VHD; unpack archives first.', 400, 2),
  IMAGE_FORMAT_UNSUPPORTED: entry('This disk image format is not supported', 'Convert it to a raw image: `qemu-img convert -O raw SOURCE TARGET.img` (merge a differencing disk into its parent first).', 400, 2),
  IMAGE_VHD_BROKEN: entry('The VHD is damaged', 'Copy it again from where it came from, or have `qemu-img check` look at it; if it is really a raw image, rename it to .img.', 400, 4),
  SOURCE_CHANGED: entry('The source changed while it was read', 'Stop what writes to it (shut the machine down, or take a snapshot and back that up), then run it again.', 409),
  SOURCE_SHRANK: entry('The source became shorter while it was read', 'Stop what writes to it, then run it again.', 409),
  SOURCE_UNREADABLE: entry('The source could not be read', 'Look for failing hardware in the system log; the message says where in the source.', 500),
  STANDIN_PORT_IN_USE: entry('The port is taken', 'Stop the other program, or choose another port with --port.', 409),
  STANDIN_FOLDER: entry('The folder of disk images cannot be used', 'Give an existing folder that holds one folder for each machine, with its disk images in it.', 400, 2),
  STANDIN_STATE_IN_USE: entry('Another stand-in uses this state folder', 'Stop the other one, or choose another folder with --state; if none runs, delete the lock file that the message names.', 409, 6),
  STANDIN_STATE_BROKEN: entry('The saved state of the stand-in cannot be read', 'Choose another folder with --state; the disk images are untouched, only the snapshots in the old folder are lost.', 500, 4),
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof catalogue;
