import assert from 'node:assert/strict';
import { mkdir, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type AccessSettings, createAccess } from '../../access/access';
import { newLocalToken } from '../../access/local-token';
import { createCloud, createRestoreCloud } from '../../azure/compute/cloud';
import { openSnapshotSource } from '../../azure/disk/snapshot-source';
import { openStore } from '../../azure/open-store';
import { openPageTarget } from '../../azure/page-target';
import { type ActivityDeps, DUTIES, type Duty } from '../../activities/deps';
import { silentTelemetry, type Telemetry } from '../../activities/telemetry';
import { registerApp } from '../../functions/app';
import type { JobView } from '../../functions/job-view';
import { type Services, withFleet } from '../../functions/services';
import type { Freshness } from '../../vault/fleet/fresh';
import { type Clock, VirtualClock } from '../../local/host/clock';
import { createHost, type EmbeddedHost, type HostOptions } from '../../local/host/host';
import { type AzureStandIn, createAzureStandIn } from '../../local/azure/stand-in';
import type { StateContent } from '../../local/azure/state';
import { findDisk, listRecoveryPoints } from '../../vault/catalog';
import { keyFileProvider } from '../../vault/keys/key-providers';
import { withLanes } from '../../vault/transfer/lanes';
import { diskTree, loadManifest, type Manifest } from '../../vault/format/manifest';
import { readDisk } from '../../vault/transfer/read-disk';
import { createMemoryStore } from '../../vault/store/memory-store';
import type { StoreSpec } from '../../vault/store/store-spec';
import type { ObjectInfo, Store } from '../../vault/store/store';
import type { VaultAccess } from '../../vault/format/tree';
import { drawVault, initVault, type NewVault } from '../../vault/vault';
import { assertAsDescribed } from './api-contract';
import { homeStores } from './home-transfer-factory';
import { createCourier } from '../../webhooks/courier';
import { makeTempFolder } from './temp-folder';
import { tellUse, watchedKey, watchedStore } from './traffic';

/** A whole home in one process: disks, the stand-in for Azure, a vault, and the app in the embedded host on a virtual clock. */
export interface Home {
  readonly host: EmbeddedHost;
  readonly standIn: AzureStandIn;
  /** The vault without planned faults. */
  readonly vault: VaultAccess;
  /** What the app's steps of restores are made with. */
  readonly deps: ActivityDeps;
  /** The same app's services, to register it in another host. */
  readonly services: Services;
  /** Where the vault lies, for other programs; null for one in memory. */
  readonly storeSpec: StoreSpec | null;
  readonly disksFolder: string;
  readonly clock: Clock;
  readonly folder: string;
  /** Everything that host, activities and functions logged. */
  readonly logs: readonly string[];
  json(path: string, init?: RequestInit): Promise<Reply>;
  /** Every entry of a list, over all of its pages. */
  list<T>(path: string): Promise<readonly T[]>;
  /** Starts a backup over HTTP and waits for its end; the job as GET /api/jobs/ID shows it. */
  backUp(item: string, body?: object): Promise<JobView>;
  job(id: string): Promise<JobView>;
  points(): Promise<readonly Manifest[]>;
  /** A disk of a recovery point, read back from the vault alone. */
  restore(recoveryPoint: string, disk?: string): Promise<Buffer>;
  /** What is left in the cloud: names of snapshots and restore points, and of what is open for reading. */
  leftovers(): Promise<{ snapshots: string[]; restorePoints: string[]; open: string[] }>;
  /** Asserts invariant I5: nothing is left but `bases` snapshots or restore points, and no access is open. */
  assertClean(bases: number): Promise<void>;
  dispose(): Promise<void>;
}

// A type of tests: what a body holds is for the test to say.
export interface Reply { readonly status: number; readonly headers: Headers; readonly body: unknown; readonly text: string }

