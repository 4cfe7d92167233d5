import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';
import type { VmRecord } from './vm-state';
import type { GuestState } from './guest-state';

export type Lun = 'os' | number;
export type ProvisioningState = 'Creating' | 'Succeeded' | 'Failed' | 'Deleting';

export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** The bytes of a disk at one moment: a fixed VHD in the state folder. */
export interface DiskCopy {
  /** Also the name of its file. */
  readonly id: string;
  readonly sourceDiskId: string;
  readonly sourceUniqueId: string;
  /** null for a full snapshot, which belongs to no family. */
  readonly familyId: string | null;
  readonly dataBytes: number;
  /** Grows with every copy made: tells which of two is older. */
  readonly sequence: number;
  /** "Blob" of a disk restore point or of a snapshot: diffs between the former may be refused. */
  readonly owner: 'diskRestorePoint' | 'snapshot';
}

/** A background copy that is held below 100 % for some more looks at it. */
export interface Stall {
  looksLeft: number;
  readonly percent: number;
}

export interface SnapshotRecord {
  readonly id: string;
  readonly name: string;
  readonly location: string;
  readonly sourceDiskId: string;
  readonly incremental: boolean;
  readonly sku: string;
  tags: Record<string, string>;
  state: ProvisioningState;
  failure: Failure | null;
  createdAtMs: number;
  copy: DiskCopy | null;
  stall: Stall | null;
}

export interface CollectionRecord {
  readonly id: string;
  readonly name: string;
  readonly location: string;
  readonly vmId: string;
  readonly collectionGuid: string;
  tags: Record<string, string>;
  state: ProvisioningState;
}

export interface DiskRestorePointRecord {
  readonly id: string;
  readonly name: string;
  readonly lun: Lun;
  readonly diskId: string;
  readonly diskName: string;
  readonly sizeBytes: number;
  readonly caching: string;
  readonly sku: string;
  readonly osType: string | null;
  readonly hyperVGeneration: string | null;
  readonly logicalSectorSize: number;
  readonly networkAccessPolicy: string;
  readonly writeAccelerated: boolean;
  copy: DiskCopy | null;
  stall: Stall | null;
}

export interface RestorePointRecord {
  readonly id: string;
  readonly name: string;
  readonly collectionId: string;
  readonly vmId: string;
  readonly excludeDiskIds: readonly string[];
  readonly askedMode: string | null;
  /** properties of the VM when it was asked for, as the restore point's sourceMetadata without its disks. */
  readonly sourceMetadata: Readonly<Record<string, string | null>>;
  readonly reachedMode: string;
  state: ProvisioningState;
  failure: Failure | null;
  createdAtMs: number;
  disks: DiskRestorePointRecord[];
}

/** A disk that was made through the API, as against an image in the folder. */
export interface CreatedDisk {
  readonly id: string;
  readonly name: string;
  readonly location: string;
  readonly uniqueId: string;
  readonly createOption: string;
  readonly sourceResourceId: string | null;
  readonly dataBytes: number;
  readonly sku: string;
  readonly osType: string | null;
  readonly hyperVGeneration: string | null;
  readonly logicalSectorSize: number;
  readonly createdAtMs: number;
  readonly file: string;
  tags: Record<string, string>;
  state: ProvisioningState;
  failure: Failure | null;
  diskState: 'ReadyToUpload' | 'ActiveUpload' | 'ActiveSAS' | 'Unattached';
  /** Neither is there in a state of before 0.2. */
  readonly zone?: string | null;
  readonly securityType?: string | null;
}

export interface AccessRecord {
  readonly container: string;
  readonly resourceId: string;
  readonly familyId: string | null;
  readonly mode: 'Read' | 'Write';
  readonly policyId: string;
  readonly signature: string;
  expiresAtMs: number;
  endedAtMs: number | null;
}

export type OperationKind = 'createRestorePoint' | 'createSnapshot' | 'createDisk' | 'grant' | 'revoke' | 'delete' | 'changeVm' | 'guest';

export interface OperationRecord {
  readonly id: string;
  readonly kind: OperationKind;
  readonly targetId: string;
  readonly startedAtMs: number;
  readonly readyAtMs: number;
  pollsLeft: number;
  /** Whether the work behind it (a copy) is over; the operation may still be kept waiting. */
  workDone: boolean;
  status: 'InProgress' | 'Succeeded' | 'Failed';
  failure: Failure | null;
  endedAtMs: number | null;
  /** The access that a grant gave. */
  readonly container: string | null;
}

