import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createCloud } from '../../azure/compute/cloud';
import { openSnapshotSource } from '../../azure/disk/snapshot-source';
import { openStore } from '../../azure/open-store';
import { registerApp } from '../../functions/app';
import type { Services } from '../../functions/services';
import { type Clock, VirtualClock } from '../../local/host/clock';
import { createHost, type EmbeddedHost, type HostOptions } from '../../local/host/host';
import { type AzureStandIn, createAzureStandIn } from '../../local/azure/stand-in';
import { keyFileProvider } from '../../vault/key-providers';
import type { StoreSpec } from '../../vault/store/store-spec';
import type { Store } from '../../vault/store/store';
import type { VaultAccess } from '../../vault/tree';
import { drawVault, initVault } from '../../vault/vault';
import { makeTempFolder } from './temp-folder';

/** A whole home in one process: disks, the stand-in for Azure, a vault, and the app in the embedded host on a virtual clock. */
export interface Home {
  readonly host: EmbeddedHost;
  readonly standIn: AzureStandIn;
  readonly vault: VaultAccess;
  readonly storeSpec: StoreSpec;
  readonly disksFolder: string;
  readonly clock: Clock;
  readonly folder: string;
  json(path: string, init?: RequestInit): Promise<{ status: number; headers: Headers; body: unknown }>;
  dispose(): Promise<void>;
}

export interface HomeOptions {
  /** Where the vault lies; a folder of the home's own when not given. */
  readonly store?: StoreSpec;
  /** Wraps the vault's store that the activities use, for instance in planned faults. */
  readonly wrapStore?: (store: Store) => Store;
  readonly host?: Partial<HostOptions>;
  readonly startMs?: number;
  readonly standIn?: Partial<Parameters<typeof createAzureStandIn>[0]>;
  readonly schedulerCron?: string;
}

export const HOME_START_MS = Date.UTC(2026, 10, 23, 10, 30);
const SECRET = Buffer.alloc(32, 7);

/** Starts a home on the disks that `fill` puts into its folder. */
export async function startHome(fill: (disksFolder: string) => Promise<void>, options: HomeOptions = {}): Promise<Home> {
  const temp = await makeTempFolder();
  const disksFolder = path.join(temp.path, 'disks');
  await mkdir(disksFolder);
  await fill(disksFolder);
  const clock = options.host?.clock ?? new VirtualClock(options.startMs ?? HOME_START_MS);
  const standIn = createAzureStandIn({ disksFolder, stateFolder: path.join(temp.path, 'azure'), port: 0, clock: () => clock.now(), ...options.standIn });
  await standIn.start();
  const storeSpec: StoreSpec = options.store ?? { kind: 'folder', path: path.join(temp.path, 'vault') };
  const plain = await openStore(storeSpec, process.env, { create: true });
  const vault = await initVault(plain, drawVault(), keyFileProvider(SECRET), 'test', clock.now());
  const store = options.wrapStore?.(plain) ?? plain;
  const services: Services = {
    http: { httpAuthLevel: 'anonymous' },
    schedulerCron: options.schedulerCron ?? '0 */5 * * * *',
    deps: {
      vault: () => Promise.resolve({ ...vault, store }),
      cloud: createCloud({ subscriptionIds: [standIn.subscriptionId], armEndpoint: standIn.url, credential: { getToken: () => Promise.reject(new Error('no token is needed on loopback')) } }),
      openSnapshotSource,
      transfer: { factory: path.join(__dirname, '..', '..', 'azure', 'transfer-factory.js'), store: { ...storeSpec }, threads: 0 },
      nowMs: () => clock.now(),
      log: () => undefined,
    },
  };
  const host = await createHost({ stateFolder: ':memory:', clock, load: () => registerApp(services), ...options.host });
  await host.start();
  return {
    host, standIn, vault, storeSpec, disksFolder, clock, folder: temp.path,
    async json(address, init) {
      const response = await host.fetch(address, init);
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) as unknown };
    },
    async dispose() {
      await host.stop();
      await standIn.stop();
      await plain.close();
      await temp.remove();
    },
  };
}

/** Puts a VM with disks of the given contents into a disks folder. */
export async function addVm(disksFolder: string, vm: string, disks: Readonly<Record<string, Buffer>>, settings?: object): Promise<void> {
  await mkdir(path.join(disksFolder, vm), { recursive: true });
  for (const [name, content] of Object.entries(disks)) await writeFile(path.join(disksFolder, vm, `${name}.img`), content);
  if (settings) await writeFile(path.join(disksFolder, vm, 'vm.json'), JSON.stringify(settings));
}
