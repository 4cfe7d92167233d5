import { createHash } from 'node:crypto';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { savePolicy } from '../activities/policy-store';
import { openFolderStore } from '../vault/store/folder-store';
import { parsePolicy } from '../policy/schema';
import { formatStamp } from '../policy/slot';
import { PackKind } from '../vault/format/format';
import { openKeyProvider } from '../vault/keys/key-providers';
import { type Manifest, manifestName } from '../vault/format/manifest';
import { packName } from '../vault/format/pack-names';
import { sealDocument } from '../vault/format/sealed-document';
import type { VaultAccess } from '../vault/format/tree';
import { emptyStats } from '../vault/transfer/transfer-types';
import { drawVault, initVault } from '../vault/vault';

export interface LifecycleSize { readonly items: number; readonly points: number }

const DAY_MS = 86_400_000;
/** Recovery points of each item that are gone already, and whose packs may go; that lie in the bin and are due; and that retention is to let go. */
const SHARE = { purged: 5, binned: 5, retained: 5 };
const FULL_PACKS = 200;

/**
 * A vault as it is after years of daily backups, without the backups: manifests and marks are real, and so are records of references that stand in no manifest;
 * packs, and records that are only listed, have a few bytes. Every backup took up one data pack and gave up one of the first one's every few days.
 */
export async function makeLifecycleVault(folder: string, { items, points }: LifecycleSize, say: (line: string) => void): Promise<void> {
  const store = await openFolderStore(folder, { create: true });
  const vault = await initVault(store, drawVault(), openKeyProvider, 'bench', Date.now());
  await savePolicy(store, parsePolicy({ name: 'daily', schedule: { daily: { at: ['01:00'] } }, items: { all: true }, retention: { keepLast: points - SHARE.purged - SHARE.binned - SHARE.retained } }), null);
  const writer = new VaultFiles(folder, vault);
  const nowMs = Date.now();
  for (let item = 0; item < items; item++) {
    makeItem(writer, `item-${String(item).padStart(4, '0')}`, points, nowMs);
    if (item % 10 === 9) say(`  made ${item + 1} items of ${items}`);
  }
  await store.close();
}

/** Writes a vault's files directly, and each folder once: a bench that makes a hundred thousand objects need not wait for their syncs. */
export class VaultFiles {
  private readonly folders = new Set<string>();

  constructor(private readonly folder: string, private readonly vault: VaultAccess) {}

  /** Returns the digest of what was written. */
  seal(name: string, value: unknown, writtenMs?: number): string {
    const bytes = sealDocument(this.vault.keys, name, value);
    this.write(name, bytes, writtenMs);
    return createHash('sha256').update(bytes).digest('hex');
  }

  write(name: string, bytes: Uint8Array | string, writtenMs?: number): void {
    const file = path.join(this.folder, name);
    const parent = path.dirname(file);
    if (!this.folders.has(parent)) {
      mkdirSync(parent, { recursive: true, mode: 0o700 });
      this.folders.add(parent);
    }
    writeFileSync(file, bytes, { mode: 0o600 });
    if (writtenMs !== undefined) utimesSync(file, writtenMs / 1000, writtenMs / 1000);
  }
}