export interface HomeOptions {
  /** Where the vault lies; 'folder' is one of the home's own. In memory when not given, which spares the disk a thousand syncs. */
  readonly store?: StoreSpec | 'folder';
  /** Wraps the vault's store that the app uses, for instance in planned faults. */
  readonly wrapStore?: (store: Store) => Store;
  /** Replaces how the app opens its vault. */
  readonly openVault?: (plain: Store) => Promise<VaultAccess>;
  readonly host?: Partial<HostOptions>;
  readonly startMs?: number;
  readonly standIn?: Partial<Parameters<typeof createAzureStandIn>[0]>;
  readonly schedulerCron?: string;
  readonly lockKeepMs?: number;
  readonly telemetry?: Telemetry;
  /** Id and key of the vault, for runs that are to be the same each time; drawn when not given. */
  readonly newVault?: NewVault;
  /** Containers, of Azurite for instance, that restores may write page blobs to. */
  readonly restoreContainers?: readonly string[];
  /** Registers what the app itself has not. */
  readonly alsoLoad?: (services: Services) => void;
  readonly housekeeping?: Partial<Services['housekeeping']>;
  readonly scrubs?: Partial<Services['scrubs']>;
  /** Who is let in over HTTP; whoever has HOME_TOKEN when not given, which `json` shows unless a test shows something else. */
  readonly access?: AccessSettings;
  /** What `json` shows unless a test shows something else; HOME_TOKEN when not given. */
  readonly token?: string;
  readonly requestsPerMinute?: number;
  /** How old what views show may be; nothing by default, since tests change the vault behind the app's back. */
  readonly freshness?: Freshness;
  /** How people are told; nothing of the home's own asks for it, so that what does not care is not slowed down. */
  readonly notifications?: Partial<Services['notifications']>;
}

export const HOME_START_MS = Date.UTC(2026, 10, 23, 10, 30);
export const HOME_TOKEN = newLocalToken();
export const HOME_KEY = Buffer.alloc(32, 7);
const MiB = 1024 * 1024;

