import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { savePolicy } from '../activities/policy-store';
import { createCloud } from '../azure/compute/cloud';
import { createAzureStandIn } from '../local/azure/stand-in';
import { itemIdOfResource } from '../policy/item-id';
import { parsePolicy } from '../policy/schema';
import { formatStamp } from '../policy/slot';
import { type Manifest, manifestName } from '../vault/format/manifest';
import { openKeyProvider } from '../vault/keys/key-providers';
import { recordMaintenance } from '../vault/points/maintenance-log';
import { proofTime } from '../vault/proof/proofs';
import { openFolderStore } from '../vault/store/folder-store';
import { drawVault, initVault } from '../vault/vault';
import { VaultFiles } from './lifecycle-vault';
import { MIB } from './options';
import { SeededRandom } from './random';

export interface FleetSize { readonly items: number; readonly points: number }
export interface FleetPlaces { readonly vault: string; readonly disks: string; readonly state: string }

const DAY_MS = 86_400_000;
/** Recovery points of each item that lie in the bin; runs of late that failed, one in so many. */
const BINNED = 14;
const FAILED_EVERY = 50;
/** Runs whose records have content; those before are only listed. */
const REAL_RUNS = 40;

/** A machine of each item, as the stand-in for Azure shows it, and the item's id. */
interface Machine { readonly itemId: string; readonly name: string; readonly resourceId: string }

/**
 * What the portal looks at after months of daily backups of many machines: manifests, marks, proofs and the records of late runs are real; there are no packs, which no view looks at. One in a hundred items is a
 * server that the command line backs up, and its machine is none of the subscription's.
 */
export async function makeFleet(places: FleetPlaces, size: FleetSize, say: (line: string) => void): Promise<void> {
  const machines = await makeMachines(places, size.items);
  const store = await openFolderStore(places.vault, { create: true });
  const vault = await initVault(store, drawVault(), openKeyProvider, 'bench', Date.now());
  const files = new VaultFiles(places.vault, vault);
  const nowMs = Date.now();
  const random = new SeededRandom(20_261_125);
  for (const [at, machine] of machines.entries()) {
    makeItem(files, machine, { server: at % 100 === 99, points: size.points, nowMs, random: () => random.fraction() });
    if (at % 100 === 99) say(`  made ${at + 1} items of ${machines.length}`);
  }
  await recordMaintenance(vault, {
    version: 1, stamp: formatStamp(nowMs - 6 * 3_600_000), dryRun: false, startedAt: new Date(nowMs - 6 * 3_600_000).toISOString(), endedAt: new Date(nowMs - 5 * 3_600_000).toISOString(),
    retention: { items: size.items, kept: size.items * (size.points - BINNED), binned: size.items, refused: [] },
    collection: {
      recoveryPoints: size.items * (size.points - BINNED), purged: size.items, inBin: size.items * BINNED, nextBinEndAt: null, allPacks: 4_000_000, allBytes: 20_000_000 * MIB, unneededPacks: 1_000, unneededBytes: 5_000 * MIB,
      deletedPacks: 900, deletedBytes: 4_500 * MIB, waitingPacks: 100, waitingBytes: 500 * MIB, immutablePacks: 0, leftPacks: 0, records: 3_000, missingPacks: [], problems: [], abnormal: null, token: 'bench',
    },
    locks: null, keys: { opened: [], notTried: 0 }, error: null,
  });
  // Stored last: slots from before a policy are not due.
  await savePolicy(store, parsePolicy({ name: 'daily', schedule: { daily: { at: [slotTime(nowMs)] } }, firstBackup: 'next-slot', items: { all: true }, retention: { keepLast: size.points - BINNED } }), null);
  await store.close();
}

/** A time of the day that is half a day away. */
const slotTime = (nowMs: number): string => `${String((new Date(nowMs).getUTCHours() + 12) % 24).padStart(2, '0')}:00`;

/** Folders with a small disk image each, and the ids that the stand-in gives the machines. */
async function makeMachines({ disks, state }: FleetPlaces, items: number): Promise<Machine[]> {
  const image = Buffer.alloc(4096, 1);
  const servers: Machine[] = [];
  for (let at = 0; at < items; at++) {
    const name = `vm-${String(at).padStart(4, '0')}`;
    if (at % 100 === 99) servers.push({ itemId: `server-${name}`, name: `server-${name}`, resourceId: '' });
    mkdirSync(path.join(disks, name), { recursive: true });
    writeFileSync(path.join(disks, name, 'os.img'), image);
  }
  const standIn = createAzureStandIn({ disksFolder: disks, stateFolder: path.join(state, 'azure'), port: 0 });
  await standIn.start();
  try {
    const cloud = createCloud({ subscriptionIds: [standIn.subscriptionId], armEndpoint: standIn.url, credential: { getToken: () => Promise.reject(new Error('no token is needed on loopback')) }, duty: 'backup' });
    const machines = (await cloud.listVms()).map(({ id, name }): Machine => ({ itemId: itemIdOfResource(id), name, resourceId: id }));
    return machines.map((machine, at) => (at % 100 === 99 ? servers.shift() ?? machine : machine));
  } finally {
    await standIn.stop();
  }
}

interface ItemPlan { readonly server: boolean; readonly points: number; readonly nowMs: number; readonly random: () => number }

