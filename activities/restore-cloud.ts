import type { BlockSink } from '../vault/transfer/block-sink';
import type { BlockSource, DiskRange } from '../vault/transfer/block-source';
import type { AccessUrl, OperationState } from './cloud';

/**
 * What a restore needs of the cloud, beside Cloud. Same rules: long operations are started, never awaited, and `get…` says how far they are; both
 * are idempotent by name, so a step may run twice. JSON-safe but for AccessUrl, which lives inside one activity and never in its result.
 *
 * Names are the caller's. A `start…` that finds its resource there already answers 'exists' only if it is the one that it would have
 * made: same properties, and every tag of the request. Anything else of that name is TARGET_EXISTS and left alone, so give each restore a tag
 * of its own. Nothing that was there before a restore is ever changed, but for the VM whose disks are swapped on request.
 *
 * Errors are those of Cloud, and: TARGET_EXISTS; TARGET_NOT_ALLOWED for a storage container that the settings do not name;
 * CLOUD_SKU_UNAVAILABLE when region or zone have no room for or do not offer the size; CLOUD_STATE_WRONG when a disk or VM is not in
 * the state that the step needs (attached elsewhere, not deallocated, LUN taken): repeating does not help, a person has to look.
 */
export interface RestoreCloud {
  /** Begins a disk that is filled by writing its pages. It cannot be attached before endDiskAccess. */
  startCreateUploadDisk(request: UploadDiskRequest): Promise<'started' | 'exists'>;
  /** undefined when there is none. */
  getDisk(diskId: string): Promise<DiskStatus | undefined>;
  /** CLOUD_CONFLICT while access is open (end it first), CLOUD_STATE_WRONG while the disk is attached. */
  startDeleteDisk(diskId: string): Promise<'started' | 'absent'>;
  /**
   * Access for writing, which Azure gives only to a disk that was made for upload and whose upload was not ended (azure-cli issue 8774, point b):
   * anything else is CLOUD_STATE_WRONG. What was written can be read back through the same URL (as AzCopy does before it overwrites).
   * Asking again prolongs it; all lanes may share one. While it is open, nothing else can use the disk.
   */
  grantDiskWrite(diskId: string, durationSeconds: number): Promise<AccessUrl>;
  /** Access for reading a disk that is attached to nothing and not being uploaded to. Open it with OpenSnapshotSource or openPageTarget. */
  grantDiskRead(diskId: string, durationSeconds: number): Promise<AccessUrl>;
  /** Ends access of either kind, for every user of it, and waits until that is done. An upload is over then and for good. Idempotent; a disk that is gone is fine. */
  endDiskAccess(diskId: string): Promise<void>;

  /**
   * Makes a page blob that reads as zeros, of `sizeBytes` and a footer. 'exists' when one of the same size with the same metadata is there.
   * Throws TARGET_EXISTS, TARGET_NOT_ALLOWED.
   */
  createPageBlob(request: PageBlobRequest): Promise<'created' | 'exists'>;
  getPageBlob(blob: PageBlobRef): Promise<PageBlobStatus | undefined>;
  deletePageBlob(blob: PageBlobRef): Promise<'deleted' | 'absent'>;
  /** Where a page blob is, for openPageTarget and for threads, which bring the app's own credential. A secret where the settings' address holds a signature. */
  locatePageBlob(blob: PageBlobRef, sizeBytes: number): PageTargetSpec;

  /** What a region offers of a VM size; undefined when it does not offer it to this subscription. */
  findVmSize(subscriptionId: string, location: string, size: string): Promise<SkuOffer | undefined>;
  /** The same of a kind of disk, for instance PremiumV2_LRS. */
  findDiskSku(subscriptionId: string, location: string, sku: string): Promise<SkuOffer | undefined>;

  startCreateVm(request: VmCreateRequest): Promise<'started' | 'exists'>;
  /** undefined when there is none of that name. */
  getVmState(vmId: string): Promise<VmState | undefined>;
  /** Deletes the machine alone: its disks and network interfaces stay. Only for one that the restore itself made. */
  startDeleteVm(vmId: string): Promise<'started' | 'absent'>;
  startDeallocateVm(vmId: string): Promise<'started' | 'done'>;
  startStartVm(vmId: string): Promise<'started' | 'done'>;
  /** Puts another OS disk into a deallocated machine. The old one stays, attached to nothing. 'done' when it is the OS disk already. */
  startSwapOsDisk(vmId: string, diskId: string): Promise<'started' | 'done'>;
  /** Takes data disks off a machine and keeps them. To put another disk on the same LUN, detach first, wait, then attach. */
  startDetachDataDisks(vmId: string, diskIds: readonly string[]): Promise<'started' | 'done'>;
  /** Each disk is attached to nothing and not being uploaded to, and its LUN is free. 'done' when all are there at their LUNs already. */
  startAttachDataDisks(vmId: string, disks: readonly DataDiskToAttach[]): Promise<'started' | 'done'>;