/** Starts a home on the disks that `fill` puts into its folder. */
export async function startHome(fill: (disksFolder: string) => Promise<void>, options: HomeOptions = {}): Promise<Home> {
  const temp = await makeTempFolder();
  const disksFolder = path.join(temp.path, 'disks');
  await mkdir(disksFolder);
  await fill(disksFolder);
  const clock = options.host?.clock ?? new VirtualClock(options.startMs ?? HOME_START_MS);
  const standIn = createAzureStandIn({ disksFolder, stateFolder: path.join(temp.path, 'azure'), port: 0, clock: () => clock.now(), ...options.standIn });
  await standIn.start();
  const storeSpec: StoreSpec | null = options.store === 'folder' ? { kind: 'folder', path: path.join(temp.path, 'vault') } : options.store ?? null;
  const plain = storeSpec ? timedStore(await openStore(storeSpec, process.env, { create: true }), clock) : createMemoryStore({ clock: () => clock.now() });
  const vault = await initVault(plain, options.newVault ?? drawVault(), keyFileProvider(HOME_KEY), 'test', clock.now());
  const store = options.wrapStore?.(plain) ?? plain;
  const logs: string[] = [];
  const cloudSettings = {
    subscriptionIds: [standIn.subscriptionId], armEndpoint: standIn.url, credential: { getToken: () => Promise.reject(new Error('no token is needed on loopback')) },
    waiting: { wait: () => Promise.resolve(), random: () => 0.5, now: () => clock.now() }, log: (line: string) => logs.push(line),
  };
  const depsOf = (duty: Duty): ActivityDeps => {
    const watched = watchedStore(store, duty);
    homeStores.set(`${temp.path} ${duty}`, watched);
    return {
      vault: () => {
        // Opening a vault takes its key, which in Azure is asked to unwrap.
        tellUse(duty, 'unwrap');
        return options.openVault?.(watched) ?? Promise.resolve({ ...vault, store: watched });
      },
      keys: () => Promise.resolve([{ provider: watchedKey(keyFileProvider(HOME_KEY), duty), identityOf: [duty] }]),
      cloud: createCloud({ ...cloudSettings, duty }),
      openSnapshotSource,
      restoreCloud: createRestoreCloud({ ...cloudSettings, duty, restoreContainers: options.restoreContainers ?? [] }),
      openPageTarget,
      transfer: { factory: path.join(__dirname, 'home-transfer-factory.js'), store: { home: `${temp.path} ${duty}` }, threads: 0 },
      lockKeepMs: options.lockKeepMs,
      appName: 'home',
      telemetry: options.telemetry ?? silentTelemetry,
      nowMs: () => clock.now(),
      log: (message, fields) => logs.push(JSON.stringify({ message, ...fields })),
    };
  };
  const services: Services = withFleet({
    access: createAccess(options.access ?? { kind: 'local', token: HOME_TOKEN }, { nowMs: () => clock.now(), requestsPerMinute: options.requestsPerMinute ?? 1_000_000 }),
    lookCron: '0 0 0 1 1 *',
    schedulerCron: options.schedulerCron ?? '0 */5 * * * *',
    // Once a year: what does not ask for them is not slowed down by them.
    housekeeping: { reconcileCron: '0 0 0 1 1 *', sweepCron: '0 0 0 1 1 *', maintainCron: '0 0 0 1 1 *', ...options.housekeeping },
    scrubs: { cron: '0 0 0 1 1 *', days: 30, ...options.scrubs },
    notifications: { cron: '0 0 0 1 1 *', courier: createCourier({ secrets: new Map(), allowLoopback: true, origin: 'home.test' }), ...options.notifications },
    deps: depsOf('backup'),
    others: { maintenance: depsOf('maintenance'), restore: depsOf('restore') },
  }, options.freshness ?? { softMs: 0, hardMs: 0 });
  const host = await createHost({
    stateFolder: ':memory:', clock, routePrefix: '', load: () => { registerApp(services); options.alsoLoad?.(services); }, log: (level, message, fields) => logs.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`), ...options.host,
  });
  await host.start();
  // What a test asks itself is no call of a duty's.
  const asked: ActivityDeps = { ...services.others.restore, cloud: createCloud(cloudSettings), restoreCloud: createRestoreCloud({ ...cloudSettings, restoreContainers: options.restoreContainers ?? [] }) };
  const home: Home = {
    host, standIn, vault, services, deps: asked, storeSpec, disksFolder, clock, folder: temp.path, logs,
    async json(address, init) {
      const response = await host.fetch(address, { ...init, headers: { authorization: `Bearer ${options.token ?? HOME_TOKEN}`, ...init?.headers as Record<string, string> } });
      const text = await response.text();
      assertAsDescribed(init?.method ?? 'GET', address, response, text);
      return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) as unknown, text };
    },
    async list<T>(address: string) {
      const all: T[] = [];
      for (let next: string | null = address; next !== null;) {
        const { status, body, text } = await home.json(next);
        assert.equal(status, 200, text);
        const page = body as { value: T[]; nextLink: string | null };
        all.push(...page.value);
        next = page.nextLink;
      }
      return all;
    },
    async backUp(item, body) {
      const started = await home.json(`/api/items/${item}/backups`, { method: 'POST', ...(body ? { body: JSON.stringify(body) } : {}) });
      assert.equal(started.status, 202, started.text);
      const { id } = started.body as { id: string };
      await host.waitFor(id, { until: 'finished' });
      return home.job(id);
    },
    job: async (id) => (await home.json(`/api/jobs/${id}`)).body as JobView,
    points: async () => (await listRecoveryPoints(vault)).points.map(({ manifest }) => manifest),
    restore: (recoveryPoint, disk) => restore(home, recoveryPoint, disk),
    leftovers: () => leftovers(temp.path, clock.now()),
    async assertClean(bases) {
      const { snapshots, restorePoints, open: opened } = await home.leftovers();
      assert.deepEqual(opened, [], 'access that was left open');
      assert.equal(snapshots.length + restorePoints.length, bases, `left behind: ${[...snapshots, ...restorePoints].join(', ')}`);
    },
    async dispose() {
      await host.stop();
      await standIn.stop();
      for (const duty of DUTIES) homeStores.delete(`${temp.path} ${duty}`);
      await plain.close();
      await temp.remove();
    },
  };
  return home;
}

/** Puts a VM with disks of the given contents into a disks folder. A number is the size in bytes of a disk of zeros that takes no space. */
export async function addVm(disksFolder: string, vm: string, disks: Readonly<Record<string, Buffer | number>>, settings?: object): Promise<void> {
  await mkdir(path.join(disksFolder, vm), { recursive: true });
  for (const [name, content] of Object.entries(disks)) {
    const file = path.join(disksFolder, vm, `${name}.img`);
    await writeFile(file, typeof content === 'number' ? '' : content);
    if (typeof content === 'number') await truncate(file, content);
  }
  if (settings) await writeFile(path.join(disksFolder, vm, 'vm.json'), JSON.stringify(settings));
}

export const imagePath = (home: Home, vm: string, disk: string): string => path.join(home.disksFolder, vm, `${disk}.img`);
export const readImage = (home: Home, vm: string, disk: string): Promise<Buffer> => readFile(imagePath(home, vm, disk));

/** Writes into a disk in place, as a running machine does. */
export async function writeDisk(home: Home, vm: string, disk: string, data: Buffer, offset: number): Promise<void> {
  const file = await open(imagePath(home, vm, disk), 'r+');
  try {
    await file.write(data, 0, data.length, offset);
  } finally {
    await file.close();
  }
}

/** Bytes that look random and are the same for the same seed. */
export function noise(bytes: number, seed: number): Buffer {
  const out = Buffer.allocUnsafe(bytes);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let at = 0; at < bytes; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[at] = state >>> 24;
  }
  return out;
}

/** A disk of `mebibytes`, the second half of it zeros. */
export const halfDisk = (mebibytes: number, seed: number): Buffer => Buffer.concat([noise((mebibytes * MiB) / 2, seed), Buffer.alloc((mebibytes * MiB) / 2)]);

async function restore(home: Home, recoveryPoint: string, diskName?: string): Promise<Buffer> {
  const { manifest } = await loadManifest(home.vault, recoveryPoint);
  const disk = findDisk(manifest, diskName);
  const file = path.join(home.folder, `restored-${recoveryPoint}-${disk.lun}`);
  await writeFile(file, '');
  await truncate(file, disk.sizeBytes);
  try {
    await withLanes({ factory: path.join(__dirname, 'home-transfer-factory.js'), store: { home: `${home.folder} restore` }, sink: { path: file }, keys: home.vault.keys, threads: 0 },
      (lanes) => readDisk(home.vault, lanes, diskTree(disk)));
    return await readFile(file);
  } finally {
    await rm(file);
  }
}

/** The stand-in writes its state before it answers, so its file says what is there. */
async function leftovers(folder: string, nowMs: number): Promise<{ snapshots: string[]; restorePoints: string[]; open: string[] }> {
  const state = JSON.parse(await readFile(path.join(folder, 'azure', 'state.json'), 'utf8')) as StateContent;
  return {
    snapshots: Object.values(state.snapshots).map(({ name }) => name),
    restorePoints: Object.values(state.restorePoints).map(({ name }) => name),
    open: Object.values(state.accesses).filter(({ endedAtMs, expiresAtMs }) => endedAtMs === null && nowMs < expiresAtMs).map(({ resourceId }) => resourceId),
  };
}

/** A store whose server's clock is the home's: a folder's time stamps are those of the machine that runs the tests. */
function timedStore(inner: Store, clock: Clock): Store {
  const times = new Map<string, number>();
  const timed = (info: ObjectInfo): ObjectInfo => ({ ...info, modifiedAtMs: times.get(info.name) ?? info.modifiedAtMs });
  return {
    description: inner.description,
    async create(name, data) {
      const answer = await inner.create(name, data);
      if (answer === 'created') times.set(name, clock.now());
      return answer;
    },
    read: (name, range) => inner.read(name, range),
    async stat(name) {
      const info = await inner.stat(name);
      return info && timed(info);
    },
    async *list(prefix) {
      for await (const info of inner.list(prefix)) yield timed(info);
    },
    delete: (name) => inner.delete(name),
    serverTimeMs: () => Promise.resolve(clock.now()),
    ...(inner.retention && { retention: inner.retention }),
    close: () => inner.close(),
  };
}