function makeItem(files: VaultFiles, { itemId, name, resourceId }: Machine, { server, points, nowMs, random }: ItemPlan): void {
  const iso = (ms: number): string => new Date(ms).toISOString();
  const kind = server ? 'image' : 'azure-vm';
  files.seal(`items/${itemId}`, { version: 1, itemId, kind, name, resourceId: resourceId === '' ? null : resourceId, firstSeenAt: iso(nowMs - points * DAY_MS) });
  const sizeBytes = (32 + Math.floor(random() * 4) * 32) * 1024 * MIB;
  let parent: Manifest['parent'] = null;
  const hourMs = Math.floor(random() * 12 * 3_600_000);
  for (let sequence = 1; sequence <= points; sequence++) {
    const atMs = Math.floor((nowMs - (points - sequence) * DAY_MS - hourMs) / 1000) * 1000;
    const stamp = formatStamp(atMs);
    const id = `${itemId}.${stamp}`;
    const changedBytes = Math.floor((sequence === 1 ? 0.5 : 0.01 * random()) * sizeBytes);
    const stats = {
      windows: sizeBytes / (64 * MIB), readBytes: changedBytes * 2, changedBytes, newChunks: Math.floor(changedBytes / 80_000), newBytes: Math.floor(changedBytes * 0.8), reusedChunks: Math.floor(changedBytes / 400_000),
      reusedBytes: Math.floor(changedBytes * 0.2), storedBytes: Math.floor(changedBytes * 0.3), healedWindows: 0, forwardedChunks: 0, forwardedBytes: 0,
    };
    const hex = (bytes: number): string => Array.from({ length: bytes }, () => Math.floor(random() * 256).toString(16).padStart(2, '0')).join('');
    const manifest: Manifest = {
      format: 'holdfast-recovery-point', version: 1, id, itemId, stamp, sequence, slot: server ? null : iso(atMs), startedAt: iso(atMs + 2_000), createdAt: iso(atMs + 30_000), policy: server ? null : 'daily',
      consistency: sequence % 20 === 0 ? 'crash' : 'application', warnings: sequence % 20 === 0 ? ['The agent of the guest did not answer, so the recovery point is crash-consistent'] : [],
      source: { kind, name, resourceId: resourceId === '' ? null : resourceId, model: server ? null : { location: 'westeurope', hardwareProfile: { vmSize: 'Standard_D4s_v5' }, osProfile: { computerName: name } } },
      disks: ['os', '0'].map((lun) => ({
        name: `${name}-${lun}`, lun, sizeBytes: sizeBytes / 2, logicalSectorBytes: 512, root: { id: hex(32), pack: hex(16), offset: 48, length: 211 },
        tree: { lineage: '1.0', references: '0-0', records: [] }, source: { kind: 'diskRestorePoint', snapshotId: `${resourceId}/restorePoints/${stamp}` }, mode: sequence === 1 ? 'full' as const : 'incremental' as const, stats,
      })),
      parent, champions: [], stats,
    };
    const digest = files.seal(manifestName(itemId, stamp), manifest);
    parent = { id, sequence, digest };
    const ageDays = points - sequence;
    if (sequence <= BINNED) {
      files.seal(`marks/${itemId}/${stamp}/0001`, { version: 1, kind: 'deleted', at: iso(nowMs - sequence * DAY_MS), by: 'retention', binUntil: iso(nowMs + (14 - sequence) * DAY_MS + DAY_MS), reason: 'retention', policy: 'daily' });
    }
    if (ageDays > 0) {
      const provedMs = Math.min(nowMs - 3_600_000, atMs + Math.floor(random() * 20 * DAY_MS));
      files.seal(`proofs/${itemId}/${stamp}/${proofTime(provedMs)}`, { version: 1, recoveryPoint: id, at: iso(provedMs), by: 'scrub', cycle: null, state: 'whole', cursor: null, against: null, chunks: 1000, plainBytes: changedBytes, storedBytes: stats.storedBytes, damage: [] });
    }
    makeRun(files, { itemId, sequence, stamp, isReal: ageDays < REAL_RUNS, owner: server ? `process:${name}:${1000 + sequence}:1:boot:1:machine` : `backup.${id}`, atMs, endMs: atMs + 60_000 + Math.floor(random() * 1_800_000), id, policy: manifest.policy, slot: manifest.slot });
  }
  // Some run of the last day failed.
  if (Math.floor(random() * FAILED_EVERY) === 0) makeRun(files, { itemId, sequence: points + 1, stamp: formatStamp(nowMs - 3_600_000), isReal: true, owner: `backup.${itemId}.x`, atMs: nowMs - 3_600_000, endMs: nowMs - 3_000_000, id: null, policy: 'daily', slot: null });
}

interface RunPlan {
  readonly itemId: string; readonly sequence: number; readonly stamp: string; readonly isReal: boolean; readonly owner: string; readonly atMs: number; readonly endMs: number;
  /** null: it failed. */ readonly id: string | null; readonly policy: string | null; readonly slot: string | null;
}

function makeRun(files: VaultFiles, { itemId, sequence, stamp, isReal, owner, atMs, endMs, id, policy, slot }: RunPlan): void {
  const folder = `runs/${itemId}/${String(sequence).padStart(10, '0')}`;
  files.write(`${folder}/verdict`, 'verdict');
  if (!isReal) {
    for (const record of ['open', 'end']) files.write(`${folder}/${record}`, 'run');
    return;
  }
  const iso = (ms: number): string => new Date(ms).toISOString();
  files.seal(`${folder}/open`, { version: 1, itemId, sequence, stamp, slot, owner, policy, startedAt: iso(atMs), deadline: iso(atMs + DAY_MS) });
  const error = id === null ? { code: 'CLOUD_THROTTLED', message: 'Azure asked to wait for longer than the run may take', remedy: 'Wait, and lower the number of machines at once' } : null;
  files.seal(`${folder}/end`, { version: 1, outcome: id === null ? 'abandoned' : 'committed', recoveryPoint: id, error, at: iso(endMs) });
}
