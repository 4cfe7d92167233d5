import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { CallLog } from './calls';
import { FaultPlan, type Fault } from './faults';
import type { StandInLimits } from './limits';
import { listMachines } from './machines';
import type { DiskRestorePointRecord, OperationKind, OperationRecord, RestorePointRecord, SnapshotRecord, StateStore } from './state';
import { localResourceGroup, type LocalDisk, type LocalVm, type SubscriptionFolder } from './subscription-folder';
import { ArmError, type ArmReply, type JsonObject } from './wire';

/** How long a poll waits at most for what goes on in real time, where the clock leaps. */
const workWaitMs = 10_000;

export interface Snapshotlike {
  readonly kind: 'snapshot' | 'diskRestorePoint';
  readonly record: SnapshotRecord | DiskRestorePointRecord;
  readonly state: SnapshotRecord['state'];
}

/** What every handler of the stand-in works with: the state, the folder, the clock, the limits, the faults. */
export class World {
  readonly calls = new CallLog();
  readonly faults = new FaultPlan((fault) => this.applyNow(fault));
  /** Set when the server listens: access and operation URLs begin with it. */
  baseUrl = '';
  /** Where the versions of written blobs count from, so that none comes back after a restart. */
  readonly firstBlobVersion = Date.now();
  private readonly work = new Map<string, Promise<void>>();

  constructor(readonly store: StateStore, readonly folder: SubscriptionFolder, readonly limits: StandInLimits,
    readonly now: () => number, readonly log: (message: string) => void, private readonly clockLeaps: boolean) {}

  get state(): StateStore['content'] {
    return this.store.content;
  }

  computeId(resourceGroup: string, rest: string): string {
    return `/subscriptions/${this.state.subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/${rest}`;
  }

  vmResourceId(vm: LocalVm): string {
    return vm.record?.id ?? this.computeId(localResourceGroup, `virtualMachines/${vm.name}`);
  }

  diskResourceId(disk: LocalDisk): string {
    return disk.resourceId ?? this.computeId(localResourceGroup, `disks/${disk.name}`);
  }

  async findVm(id: string): Promise<LocalVm | undefined> {
    return (await this.vms()).find((vm) => sameId(this.vmResourceId(vm), id));
  }

  /** Every machine, as it is now: those of the folder and those that were made through the API. */
  vms(): Promise<readonly LocalVm[]> {
    return listMachines(this);
  }

  /** The machine that has the disk, whether it runs or not. */
  async ownerOf(diskId: string): Promise<LocalVm | undefined> {
    return (await this.vms()).find((vm) => vm.disks.some((disk) => sameId(this.diskResourceId(disk), diskId)));
  }

  /** An image of the folder, whichever machine has it now; `vm` is the one in whose folder it lies. */
  async findFolderDisk(id: string): Promise<{ readonly vm: LocalVm; readonly disk: LocalDisk } | undefined> {
    for (const vm of await this.folder.list()) {
      const disk = vm.unmanaged ? undefined : vm.disks.find((candidate) => sameId(this.diskResourceId(candidate), id));
      if (disk !== undefined) return { vm, disk };
    }
    return undefined;
  }

  /** A snapshot or disk restore point by its id. */
  findSnapshotlike(id: string): Snapshotlike | undefined {
    const snapshot = this.state.snapshots[keyOf(id)];
    if (snapshot !== undefined) return { kind: 'snapshot', record: snapshot, state: snapshot.state };
    for (const point of Object.values(this.state.restorePoints)) {
      const record = point.disks.find((disk) => sameId(disk.id, id));
      if (record !== undefined) return { kind: 'diskRestorePoint', record, state: point.state };
    }
    return undefined;
  }

  /**
   * Accepts a long-running operation. `work` runs in the background and throws when it fails; `settled` is told how
   * it ended, in the same turn in which the state is saved.
   */
  startOperation(kind: OperationKind, targetId: string, options: { readonly work?: () => Promise<void>; readonly container?: string } = {}): OperationRecord {
    const startedAtMs = this.now();
    const planned = this.faults.take('failOperation', '', [targetId]);
    const operation: OperationRecord = {
      id: randomUUID(), kind, targetId, startedAtMs,
      readyAtMs: startedAtMs + this.limits.operationMs,
      pollsLeft: this.limits.operationPolls,
      workDone: false, status: 'InProgress',
      failure: planned === undefined ? null : { code: planned.code, message: planned.message },
      endedAtMs: null, container: options.container ?? null,
    };
    this.state.operations[operation.id] = operation;
    if (planned !== undefined || options.work === undefined) operation.workDone = true;
    else this.runWork(operation, options.work);
    this.store.save();
    return operation;
  }

