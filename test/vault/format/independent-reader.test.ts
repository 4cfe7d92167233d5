import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { BLOCK_BYTES, PackKind, WINDOW_BYTES } from '../../../vault/format/format';
import { keyFileProvider, newKeyFile, openKeyProvider, parseKeyFile } from '../../../vault/keys/key-providers';
import type { DiskRange } from '../../../vault/transfer/block-source';
import { packName } from '../../../vault/format/pack-names';
import { referencesFolder } from '../../../vault/points/references';
import { commitRun, latestCommitted, openRun, sealRun } from '../../../vault/run';
import { scrubStep } from '../../../vault/proof/scrub';
import { openFolderStore } from '../../../vault/store/folder-store';
import type { DiskTree } from '../../../vault/format/tree';
import { drawVault, initVault } from '../../../vault/vault';
import { makeTempFolder, type TempFolder } from '../../support/temp-folder';
import { IndependentReader } from '../../support/vault-independent-reader';
import { makeManifest, runRequest } from '../../support/vault-manifests';
import { recount } from '../../support/vault-recount';
import { backUp, contentBytes, noise, SparseDisk, START_MS, withLane } from '../../support/vault-kit';

describe('a reader written from the format document alone', () => {
  let folder: TempFolder;
  beforeEach(async () => { folder = await makeTempFolder(); });
  afterEach(() => folder.remove());

  for (const encrypted of [true, false]) {
    it(`agrees byte for byte with a vault ${encrypted ? 'with a key file' : 'without encryption'}, over several recovery points`, async () => {
      const store = await openFolderStore(folder.path, { create: true });
      const fresh = drawVault();
      const { text } = newKeyFile(fresh.vaultId);
      const vault = await initVault(store, fresh, encrypted ? keyFileProvider(parseKeyFile(text, 'key')) : openKeyProvider, 'label', START_MS);
      const disk = new SparseDisk(WINDOW_BYTES + 300 * BLOCK_BYTES + 1024);
      const wanted: { stamp: string; bytes: Buffer }[] = [];
      let parent: DiskTree | null = null;
      const changes = [
        { offset: WINDOW_BYTES - 40 * BLOCK_BYTES, data: noise(200 * BLOCK_BYTES, 1) },
        { offset: 3 * BLOCK_BYTES + 17, data: contentBytes({ kind: 'text', seed: 3 }, 500_000) },
        { offset: WINDOW_BYTES - 8192, data: Buffer.alloc(30_000) },
        { offset: disk.sizeBytes - 5000, data: noise(5000, 9) },
      ];
      for (const [index, { offset, data }] of changes.entries()) {
        await disk.write(data, offset);
        const stamp = `2026112${index}T010000Z`;
        const run = await openRun(vault, runRequest(`owner ${index}`, { stamp }));
        const made = await backUp(vault, disk, { parent, changed: [{ offset, length: data.length }], folder: `references/item/${String(run.sequence).padStart(10, '0')}/0-0` });
        await sealRun(vault, run, makeManifest(run, 'disk', made.tree));
        await commitRun(vault, run, START_MS);
        parent = made.tree;
        const bytes = Buffer.alloc(disk.sizeBytes);
        await disk.readInto(bytes, 0);
        wanted.push({ stamp, bytes });
      }
      await store.close();
      const reader = new IndependentReader(folder.path, encrypted ? text : null);
      for (const { stamp, bytes } of wanted) {
        const [got] = reader.recoveryPoint('item', stamp);
        assert.ok(got?.bytes.equals(bytes), `the recovery point ${stamp} differs`);
      }
      let blobs = 0;
      for (const kind of ['data', 'meta'] as const) {
        for (const prefix of readdirSync(path.join(folder.path, 'packs', kind))) {
          for (const pack of readdirSync(path.join(folder.path, 'packs', kind, prefix))) blobs += reader.packIds(kind, pack).length;
        }
      }
      assert.ok(blobs > 20, `${blobs} blobs say what they are`);
      assert.throws(() => new IndependentReader(folder.path, encrypted ? null : text), /no key document opens/);
      for (const name of ['verdict', 'open', 'end']) assert.ok(reader.document(`runs/item/0000000001/${name}`));
      const plainText = Buffer.from('line 3 of a file that packs well');
      assert.ok(readFileSync(path.join(folder.path, 'vault.json')).length > 0 && !allBytes(folder.path).some((bytes) => bytes.includes(plainText)), 'content lies nowhere in the clear');
    });
  }

  it('agrees about proofs and the ledger of damage, and reads a recovery point that was healed and one whose chunks were copied forward', async () => {
    const store = await openFolderStore(folder.path, { create: true });
    const fresh = drawVault();
    const { text } = newKeyFile(fresh.vaultId);
    const vault = await initVault(store, fresh, keyFileProvider(parseKeyFile(text, 'key')), 'label', START_MS);
    const disk = new SparseDisk(WINDOW_BYTES);
    await disk.write(noise(400 * BLOCK_BYTES, 1), 0);
    let parent: DiskTree | null = null;
    const stamps: string[] = [];
    const commit = async (changed: DiskRange[] | null): Promise<void> => {
      const stamp = `2026112${stamps.length}T010000Z`;
      const run = await openRun(vault, runRequest(stamp, { stamp, nowMs: START_MS }));
      const before = await latestCommitted(vault, 'item');
      const made = await backUp(vault, disk, { parent, changed: parent ? changed : null, folder: referencesFolder(run, 0), lookOver: {} });
      const manifest = makeManifest(run, 'disk', made.tree, made.history);
      await sealRun(vault, run, { ...manifest, parent: before ? { id: before.manifest.id, sequence: before.manifest.sequence, digest: before.digest } : null });
      await commitRun(vault, run, START_MS);
      parent = made.tree;
      stamps.push(stamp);
    };
    const prove = async (sinceMs: number): Promise<void> => {
      const request = { itemId: 'item', recoveryPoint: null, sinceMs, maxWindows: 10, by: 'scrub' as const, nowMs: () => sinceMs + 1 };
      for (let done = false; !done;) ({ done } = await withLane(vault, { collectDamage: true }, (lanes) => scrubStep(vault, lanes, request)));
    };
    const reader = (): IndependentReader => new IndependentReader(folder.path, text);
    const assertReads = async (stamp: string): Promise<void> => {
      const bytes = Buffer.alloc(disk.sizeBytes);
      await disk.readInto(bytes, 0);
      assert.ok(reader().recoveryPoint('item', stamp)[0]?.bytes.equals(bytes), stamp);
    };
    await commit(null);
    assert.equal(reader().lastProof('item', stamps[0] ?? ''), null);
    await prove(START_MS + 1_000);
    assert.deepEqual([reader().lastProof('item', stamps[0] ?? '')?.state, [...reader().damage()]], ['whole', []]);
    // Most of the first pack is replaced, and what is left of it is copied forward by the run after.
    await disk.write(noise(340 * BLOCK_BYTES, 2), 0);
    await commit([{ offset: 0, length: 340 * BLOCK_BYTES }]);
    await commit([]);
    await assertReads(stamps[2] ?? '');
    const [pack] = (await recount(vault, parent as unknown as DiskTree)).regions.get(0)?.data.keys() ?? [];
    await store.delete(packName(PackKind.data, pack as string));
    await prove(START_MS + 5_000);
    const proof = reader().lastProof('item', stamps[2] ?? '');
    assert.deepEqual([proof?.state, proof?.damage.map((one) => one.pack)], ['damaged', [pack]]);
    assert.deepEqual([...reader().damage()].map(([id, { code, recoveryPoints }]) => [id, code, recoveryPoints.includes(proof?.recoveryPoint ?? '')]), [[pack, 'PACK_MISSING', true]]);
    await commit([]);
    await assertReads(stamps[3] ?? '');
    await store.close();
  });
});

const allBytes = (folder: string): Buffer[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => readFileSync(path.join(entry.parentPath, entry.name)));
