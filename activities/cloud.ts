import type { ErrorCode } from '../errors/catalogue';
import type { BlockSource, DiskRange } from '../vault/transfer/block-source';
import type { BlobDiskCloud, ScriptCloud } from './guest-cloud';

/**
 * What the activities need of a cloud that runs virtual machines. azure/ implements it over @azure/arm-compute and
 * @azure/storage-blob. Everything here is JSON-safe but AccessUrl, which is a secret: it lives inside one
 * activity and never in its result.
 *
 * Long operations are started, never awaited: `start…` returns as soon as the service accepted the request, and
 * `get…` says how far it is. Both are idempotent by name: a `start…` whose resource is there already answers 'exists'.
 *
 * Errors are HoldfastErrors: CLOUD_NOT_FOUND, CLOUD_ACCESS_DENIED, CLOUD_THROTTLED (after bounded retries that
 * honour Retry-After), CLOUD_CONFLICT, CLOUD_QUOTA, CLOUD_UNREACHABLE, CLOUD_FAILED (anything else, with the
 * service's own code in data.serviceCode, data.retryAfterMs where the service asked for a longer pause than
 * a step should sleep through), CLOUD_ID_INVALID for an id that does not parse. No message holds an access URL.
 */
export interface Cloud extends BlobDiskCloud, ScriptCloud {
  /** Every VM of the subscriptions that the app may look at, without disks' details. */
  listVms(): Promise<readonly VmSummary[]>;
  /** One VM with its disks. Throws CLOUD_NOT_FOUND when it is gone. */
  getVm(vmId: string): Promise<VmDescription>;

  startRestorePoint(request: RestorePointRequest): Promise<'started' | 'exists'>;
  /** undefined when there is none of that name. `restorePointId` is what startRestorePoint's names amount to. */
  getRestorePoint(ref: RestorePointRef): Promise<RestorePointStatus | undefined>;
  /** The restore points of a collection; none when the collection is gone. `createdAt` is ISO 8601, null while the service tells none. */
  listRestorePoints(collection: Omit<RestorePointRef, 'name'>): Promise<readonly { readonly name: string; readonly createdAt: string | null }[]>;
  startDeleteRestorePoint(ref: RestorePointRef): Promise<'started' | 'absent'>;
  /** Deletes a collection that holds nothing. The service would delete what is in it too, so it is looked into first: 'in use' when there is anything. */
  startDeleteEmptyCollection(collection: Omit<RestorePointRef, 'name'>): Promise<'started' | 'absent' | 'in use'>;

  startSnapshot(request: SnapshotRequest): Promise<'started' | 'exists'>;
  getSnapshot(snapshotId: string): Promise<SnapshotStatus | undefined>;
  startDeleteSnapshot(snapshotId: string): Promise<'started' | 'absent'>;

  /**
   * Asks for read access to a disk snapshot. Idempotent: access that is active already is prolonged and the same
   * URL comes back. Throws CLOUD_ACCESS_LIMIT when too many snapshots of the family are open (5 on Azure).
   */
  grantRead(handle: SnapshotHandle, durationSeconds: number): Promise<AccessUrl>;
  /** Ends access for every user of it. Idempotent; a handle that is gone is fine. */
  endAccess(handle: SnapshotHandle): Promise<void>;

  /**
   * The ranges of [offset, offset+length) that hold data (changed: false for a hole), every page of the answer,
   * ascending and clipped to the asked range.
   */
  listRanges(access: AccessUrl, range: DiskRange): AsyncIterable<DiskRange>;
  /**
   * The ranges of [offset, offset+length) that differ from `base`, every page of the answer, ascending and clipped.
   * A cleared range is a change like any other (it now reads as zeros). Throws CLOUD_DIFF_UNSUPPORTED when
   * the service does not compare these two (other family, resized over 4 TiB, base gone): never an empty list instead.
   */
  listChangedRanges(access: AccessUrl, base: AccessUrl, range: DiskRange): AsyncIterable<DiskRange>;
}

/** What a transfer needs to read a snapshot in any thread of this process. A secret. */
export interface AccessUrl {
  readonly url: string;
  /** Data bytes without the VHD footer. */
  readonly sizeBytes: number;
  /** The time that names a snapshot of a plain page blob: such snapshots are compared by it, and not by their URLs. */
  readonly blobSnapshot?: string;
}

/** Opens a snapshot for reading; `renew` is asked for a new URL when the service says that access has expired (403). */
export type OpenSnapshotSource = (access: AccessUrl, renew: () => Promise<AccessUrl>) => BlockSource;

export const SNAPSHOT_KINDS = ['diskRestorePoint', 'snapshot', 'blobSnapshot'] as const;
export type SnapshotKind = (typeof SNAPSHOT_KINDS)[number];

export const isSnapshotKind = (kind: unknown): kind is SnapshotKind => SNAPSHOT_KINDS.some((known) => known === kind);