  runWork(operation: OperationRecord, work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => {
        operation.failure = error instanceof ArmError
          ? { code: error.code, message: error.message }
          : { code: 'InternalExecutionError', message: error instanceof Error ? error.message : String(error) };
        this.log(`${operation.kind} of ${operation.targetId} failed: ${operation.failure.message}`);
      })
      .then(() => {
        operation.workDone = true;
        this.store.save();
      })
      .finally(() => this.work.delete(operation.id));
    this.work.set(operation.id, running);
  }

  /**
   * Waits a moment for the work behind an operation, so that a small copy is over when its acceptance is answered and
   * no client has to be sent away for a whole second (Retry-After knows nothing shorter).
   */
  async briefly(operation: OperationRecord, waitMs = this.limits.answerWaitMs): Promise<OperationRecord> {
    const running = this.work.get(operation.id);
    if (running === undefined) return operation;
    const stop = new AbortController();
    await Promise.race([running, delay(waitMs, undefined, { signal: stop.signal }).catch(() => undefined)]);
    stop.abort();
    return operation;
  }

  /**
   * Waits for what goes on in a guest, for some seconds. A test's clock leaps while nobody waits for an answer, and a guest
   * works in real time: hours would pass on the one in a blink of the other.
   */
  async guestAtRest(targetId: string): Promise<void> {
    const running = Object.values(this.state.operations).filter(({ kind, workDone, targetId: id }) => kind === 'guest' && !workDone && sameId(id, targetId));
    for (const operation of running) await this.briefly(operation, workWaitMs);
  }

  /** The same for the copying behind an operation, where the clock is a test's: between two polls it may leap over all the time that a snapshot is given, while the disk is still being copied. */
  async atRest(operation: OperationRecord): Promise<void> {
    if (this.clockLeaps && !operation.workDone) await this.briefly(operation, workWaitMs);
  }

  /** Resolves when no copy runs any more. */
  async idle(): Promise<void> {
    while (this.work.size > 0) await Promise.all(this.work.values());
  }

  /** Retry-After of an operation: none while only the poll itself is missing, a second while bytes are being copied. */
  retryAfter(operation: OperationRecord): string {
    return operation.workDone && this.now() >= operation.readyAtMs ? '0' : '1';
  }

  /** The answer that accepts an operation, with the two URLs at which clients may poll. */
  accepted(operation: OperationRecord, apiVersion: string, status: number, body?: JsonObject): ArmReply {
    // Disks have a service of their own, whose operations are looked up elsewhere, with a right of their own.
    const kind = /\/(disks|snapshots|diskRestorePoints)\/[^/]+$/i.test(operation.targetId) ? 'DiskOperations' : 'operations';
    const url = `${this.baseUrl}/subscriptions/${this.state.subscriptionId}/providers/Microsoft.Compute/locations/local/${kind}/${operation.id}`;
    return {
      status,
      ...(body === undefined ? {} : { body }),
      headers: {
        'azure-asyncoperation': `${url}?api-version=${apiVersion}`,
        location: `${url}?monitor=true&api-version=${apiVersion}`,
        'retry-after': this.retryAfter(operation),
      },
    };
  }

  restorePointsOf(vmId: string): readonly RestorePointRecord[] {
    return Object.values(this.state.restorePoints).filter((point) => sameId(point.vmId, vmId));
  }

  private applyNow(fault: Fault): boolean {
    if (fault.kind === 'deleteVm') {
      this.state.deletedVms.push(fault.vm);
    } else if (fault.kind === 'replaceDisk') {
      const path = `${fault.vm}/${fault.disk}`;
      this.state.replacedDisks[path] = (this.state.replacedDisks[path] ?? 0) + 1;
    } else if (fault.kind === 'expireAllAccess') {
      const open = Object.values(this.state.accesses).filter((access) => access.endedAtMs === null && access.expiresAtMs > this.now());
      for (const access of open) access.expiresAtMs = this.now();
      if (open.length === 0) return false;
    } else {
      return false;
    }
    this.store.save();
    return true;
  }
}

/** Resource ids are compared without regard to case. */
export function keyOf(id: string): string {
  return id.toLowerCase();
}

export function sameId(left: string, right: string): boolean {
  return keyOf(left) === keyOf(right);
}

export function notFound(id: string): ArmError {
  const [type, name] = id.split('/').slice(-2);
  return new ArmError(404, 'ResourceNotFound', `The Resource 'Microsoft.Compute/${type ?? ''}/${name ?? ''}' was not found (${id}).`);
}