  /** Everything of a kind in the allowed subscriptions that carries the tag, whatever its value: what a sweeper looks through. */
  listOwned(kind: OwnedKind, tagName: string): Promise<readonly OwnedResource[]>;
}

/**
 * A disk in upload, or a page blob: pages can be written, cleared and read back. A source and a sink at once, good for all of
 * a restore's threads. Not for a disk after endDiskAccess.
 *
 * `write` and `clear` take multiples of 512 bytes; a last write that ends at an odd end of the data is filled up with zeros.
 * They throw CLOUD_ACCESS_EXPIRED, CLOUD_THROTTLED, CLOUD_UNREACHABLE after bounded retries (all transient: pages are written again), CLOUD_NOT_FOUND, CLOUD_FAILED.
 */
export interface PageTarget extends BlockSink, BlockSource {
  /** Data bytes without the VHD footer. */
  readonly sizeBytes: number;
  /** Makes a range read as zeros. */
  clear(offsetBytes: number, lengthBytes: number): Promise<void>;
  /**
   * Of a disk in upload only: has the service copy ranges out of a snapshot that is open for reading (Put Page From URL). What a differential restore uses for
   * what did not change; it counts as a write and is read back like one.
   */
  copyFrom?(source: BlockSource, ranges: readonly DiskRange[]): Promise<boolean>;
  /** The ranges of [offset, offset+length) that may hold something else than zeros, ascending and clipped. A new target has none. */
  listRanges(range: DiskRange): AsyncIterable<DiskRange>;
  /** Puts the footer of a fixed VHD after the data, without which the disk is of no use. Once, after all pages. Idempotent. */
  writeFooter(identity: { readonly uniqueId: string; readonly createdAtMs: number }): Promise<void>;
}

/** How a page target is opened, in any thread: also the `sink` of a LanePlan. A secret. */
export type PageTargetSpec =
  | { readonly kind: 'disk'; readonly url: string; readonly sizeBytes: number }
  | { readonly kind: 'pageBlob'; readonly containerUrl: string; readonly blob: string; readonly sizeBytes: number };

export const diskTargetSpec = (access: AccessUrl): PageTargetSpec => ({ kind: 'disk', ...access });

/** `renew` is asked for a new spec when access to a disk has expired; for a page blob it is never asked. */
export type OpenPageTarget = (spec: PageTargetSpec, renew: () => Promise<PageTargetSpec>) => Promise<PageTarget>;

/** Azure takes uploads in whole MiB (a fixed VHD's size) from 20 MiB on: a disk of an odd size gets zeros at its end. */
export const UPLOAD_GRAIN_BYTES = 1024 ** 2;
export const MIN_UPLOAD_BYTES = 20 * UPLOAD_GRAIN_BYTES;
export const MAX_UPLOAD_BYTES = 35_183_298_347_520 - 512;

/** The size that an upload disk for `sizeBytes` of data has. */
export const uploadDiskBytes = (sizeBytes: number): number => Math.max(MIN_UPLOAD_BYTES, Math.ceil(sizeBytes / UPLOAD_GRAIN_BYTES) * UPLOAD_GRAIN_BYTES);

export interface UploadDiskRequest {
  /** Full resource id: subscription, group and name are the caller's choice. */
  readonly id: string;
  readonly location: string;
  readonly zone: string | null;
  /** For instance Premium_LRS, PremiumV2_LRS. */
  readonly sku: string;
  /** Data bytes without the footer, as uploadDiskBytes gives them. */
  readonly sizeBytes: number;
  /** Both null for a data disk. */
  readonly osType: 'Windows' | 'Linux' | null;
  readonly hyperVGeneration: 'V1' | 'V2' | null;
  /** Only of PremiumV2 and Ultra disks: 512 or 4096. Null leaves it out. Uploads of 4096 take a VHDX, which Holdfast does not write: refused with CLOUD_STATE_WRONG. */
  readonly logicalSectorBytes: number | null;
  /**
   * 'TrustedLaunch' makes an OS disk that a Trusted Launch machine can start from. Its guest state (the vTPM) is not in a recovery point and begins
   * anew: what was sealed to the old vTPM (BitLocker keys) asks for its recovery key once.
   */
  readonly securityType: 'TrustedLaunch' | null;
  readonly tags: Readonly<Record<string, string>>;
}

