import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { mkdirSync, statSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { HoldfastError } from '../../errors/holdfast-error';
import { diskWork } from './arm-disks';
import { restorePointWork } from './arm-restore-points';
import { snapshotWork } from './arm-snapshots';
import { ArmThrottle } from './arm-throttle';
import type { CallLog } from './calls';
import { removeOrphans } from './copies';
import { DataPlane } from './data-plane';
import type { Fault, FaultPlan } from './faults';
import { Frontend } from './frontend';
import { quickLimits, type StandInLimits } from './limits';
import { StateStore } from './state';
import { SubscriptionFolder } from './subscription-folder';
import { keyOf, World } from './world';

export interface StandInOptions {
  /** Each folder in it is a VM, each disk image in that a disk. Only read, never written to. */
  readonly disksFolder: string;
  /** Where snapshots, disks and operations are kept; must not lie in disksFolder. Made when it is not there. */
  readonly stateFolder: string;
  /** 0 takes the port of the last time with this state folder, or any that is free. */
  readonly port: number;
  readonly hostname?: string;
  /** Milliseconds since 1970; the system's clock when left out. */
  readonly clock?: () => number;
  readonly limits?: Partial<StandInLimits>;
  /** Faults that are planned from the start on. */
  readonly faults?: readonly Fault[];
  readonly log?: (message: string) => void;
}

export interface AzureStandIn {
  /** http://HOST:PORT, without a slash at the end; set once started. */
  readonly url: string;
  readonly subscriptionId: string;
  readonly faults: FaultPlan;
  readonly calls: CallLog;
  /** Throws STANDIN_PORT_IN_USE or STANDIN_FOLDER. */
  start(): Promise<void>;
  /** Waits for copies that run, then closes every connection. */
  stop(): Promise<void>;
}

/**
 * A stand-in for Azure Compute and for the data plane of managed disks, over plain HTTP, on a folder of disk images.
 * It is made for one person's machine: whoever can reach its port can read the images, so it listens on the
 * loopback address unless told otherwise. Throws STANDIN_FOLDER, STANDIN_STATE_IN_USE or STANDIN_STATE_BROKEN.
 */
export function createAzureStandIn(options: StandInOptions): AzureStandIn {
  const disksFolder = checkedFolder(options.disksFolder);
  const stateFolder = resolve(options.stateFolder);
  if (`${stateFolder}${sep}`.startsWith(`${disksFolder}${sep}`)) {
    throw new HoldfastError('STANDIN_FOLDER', `The state folder ${stateFolder} lies in the folder of images ${disksFolder}: its snapshots would become disks`, { data: { path: stateFolder } });
  }
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  const store = StateStore.open(stateFolder);
  const log = options.log ?? (() => undefined);
  const now = options.clock ?? (() => Date.now());
  const limits = { ...quickLimits, ...options.limits };
  const { seed, deletedVms, replacedDisks } = store.content;
  const folder = new SubscriptionFolder({ folder: disksFolder, seed, deletedVms, replacedDisks, warn: log });
  const world = new World(store, folder, limits, now, log, options.clock !== undefined);
  for (const fault of options.faults ?? []) world.faults.add(fault);
  return new RunningStandIn(world, options.port, options.hostname ?? '127.0.0.1');
}

class RunningStandIn implements AzureStandIn {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  constructor(private readonly world: World, private readonly port: number, private readonly hostname: string) {
    const frontend = new Frontend(world, new DataPlane(world), new ArmThrottle(world.limits.arm, world.now), hostname);
    this.server = createServer({ keepAliveTimeout: 60_000 }, (request: IncomingMessage, response: ServerResponse) => {
      frontend.handle(request, response).catch((error: unknown) => {
        world.log(`${request.method ?? ''} failed: ${error instanceof Error ? error.message : String(error)}`);
        response.destroy();
      });
    });
    this.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  get url(): string {
    return this.world.baseUrl;
  }

  get subscriptionId(): string {
    return this.world.state.subscriptionId;
  }

  get faults(): FaultPlan {
    return this.world.faults;
  }

  get calls(): CallLog {
    return this.world.calls;
  }

  async start(): Promise<void> {
    const { state } = this.world;
    try {
      await removeOrphans(this.world);
      const last = this.port === 0 ? state.port : null;
      // URLs that were given out before a restart stay good when the port is the same again.
      if (last === null || !(await this.listen(last))) {
        if (!(await this.listen(this.port))) throw new HoldfastError('STANDIN_PORT_IN_USE', `Port ${this.port} on ${this.hostname} is taken`, { data: { port: this.port } });
      }
    } catch (error) {
      this.world.store.close();
      throw error;
    }
    const { port } = this.server.address() as AddressInfo;
    this.world.baseUrl = `http://${this.hostname.includes(':') ? `[${this.hostname}]` : this.hostname}:${port}`;
    state.port = port;
    this.resumeOperations();
    this.world.store.save();
  }

  async stop(): Promise<void> {
    await new Promise<void>((done) => {
      this.server.close(() => done());
      for (const socket of this.sockets) socket.destroy();
    });
    await this.world.idle();
    this.world.store.close();
  }

  /** True when it listens, false when the port is taken. */
  private listen(port: number): Promise<boolean> {
    return new Promise((done, fail) => {
      const onError = (error: NodeJS.ErrnoException): void => {
        if (error.code === 'EADDRINUSE') done(false);
        else fail(error);
      };
      this.server.once('error', onError);
      this.server.listen(port, this.hostname, () => {
        this.server.off('error', onError);
        done(true);
      });
    });
  }

  /** Copies that the last process did not finish are made anew: their moment is then after the restart, as their time says. */
  private resumeOperations(): void {
    const { operations, snapshots, restorePoints, disks } = this.world.state;
    for (const operation of Object.values(operations)) {
      if (operation.status !== 'InProgress' || operation.workDone) continue;
      const key = keyOf(operation.targetId);
      const [snapshot, point, disk] = [snapshots[key], restorePoints[key], disks[key]];
      if (snapshot !== undefined) this.world.runWork(operation, () => snapshotWork(this.world, snapshot));
      else if (point !== undefined) this.world.runWork(operation, () => restorePointWork(this.world, point));
      else if (disk !== undefined) this.world.runWork(operation, () => diskWork(this.world, disk));
      else operation.workDone = true;
    }
  }
}

/** The folder's whole path. Throws STANDIN_FOLDER when there is none. */
export function checkedFolder(path: string): string {
  const folder = resolve(path);
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) throw new HoldfastError('STANDIN_FOLDER', `There is no folder ${folder}`, { data: { path: folder } });
  if (!found.isDirectory()) throw new HoldfastError('STANDIN_FOLDER', `${folder} is not a folder`, { data: { path: folder } });
  return folder;
}
