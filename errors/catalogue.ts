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

  // The embedded host: the app on one machine
  HOST_STATE_LOCKED: entry('Another Holdfast host is using this state folder', 'Stop the other one, or give this one a folder of its own with `--state`.', 409, 6),
  HOST_STATE_INVALID: entry('The state of the host cannot be read', 'Use the version that wrote it, or move the folder away: backups in the vault are untouched, and running jobs start again.', 500, 4),
  HOST_APP_INVALID: entry('The app cannot run in the embedded host', 'Change what the message names; the embedded host runs HTTP, timer, activity and orchestration functions.', 500, 2),
  HOST_NO_SUCH_INSTANCE: entry('There is no orchestration instance of this id', 'Check the id; it may have been purged.', 404, 3),
  HOST_INSTANCE_EXISTS: entry('An orchestration instance of this id is still running', 'Wait for it to end, terminate it, or use another id.', 409, 6),
  HOST_STOPPED: entry('The host is not running', 'Start it before using it.', 503),
  PORT_IN_USE: entry('The port is taken by another program', 'Stop the other program, or choose another port with `--port`.', 409, 6),
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof catalogue;