export interface DiskStatus {
  readonly id: string;
  readonly location: string;
  readonly zones: readonly string[];
  /** Of the resource: an upload disk is 'succeeded' as soon as it can be written to. */
  readonly state: OperationState;
  /** The service's word: ReadyToUpload, ActiveUpload, Unattached, Attached, Reserved (attached to a deallocated machine), ActiveSAS. */
  readonly diskState: string;
  readonly sizeBytes: number;
  readonly uniqueId: string;
  readonly sku: string;
  /** Id of the machine that it is attached to. */
  readonly managedBy: string | null;
  readonly osType: 'Windows' | 'Linux' | null;
  readonly hyperVGeneration: string | null;
  readonly createdAt: string | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly failure: { readonly serviceCode: string; readonly message: string } | null;
}

/** By names, never by address: the container must be one that the app's settings allow. */
export interface PageBlobRef {
  readonly account: string;
  readonly container: string;
  readonly blob: string;
}

export interface PageBlobRequest extends PageBlobRef {
  /** Data bytes without the footer, a multiple of 512. */
  readonly sizeBytes: number;
  /** Names of letters, digits and underscores, in lower case. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface PageBlobStatus {
  /** Data bytes without the footer. */
  readonly sizeBytes: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface SkuOffer {
  readonly name: string;
  /** Zones in which this subscription gets it; empty where it is offered without zones only. */
  readonly zones: readonly string[];
  /** Why the region as a whole refuses it to this subscription (for instance NotAvailableForSubscription); null when it does not. */
  readonly restriction: string | null;
  /** The service's own, for instance HyperVGenerations: "V1,V2", MaxDataDiskCount: "8", PremiumIO: "True". */
  readonly capabilities: Readonly<Record<string, string>>;
}

export interface VmCreateRequest {
  readonly id: string;
  readonly location: string;
  /** Of zone and availability set one at most. */
  readonly zone: string | null;
  readonly availabilitySetId: string | null;
  readonly size: string;
  readonly osType: 'Windows' | 'Linux';
  /** Ended uploads, attached to nothing. The machine starts from the OS disk as it is: no user, password or script is set. */
  readonly osDisk: { readonly diskId: string; readonly caching: string; readonly writeAccelerated: boolean };
  readonly dataDisks: readonly DataDiskToAttach[];
  readonly network: VmNetwork;
  readonly security: { readonly type: 'TrustedLaunch'; readonly secureBoot: boolean; readonly vTpm: boolean } | null;
  /** As recorded; null leaves it to Azure. */
  readonly diskController: 'SCSI' | 'NVMe' | null;
  readonly licenseType: string | null;
  /** The terms of a marketplace image go with its disk: Azure refuses the machine without them. */
  readonly plan: { readonly name: string; readonly publisher: string; readonly product: string } | null;
  readonly ultraDisks: boolean;
  readonly tags: Readonly<Record<string, string>>;
}

/** Existing interfaces by id, the first one primary, or one new interface that goes with the machine. Compute makes it: Holdfast needs no right on networks but to join the subnet. */
export type VmNetwork =
  | { readonly kind: 'existing'; readonly nicIds: readonly string[] }
  | { readonly kind: 'new'; readonly nicName: string; readonly subnetId: string; readonly securityGroupId: string | null };

export interface DataDiskToAttach {
  readonly lun: number;
  readonly diskId: string;
  readonly caching: string;
  readonly writeAccelerated: boolean;
}

export interface VmState {
  readonly id: string;
  readonly location: string;
  readonly zones: readonly string[];
  /** Of the last change to the machine: creating, swapping and starting all go through 'running'. */
  readonly state: OperationState;
  readonly power: 'starting' | 'running' | 'stopping' | 'stopped' | 'deallocating' | 'deallocated' | 'unknown';
  readonly size: string;
  readonly osDiskId: string;
  readonly dataDisks: readonly { readonly lun: number; readonly diskId: string }[];
  readonly tags: Readonly<Record<string, string>>;
  readonly failure: { readonly serviceCode: string; readonly message: string } | null;
}

export type OwnedKind = 'snapshot' | 'disk' | 'restorePointCollection';

export interface OwnedResource {
  readonly kind: OwnedKind;
  readonly id: string;
  readonly name: string;
  readonly location: string;
  /** Null where the service tells none: collections. */
  readonly createdAt: string | null;
  readonly tags: Readonly<Record<string, string>>;
  /** Of disks and snapshots, as in DiskStatus; null for collections. */
  readonly diskState: string | null;
  /** Of disks: the machine that it is attached to. */
  readonly managedBy: string | null;
}
