import assert from 'node:assert/strict';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { PackKind, REGION_BYTES } from '../../../vault/format/format';
import type { Manifest } from '../../../vault/format/manifest';
import { packName } from '../../../vault/format/pack-names';
import { damagedPacks } from '../../../vault/proof/damage-ledger';
import { needsOfDisk, proveRestorable } from '../../../vault/transfer/restore-plan';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { Store } from '../../../vault/store/store';
import { leafRefs, loadLeaf, regionsOf, type DiskTree, type VaultAccess } from '../../../vault/format/tree';
import { createDocument } from '../../../vault/format/documents';
import { makeManifest } from '../../support/vault-manifests';
import { backUp, makeVault, noise, SparseDisk } from '../../support/vault-kit';

const MiB = 1024 * 1024;

async function dataPacks(vault: VaultAccess, tree: DiskTree): Promise<string[]> {
  const packs = new Set<string>();
  for await (const region of regionsOf(vault, tree)) {
    for (const [window, ref] of leafRefs(region)) for (const { chunk } of (await loadLeaf(vault, ref, window, tree.sizeBytes)).entries) if (chunk) packs.add(chunk.pack);
  }
  return [...packs];
}

async function replace(store: Store, name: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  const bytes = change(await store.read(name));
  await store.delete(name);
  await store.create(name, bytes);
}

const manifestOf = (tree: DiskTree, sequence: number): Manifest => makeManifest({ itemId: 'kit', sequence, stamp: `20261123T0${sequence}0000Z` }, 'kit', tree);

describe('what a restore needs, before it writes', () => {
  let vault: VaultAccess;
  let disk: SparseDisk;
  let tree: DiskTree;
  const none = { suspects: new Set<string>() };

  beforeEach(async () => {
    vault = makeVault(createMemoryStore());
    // Two regions: what is far away is looked at as well.
    disk = new SparseDisk(REGION_BYTES + 128 * MiB);
    await disk.write(noise(9 * MiB, 1), 0);
    await disk.write(noise(MiB, 2), REGION_BYTES + 64 * MiB);
    const changed = [{ offset: 0, length: 9 * MiB }, { offset: REGION_BYTES + 64 * MiB, length: MiB }];
    ({ tree } = await backUp(vault, disk, { parent: { root: null, sizeBytes: disk.sizeBytes }, changed }));
  });

  it('counts windows and bytes, and misses nothing where everything is there', async () => {
    const needs = await needsOfDisk(vault, tree, none);
    assert.deepEqual(needs, { windows: 2, dataBytes: 10 * MiB, missing: [] });
    assert.deepEqual(await needsOfDisk(vault, { root: null, sizeBytes: MiB }, none), { windows: 0, dataBytes: 0, missing: [] });
  });

  it('36: a data pack that is missing, cut short or far too long is named, each once', async () => {
    const [first, second] = await dataPacks(vault, tree);
    assert.ok(first && second);
    await vault.store.delete(packName(PackKind.data, first));
    await replace(vault.store, packName(PackKind.data, second), (bytes) => bytes.subarray(0, 1000));
    const { missing } = await needsOfDisk(vault, tree, none);
    assert.deepEqual(missing.map(({ code, pack }) => [code, pack]).sort(), [['PACK_DAMAGED', second], ['PACK_MISSING', first]].sort());
  });

  it('36: a node that does not open is named with its pack, wherever in the tree it is', async () => {
    const metas: string[] = [];
    for await (const { name } of vault.store.list('packs/meta/')) metas.push(name);
    for (const name of metas) await replace(vault.store, name, (bytes) => { bytes[60] = (bytes[60] ?? 0) ^ 1; return bytes; });
    const { missing } = await needsOfDisk(vault, tree, none);
    assert.ok(missing.length > 0);
    for (const { pack } of missing) assert.ok(metas.some((name) => name.endsWith(pack)));
  });

  it('36: a pack of the ledger of damage is read where it is needed: whole chunks do no harm, a damaged one is refused', async () => {
    const [pack] = await dataPacks(vault, tree);
    assert.ok(pack);
    await createDocument(vault, `damage/${pack}`, { version: 1 });
    const suspects = await damagedPacks(vault);
    assert.deepEqual([...suspects], [pack]);
    assert.deepEqual((await needsOfDisk(vault, tree, { suspects })).missing, []);
    await replace(vault.store, packName(PackKind.data, pack), (bytes) => { bytes[1000] = (bytes[1000] ?? 0) ^ 1; return bytes; });
    assert.deepEqual((await needsOfDisk(vault, tree, none)).missing, [], 'content is not read otherwise');
    assert.deepEqual((await needsOfDisk(vault, tree, { suspects })).missing.map(({ code, pack: named }) => [code, named]), [['PACK_DAMAGED', pack]]);
  });

  it('a store that fails proves nothing: its error is no damage', async () => {
    const store: Store = { ...vault.store, stat: () => Promise.reject(new Error('unplugged')), read: (name, range) => vault.store.read(name, range) };
    await assert.rejects(needsOfDisk({ ...vault, store }, tree, none), /unplugged/);
  });

  it('36: the refusal names the packs, and the recovery points that do without them', async () => {
    const before = manifestOf(tree, 1);
    await disk.write(noise(MiB, 3), 64 * MiB);
    const changed = await backUp(vault, disk, { parent: tree, changed: [{ offset: 64 * MiB, length: MiB }] });
    const after = manifestOf(changed.tree, 2);
    const other = manifestOf((await backUp(vault, new SparseDisk(MiB, new Map([[0, noise(4096, 9)]])))).tree, 3);
    for (const manifest of [before, after, other]) await createDocument(vault, `recovery-points/kit/${manifest.stamp}`, manifest);
    const own = new Set(await dataPacks(vault, tree));
    const added = (await dataPacks(vault, changed.tree)).find((pack) => !own.has(pack));
    assert.ok(added);
    await vault.store.delete(packName(PackKind.data, added));
    await proveRestorable(vault, before, before.disks);
    await assert.rejects(proveRestorable(vault, after, after.disks), (error: unknown) => {
      assert.ok(isHoldfastError(error, 'RESTORE_DAMAGED'));
      assert.deepEqual(error.data, { recoveryPoint: after.id, packs: [added], others: [other.id, before.id] });
      return true;
    });
  });
});