export interface StateContent {
  readonly version: 1;
  readonly seed: string;
  readonly subscriptionId: string;
  port: number | null;
  sequence: number;
  snapshots: Record<string, SnapshotRecord>;
  collections: Record<string, CollectionRecord>;
  restorePoints: Record<string, RestorePointRecord>;
  disks: Record<string, CreatedDisk>;
  vms: Record<string, VmRecord>;
  operations: Record<string, OperationRecord>;
  accesses: Record<string, AccessRecord>;
  /** Folders of VMs that a fault deleted. */
  deletedVms: string[];
  /** How often a fault replaced the disk at this path. */
  replacedDisks: Record<string, number>;
  /** Not there in a state that was written before there were guests: ask guestState(). */
  guests?: GuestState;
}

const keptOperations = 500;
const keptEndedAccesses = 500;
const lockedHere = new Set<string>();

/**
 * What the stand-in must still know after it was killed: one JSON file, replaced whole, written before the answer to
 * the request that changed it. The state holds access signatures, so only its owner may read it.
 */
export class StateStore {
  readonly content: StateContent;
  private readonly path: string;
  private readonly lockPath: string;

  private constructor(readonly folder: string) {
    this.path = join(folder, 'state.json');
    this.lockPath = join(folder, 'lock');
    this.content = load(this.path);
  }

  /** Throws STANDIN_STATE_IN_USE while another live process holds the folder. */
  static open(folder: string): StateStore {
    mkdirSync(join(folder, 'content'), { recursive: true, mode: 0o700 });
    takeLock(folder);
    try {
      const store = new StateStore(folder);
      store.save();
      return store;
    } catch (error) {
      releaseLock(folder);
      throw error;
    }
  }

  contentPath(fileName: string): string {
    return join(this.folder, 'content', fileName);
  }

  save(): void {
    this.prune();
    const temporary = `${this.path}.new`;
    writeFileSync(temporary, JSON.stringify(this.content), { mode: 0o600 });
    renameSync(temporary, this.path);
  }

  close(): void {
    rmSync(this.lockPath, { force: true });
    releaseLock(this.folder);
  }

  private prune(): void {
    const ended = Object.values(this.content.operations).filter((operation) => operation.status !== 'InProgress');
    for (const operation of ended.slice(0, Math.max(0, ended.length - keptOperations))) delete this.content.operations[operation.id];
    const over = Object.values(this.content.accesses).filter((access) => access.endedAtMs !== null);
    for (const access of over.slice(0, Math.max(0, over.length - keptEndedAccesses))) delete this.content.accesses[access.container];
  }
}

function load(path: string): StateContent {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return emptyState();
    throw new HoldfastError('STANDIN_STATE_BROKEN', `${path} cannot be read`, { cause: error });
  }
  try {
    const parsed = JSON.parse(text) as StateContent & { vms?: StateContent['vms'] };
    // Machines came after the first version of this file.
    if (parsed.version === 1) return { ...parsed, vms: parsed.vms ?? {} };
    throw new Error(`its version is ${String(parsed.version)}`);
  } catch (error) {
    throw new HoldfastError('STANDIN_STATE_BROKEN', `${path} is not the state of this stand-in: ${messageOf(error)}`, { cause: error });
  }
}

function emptyState(): StateContent {
  return {
    version: 1, seed: randomUUID(), subscriptionId: randomUUID(), port: null, sequence: 0,
    snapshots: {}, collections: {}, restorePoints: {}, disks: {}, vms: {}, operations: {}, accesses: {}, deletedVms: [], replacedDisks: {},
  };
}

/** A lock that a killed process left is recognised by its process id, which no longer lives. */
function takeLock(folder: string): void {
  const lockPath = join(folder, 'lock');
  try {
    writeFileSync(lockPath, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const holder = Number(readFileSync(lockPath, 'utf8'));
    const held = holder === process.pid ? lockedHere.has(folder) : isAlive(holder);
    if (held) throw new HoldfastError('STANDIN_STATE_IN_USE', `${lockPath} is held by process ${holder}`, { data: { folder, processId: holder } });
    writeFileSync(lockPath, String(process.pid));
  }
  lockedHere.add(folder);
}

function releaseLock(folder: string): void {
  lockedHere.delete(folder);
}

function isAlive(processId: number): boolean {
  if (!Number.isInteger(processId) || processId <= 0) return false;
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
