import type { ErrorReport } from '../errors/holdfast-error';

/**
 * What the activities need of a cloud for machines whose disks are page blobs in a storage account ("unmanaged"): the blobs and their
 * snapshots, and the extension in the guest that makes it consistent and takes them. azure/extension/ implements it. Errors as in cloud.ts.
 * Addresses of blobs have no query but `?snapshot=TIME`; access signatures are made inside, are short, and never come out but in an AccessUrl.
 */
export interface BlobDiskCloud {
  /** The blob as it is now. Throws CLOUD_NOT_FOUND, CLOUD_ID_INVALID for an address that is not a blob of a storage account. */
  getBlobDisk(blobUrl: string): Promise<BlobDisk>;

  /**
   * Sets the snapshot extension on the machine and returns as soon as that is accepted. Idempotent by `taskId`: 'exists' when the
   * machine has that task already. Throws GUEST_AGENT_NOT_READY when the machine takes no extensions now.
   */
  startGuestSnapshot(request: GuestSnapshotRequest): Promise<'started' | 'exists'>;
  /** What the guest wrote into the status blob, or what Azure says of the extension while that is empty. */
  getGuestSnapshot(query: GuestSnapshotQuery): Promise<GuestSnapshotStatus>;
  /** Deletes the status and log blobs of the item's runs up to `sequence`. Idempotent. The extension stays: it is shared with others. */
  deleteGuestFiles(files: GuestFiles): Promise<void>;

  /** Takes a snapshot without the guest's help. One with the same tags that is there already is adopted. */
  takeBlobSnapshot(blobUrl: string, tags: BlobTags): Promise<BlobSnapshot>;
  /** The snapshots of the blob that carry all of `tags`, oldest first; all pages of them. A blob that is gone has none. */
  listBlobSnapshots(blobUrl: string, tags: BlobTags): Promise<readonly BlobSnapshot[]>;
  deleteBlobSnapshot(snapshotId: string): Promise<'deleted' | 'absent'>;
}

/** Metadata of a snapshot. Names are C# identifiers in lower case, which is what the service takes. */
export type BlobTags = Readonly<Record<string, string>>;

export interface BlobDisk {
  readonly url: string;
  /** Data bytes without the VHD footer. */
  readonly sizeBytes: number;
  /** When the blob was created: another time means another blob under the same name. ISO 8601. */
  readonly createdAt: string;
}

export interface BlobSnapshot {
  /** Address with `?snapshot=TIME`. */
  readonly id: string;
  readonly blobUrl: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly tags: BlobTags;
}

/** Where the guest writes how it went: in the account of the disk `blobUrl`. `folder` is of the vault and the item alone. */
export interface GuestFiles {
  readonly blobUrl: string;
  readonly folder: string;
  readonly sequence: number;
}

export interface GuestSnapshotRequest {
  readonly vmId: string;
  readonly location: string;
  readonly osType: 'Windows' | 'Linux';
  /** A GUID; a machine does a task once. */
  readonly taskId: string;
  /** When the task was first asked for, milliseconds since 1970: the guest refuses one that is more than 140 minutes old. */
  readonly askedAtMs: number;
  readonly disks: readonly { readonly lun: string; readonly blobUrl: string }[];
  /** True when disks of the machine are left out. */
  readonly isPartial: boolean;
  readonly files: GuestFiles;
  /** Put on each snapshot by the guest. */
  readonly tags: BlobTags;
  /** How long the guest's access signatures live. */
  readonly accessSeconds: number;
}

export interface GuestSnapshotQuery {
  readonly vmId: string;
  readonly osType: 'Windows' | 'Linux';
  readonly taskId: string;
  readonly blobUrls: readonly string[];
  readonly files: GuestFiles;
  readonly tags: BlobTags;
}

export type GuestSnapshotStatus =
  | { readonly state: 'running' }
  | {
    readonly state: 'succeeded';
    readonly consistency: 'application' | 'file-system';
    /** One for each of the blobs that were asked for, in their order. */
    readonly snapshots: readonly BlobSnapshot[];
    /** What went wrong all the same, for a person: a script of the extension's own that failed and was to be passed over. */
    readonly notes: readonly string[];
  }
  | { readonly state: 'failed'; readonly failure: ErrorReport };

/** Scripts in the guest, by name: started, looked at, deleted. Idempotent by name; what a script prints is never read. */
export interface ScriptCloud {
  /** Throws GUEST_AGENT_NOT_READY when the machine takes no commands now. */
  startScript(request: ScriptRequest): Promise<'started' | 'exists'>;
  /** undefined when there is none of that name, or no such machine. */
  getScript(vmId: string, name: string): Promise<ScriptStatus | undefined>;
  startDeleteScript(vmId: string, name: string): Promise<'started' | 'absent'>;
}

export interface ScriptRequest {
  readonly vmId: string;
  readonly location: string;
  readonly name: string;
  readonly script: string;
  readonly timeoutSeconds: number;
}

export type ScriptStatus = { readonly state: 'running' | 'succeeded' } | { readonly state: 'failed'; readonly message: string };