export interface SnapshotHandle {
  readonly kind: SnapshotKind;
  /** Full resource id; for a blob snapshot the blob's address with `?snapshot=TIME` and nothing else: no secret. */
  readonly id: string;
}

export interface VmSummary {
  /** Full resource id as the service spells it. */
  readonly id: string;
  readonly name: string;
  readonly location: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface VmDescription extends VmSummary {
  /** The platform's unique id of the machine (properties.vmId). */
  readonly uniqueId: string;
  readonly osType: 'Windows' | 'Linux';
  readonly disks: readonly VmDisk[];
  /** What is needed to create the machine anew: the service's own JSON of the VM, without secrets. */
  readonly model: Readonly<Record<string, unknown>>;
}

export interface VmDisk {
  /** 'os' for the OS disk, else the LUN as decimal text. */
  readonly lun: string;
  readonly name: string;
  /** Full resource id of the managed disk; empty for an unmanaged one. */
  readonly id: string;
  /** False for a page blob in a storage account (retired): it has no resource id and no restore point covers it. */
  readonly managed: boolean;
  /** The page blob of an unmanaged disk, as the service tells it, without a query; null for a managed one. */
  readonly blobUrl: string | null;
  /** properties.uniqueId of the disk: changes when a disk is replaced under the same name. Empty when unmanaged or ephemeral. */
  readonly uniqueId: string;
  readonly sizeBytes: number;
  /** For instance Premium_LRS, UltraSSD_LRS. */
  readonly sku: string;
  readonly caching: string;
  /** More than one means a shared disk. */
  readonly maxShares: number;
  readonly ephemeral: boolean;
  readonly writeAccelerated: boolean;
  readonly logicalSectorBytes: number;
  /** AllowAll, AllowPrivate, DenyAll. */
  readonly networkAccessPolicy: string;
  /** True when data access needs an Entra identity beside the access URL, which a transfer does not have (dataAccessAuthMode). */
  readonly needsEntraToRead: boolean;
  readonly hyperVGeneration: string | null;
}

/** Why the content of a disk's snapshot cannot be read by Holdfast; null where it can (azure-facts: VHDX for 4096, dataAccessAuthMode). */
export function unreadable({ needsEntraToRead, logicalSectorBytes }: VmDisk): string | null {
  if (needsEntraToRead) return 'its data can be read with an Entra token only (dataAccessAuthMode), which is not supported yet';
  if (logicalSectorBytes !== 512) return `it has sectors of ${logicalSectorBytes} bytes; Azure hands those out as VHDX, which is not supported yet`;
  return null;
}

export interface RestorePointRef {
  readonly resourceGroup: string;
  readonly subscriptionId: string;
  readonly collection: string;
  readonly name: string;
}

export interface RestorePointRequest extends RestorePointRef {
  readonly vmId: string;
  readonly location: string;
  /** Disks left out, by full resource id. */
  readonly excludeDiskIds: readonly string[];
  /** True asks for crash consistency; false lets the service reach for application consistency. */
  readonly crashConsistent: boolean;
  /** Put on the collection when it is made: Azure's restore points themselves have no tags. */
  readonly tags: Readonly<Record<string, string>>;
}

/** The service's code and message of what failed, and the catalogue's code where it is known what it means. */
export interface SnapshotFailure { readonly serviceCode: string; readonly message: string; readonly code?: ErrorCode | undefined }

export type OperationState = 'running' | 'succeeded' | 'failed';

export interface RestorePointStatus {
  readonly state: OperationState;
  /**
   * The level really reached, as the service says it afterwards; null until it succeeded. A service that says
   * nothing gets 'crash', the weakest.
   */
  readonly consistency: 'application' | 'file-system' | 'crash' | null;
  /** ISO 8601, null until known. */
  readonly createdAt: string | null;
  readonly disks: readonly RestorePointDisk[];
  /** The service's code and message when it failed. */
  readonly failure: SnapshotFailure | null;
}

export interface RestorePointDisk {
  readonly lun: string;
  readonly sourceDiskId: string;
  readonly handle: SnapshotHandle;
  /** 100 when readable; below that the background copy still runs. */
  readonly completionPercent: number;
  /** As the restore point tells it, in whole GiB: AccessUrl.sizeBytes is the exact size that transfers go by. */
  readonly sizeBytes: number;
  readonly familyId: string | null;
  readonly sourceUniqueId: string | null;
}

export interface SnapshotRequest {
  readonly id: string;
  readonly diskId: string;
  readonly location: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface SnapshotStatus {
  readonly state: OperationState;
  readonly createdAt: string | null;
  readonly sizeBytes: number;
  readonly completionPercent: number;
  readonly familyId: string | null;
  readonly sourceUniqueId: string | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly failure: SnapshotFailure | null;
}
