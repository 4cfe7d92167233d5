// A stand-in for the command line with its arguments, for as long as there is none: see HOLDFAST_PROGRAM in holdfast.ts.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openStore } from '../azure/open-store';
import { openImage } from '../local/images/open-image';
import { backupDisk } from '../vault/backup-disk';
import type { DiskRange } from '../vault/block-source';
import { keyFileProvider, newKeyFile, parseKeyFile } from '../vault/key-providers';
import { type LanePlan, withLanes } from '../vault/lanes';
import { diskTree, loadManifest, type Manifest } from '../vault/manifest';
import { readDisk } from '../vault/read-disk';
import { refToJson } from '../vault/ref-json';
import { commitRun, latestCommitted, openRun, type RunRef, sealRun, workFolder } from '../vault/run';
import { parseVaultAddress, type StoreSpec } from '../vault/store/store-spec';
import type { VaultAccess } from '../vault/tree';
import { drawVault, initVault, openVault } from '../vault/vault';

const ITEM = 'bench';
const FACTORY = path.join(__dirname, '..', 'cli', 'transfer-factory.js');

interface Opened { readonly vault: VaultAccess; readonly spec: StoreSpec }

async function openAt(address: string, keyFile: string): Promise<Opened> {
  const spec = parseVaultAddress(address);
  const store = await openStore(spec, process.env);
  return { spec, vault: await openVault(store, keyFileProvider(parseKeyFile(readFileSync(keyFile, 'utf8'), keyFile))) };
}

const lanesOf = ({ vault, spec }: Opened): Omit<LanePlan, 'source' | 'sink'> => ({ factory: FACTORY, store: { ...spec }, keys: vault.keys });

/** Makes the vault and its key file. */
async function init(address: string, keyFile: string): Promise<void> {
  const store = await openStore(parseVaultAddress(address), process.env, { create: true });
  const fresh = drawVault();
  const { text, secret } = newKeyFile(fresh.vaultId);
  writeFileSync(keyFile, text, { mode: 0o600, flag: 'wx' });
  await initVault(store, fresh, keyFileProvider(secret), 'bench', Date.now());
  await store.close();
}

async function backup(address: string, keyFile: string, image: string, changedFile: string | undefined): Promise<void> {
  const opened = await openAt(address, keyFile);
  const { vault } = opened;
  const nowMs = Date.now();
  const stamp = new Date(nowMs).toISOString().replace(/[-:.]/g, '');
  const run = await openRun(vault, { itemId: ITEM, stamp, slot: null, owner: `bench-${process.pid}`, policy: null, nowMs, maxRunMs: 3_600_000 });
  const parent = await latestCommitted(vault, ITEM);
  const before = parent?.manifest.disks[0];
  const changed = changedFile === undefined ? null : JSON.parse(readFileSync(changedFile, 'utf8')) as DiskRange[];
  const source = await openImage(image);
  const { sizeBytes } = source;
  const outcome = await withLanes({ ...lanesOf(opened), source: { path: image } }, (lanes) =>
    backupDisk(vault, lanes, { sizeBytes, parent: before ? diskTree(before) : null, changed, referencesFolder: `${workFolder(run)}/0` }));
  await source.verifyUnchanged();
  await source.close();
  await sealRun(vault, run, manifestOf(run, image, sizeBytes, outcome, parent && { id: parent.manifest.id, digest: parent.digest }, nowMs));
  const { id } = await commitRun(vault, run, Date.now());
  await vault.store.close();
  process.stdout.write(`${JSON.stringify({ id, mode: outcome.mode, stats: outcome.stats })}\n`);
}

function manifestOf(run: RunRef, image: string, sizeBytes: number, outcome: Awaited<ReturnType<typeof backupDisk>>, parent: Manifest['parent'] | undefined, nowMs: number): Manifest {
  const at = new Date(nowMs).toISOString();
  return {
    format: 'holdfast-recovery-point', version: 1, id: `${run.itemId}.${run.stamp}`, itemId: run.itemId, stamp: run.stamp, sequence: run.sequence,
    slot: null, startedAt: at, createdAt: at, policy: null, consistency: 'crash', warnings: [], champions: [],
    source: { kind: 'image', name: path.basename(image), resourceId: null, model: null }, parent: parent ?? null, stats: outcome.stats,
    disks: [{ name: path.basename(image), lun: '0', sizeBytes, logicalSectorBytes: 512, root: outcome.root && refToJson(outcome.root), source: {}, mode: outcome.mode, stats: outcome.stats }],
  };
}

async function restore(address: string, keyFile: string, recoveryPoint: string, target: string): Promise<void> {
  const opened = await openAt(address, keyFile);
  const { vault } = opened;
  const found = recoveryPoint === 'latest' ? await latestCommitted(vault, ITEM) : await loadManifest(vault, recoveryPoint);
  const disk = found?.manifest.disks[0];
  if (!disk) throw new Error(`There is no recovery point ${recoveryPoint}`);
  if (existsSync(target)) throw new Error(`${target} exists already`);
  await mkdir(path.dirname(target), { recursive: true });
  const file = await open(target, 'wx');
  await file.truncate(disk.sizeBytes);
  await withLanes({ ...lanesOf(opened), sink: { path: target } }, (lanes) => readDisk(vault, lanes, diskTree(disk)));
  await file.sync();
  await file.close();
  await vault.store.close();
}

async function main(): Promise<void> {
  const { values, positionals: [verb, subject] } = parseArgs({
    allowPositionals: true,
    options: { vault: { type: 'string' }, key: { type: 'string' }, changed: { type: 'string' }, to: { type: 'string' }, json: { type: 'boolean' } },
  });
  const { vault, key } = values;
  if (vault === undefined || key === undefined) throw new Error('--vault and --key are needed');
  if (verb === 'init') return init(vault, key);
  if (verb === 'backup' && subject !== undefined) return backup(vault, key, path.resolve(subject), values.changed);
  if (verb === 'restore' && subject !== undefined && values.to !== undefined) return restore(vault, key, subject, path.resolve(values.to));
  throw new Error(`The driver does not know: ${process.argv.slice(2, 4).join(' ')}`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
  process.exitCode = 1;
});