function makeItem(files: VaultFiles, itemId: string, points: number, nowMs: number): void {
  const packOf = (what: string): string => createHash('md5').update(`${itemId} ${what}`).digest('hex');
  const iso = (ms: number): string => new Date(ms).toISOString();
  files.seal(`items/${itemId}`, { version: 1, itemId, kind: 'azure-vm', name: itemId, resourceId: null, firstSeenAt: iso(nowMs) });
  let parent: Manifest['parent'] = null;
  for (let sequence = 1; sequence <= points; sequence++) {
    const atMs = nowMs - (points - sequence + 1) * DAY_MS;
    const stamp = formatStamp(Math.floor(atMs / 1000) * 1000);
    const first = sequence === 1;
    const data = { taken: first ? Array.from({ length: FULL_PACKS }, (_, pack) => packOf(`full ${pack}`)) : [packOf(`data ${sequence}`)], given: first || sequence % 5 !== 0 || sequence / 5 > FULL_PACKS ? [] : [packOf(`full ${sequence / 5 - 1}`)] };
    const meta = { taken: [packOf(`leaf ${sequence}`)], given: first || sequence % 3 !== 0 ? [] : [packOf(`leaf ${sequence - 2}`)] };
    const root = { taken: [packOf(`root ${sequence}`)], given: first ? [] : [packOf(`root ${sequence - 1}`)] };
    const region = { data, meta };
    const top = { data: { taken: [], given: [] }, meta: root };
    const tree = { lineage: '1.0', references: '0-0', records: [{ name: '0000', references: first ? null : region }, { name: 'root', references: top }] };
    const folder = `${itemId}/${String(sequence).padStart(10, '0')}`;
    if (first) files.seal(`references/${folder}/0-0/0000`, { version: 1, lineage: '1.0', parentSequence: null, node: null, ...region });
    for (const id of data.taken) files.write(packName(PackKind.data, id), 'pack', atMs);
    for (const id of [...meta.taken, ...root.taken]) files.write(packName(PackKind.meta, id), 'pack', atMs);
    for (const record of ['open', 'verdict', 'end']) files.write(`runs/${folder}/${record}`, 'run', atMs);
    const id = `${itemId}.${stamp}`;
    const at = iso(atMs);
    const manifest: Manifest = {
      format: 'holdfast-recovery-point', version: 1, id, itemId, stamp, sequence, slot: at, startedAt: at, createdAt: at, policy: 'daily', consistency: 'application', warnings: [],
      source: { kind: 'azure-vm', name: itemId, resourceId: `/subscriptions/0/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/${itemId}`, model: { location: 'westeurope', hardwareProfile: { vmSize: 'Standard_D4s_v5' }, osProfile: { computerName: itemId }, networkProfile: { networkInterfaces: [{ id: `/subscriptions/0/resourceGroups/rg/providers/Microsoft.Network/networkInterfaces/${itemId}-nic` }] } } },
      disks: [{ name: `${itemId}-os`, lun: 'os', sizeBytes: 137_438_953_472, logicalSectorBytes: 512, root: { id: packOf(`id ${sequence}`).repeat(2), pack: packOf(`root ${sequence}`), offset: 48, length: 211 }, tree, source: { kind: 'diskRestorePoint', snapshotId: `/subscriptions/0/resourceGroups/rg/providers/Microsoft.Compute/restorePointCollections/c/restorePoints/${stamp}`, familyId: packOf('family') }, mode: first ? 'full' : 'incremental', stats: emptyStats() }],
      parent, champions: [], stats: emptyStats(),
    };
    const deletedMs = nowMs - 16 * DAY_MS;
    const deleted = { version: 1, kind: 'deleted', at: iso(deletedMs), by: 'retention', binUntil: iso(nowMs - 2 * DAY_MS), reason: 'retention', policy: 'daily' };
    if (sequence <= SHARE.purged) {
      const digest = packOf(`digest ${sequence}`).repeat(2);
      files.seal(`marks/${itemId}/${stamp}/0001`, deleted, deletedMs);
      files.seal(`marks/${itemId}/${stamp}/0002`, { version: 1, kind: 'purged', at: iso(nowMs - DAY_MS), by: 'maintenance', sequence, parentSequence: parent?.sequence ?? null, digest, trees: [tree] });
      parent = { id, sequence, digest };
      continue;
    }
    if (sequence <= SHARE.purged + SHARE.binned) files.seal(`marks/${itemId}/${stamp}/0001`, deleted, deletedMs);
    parent = { id, sequence, digest: files.seal(manifestName(itemId, stamp), manifest) };
  }
}
