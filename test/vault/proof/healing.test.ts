import assert from 'node:assert/strict';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { backupDisk } from '../../../vault/transfer/backup-disk';
import { damagedPacks, listDamage, recordDamage } from '../../../vault/proof/damage-ledger';
import { BLOCK_BYTES, PackKind, WINDOW_BYTES } from '../../../vault/format/format';
import { packName } from '../../../vault/format/pack-names';
import { readDisk } from '../../../vault/transfer/read-disk';
import { referencesPlace } from '../../../vault/points/references';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { DiskTree, VaultAccess } from '../../../vault/format/tree';
import { createFaultStore } from '../../support/fault-store';
import { assertReferences, recount, windowEntries } from '../../support/vault-recount';
import { assertRestores, backUp, contentBytes, makeVault, noise, SparseDisk, START_MS, withLane } from '../../support/vault-kit';

const BY = { by: 'check' as const, nowMs: START_MS };

/** A disk of three windows with data in each, and its first backup. */
async function world(): Promise<{ vault: VaultAccess; disk: SparseDisk; tree: DiskTree }> {
  const vault = makeVault(createMemoryStore());
  const disk = new SparseDisk(3 * WINDOW_BYTES);
  for (const window of [0, 1, 2]) await disk.write(contentBytes({ kind: 'noise', seed: window }, 60 * BLOCK_BYTES), window * WINDOW_BYTES + 40 * BLOCK_BYTES);
  const { tree } = await backUp(vault, disk);
  return { vault, disk, tree };
}

/** Removes a pack, or flips a bit of each KiB of it. */
async function damage({ store }: VaultAccess, name: string, how: 'gone' | 'bits'): Promise<void> {
  const bytes = await store.read(name);
  await store.delete(name);
  if (how === 'gone') return;
  for (let at = 100; at < bytes.length; at += 1024) bytes[at] = (bytes[at] as number) ^ 4;
  await store.create(name, bytes);
}

/** Whether everything that a tree needs proves. */
async function isWhole(vault: VaultAccess, tree: DiskTree): Promise<boolean> {
  const { damage: found } = await withLane(vault, { collectDamage: true }, (lanes) => readDisk(vault, lanes, tree, { collectDamage: true }));
  return found.length === 0;
}

const dataPackOf = async (vault: VaultAccess, tree: DiskTree, window: number): Promise<string> =>
  (await windowEntries(vault, tree)).get(window)?.find(({ chunk }) => chunk)?.chunk?.pack ?? '';

describe('healing of damage by the next backup', () => {
  for (const how of ['gone', 'bits'] as const) {
    it(`fault 36: what lay in a data pack of the ledger (${how}) is read from the source and stored anew, although nothing changed`, async () => {
      const { vault, disk, tree } = await world();
      const pack = await dataPackOf(vault, tree, 0);
      await damage(vault, packName(PackKind.data, pack), how);
      await recordDamage(vault, [{ pack, code: 'PACK_DAMAGED', message: 'seen' }], BY, () => ['item.20261123T010000Z']);
      const next = await backUp(vault, disk, { parent: tree, changed: [], lookOver: {} });
      assert.ok(next.stats.healedWindows > 0 && next.stats.newChunks > 0);
      assert.equal(next.stats.changedBytes, 0, 'the content is the same');
      await assertRestores(vault, next.tree, disk);
      await assertReferences(vault, next.folder, tree, next.tree);
      assert.equal([...(await recount(vault, next.tree)).regions.get(0)?.data.keys() ?? []].includes(pack), false, 'nothing refers to the damaged pack any more');
      assert.equal(await isWhole(vault, tree), false, 'the old recovery point stays damaged');
      const third = await backUp(vault, disk, { parent: next.tree, changed: [], lookOver: {} });
      assert.deepEqual(third.root, next.root, 'healed once, and for good');
    });
  }

  it('fault 36: a leaf that is damaged and that nobody knew of: the window is read whole, the usage counted anew, and the ledger says so', async () => {
    const { vault, disk, tree } = await world();
    const root = await recount(vault, tree);
    const leaf = root.regions.get(0)?.node.children.get(1);
    assert.ok(leaf);
    // Only the one leaf of the pack that all leaves share.
    const name = packName(PackKind.meta, leaf.pack);
    const bytes = await vault.store.read(name);
    await vault.store.delete(name);
    bytes[leaf.offset + 20] = (bytes[leaf.offset + 20] as number) ^ 1;
    await vault.store.create(name, bytes);
    const range = { offset: WINDOW_BYTES + 50 * BLOCK_BYTES, length: BLOCK_BYTES };
    await disk.write(noise(BLOCK_BYTES, 77), range.offset);
    const next = await backUp(vault, disk, { parent: tree, changed: [range], lookOver: {} });
    assert.equal(next.stats.healedWindows, 1);
    assert.deepEqual([...await damagedPacks(vault)], [leaf.pack]);
    assert.equal((await listDamage(vault))[0]?.foundBy, 'backup');
    await assertRestores(vault, next.tree, disk);
    await recount(vault, next.tree);
    // The other leaves of that pack are taken out of it by the next one.
    const third = await backUp(vault, disk, { parent: next.tree, changed: [], lookOver: {} });
    assert.ok(third.stats.healedWindows > 0);
    assert.equal((await recount(vault, third.tree)).regions.get(0)?.meta.has(leaf.pack), false);
    await assertReferences(vault, third.folder, next.tree, third.tree);
    await assertRestores(vault, third.tree, disk);
  });

  for (const what of ['root', 'region'] as const) {
    it(`fault 36: when the ${what}'s node is damaged, the disk gets a tree of its own, and sound chunks are taken over where the old one can be read`, async () => {
      const { vault, disk, tree } = await world();
      const facts = await recount(vault, tree);
      const pack = what === 'root' ? tree.root?.pack : [...facts.rootMeta].find((one) => one !== tree.root?.pack);
      assert.ok(pack);
      await damage(vault, packName(PackKind.meta, pack), 'gone');
      const next = await backUp(vault, disk, { parent: tree, changed: [], lookOver: { thorough: true } });
      assert.equal(next.mode, 'full');
      await assertRestores(vault, next.tree, disk);
      assert.deepEqual([...await damagedPacks(vault)], [pack]);
      assert.ok(await isWhole(vault, next.tree));
      await assertReferences(vault, next.folder, null, next.tree);
    });
  }

  it('a chunk of a champion that lies in a damaged pack is stored again and not referred to', async () => {
    const { vault, disk, tree } = await world();
    const twin = disk.snapshot();
    const pack = await dataPackOf(vault, tree, 1);
    await recordDamage(vault, [{ pack, code: 'PACK_DAMAGED', message: 'seen' }], BY);
    const made = await withLaneOfTwin(vault, twin, tree, [pack]);
    assert.ok(made.every((one) => one !== pack));
    assert.ok(await isWhole(vault, tree), 'the pack is whole in truth: only the ledger speaks against it');
  });

  it('an error of the store is no damage: the backup fails and the ledger stays empty', async () => {
    const { vault, disk, tree } = await world();
    const store = createFaultStore(vault.store);
    store.plan({ operation: 'read', matching: /packs/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(backUp({ ...vault, store }, disk, { parent: tree, changed: [], lookOver: {} }), (error) => isHoldfastError(error, 'STORE_UNREACHABLE'));
    store.assertAllFired();
    assert.equal((await damagedPacks(vault)).size, 0);
  });
});

/** Backs a twin up with the first tree as its champion; the packs that its tree refers to. */
async function withLaneOfTwin(vault: VaultAccess, twin: SparseDisk, champion: DiskTree, avoid: readonly string[]): Promise<string[]> {
  const outcome = await withLane(vault, { source: twin, champions: [champion], avoid }, (lanes) =>
    backupDisk(vault, lanes, { sizeBytes: twin.sizeBytes, parent: null, changed: null, references: referencesPlace({ itemId: 'twin', sequence: 1 }, 0, 0, null) }));
  await assertRestores(vault, { root: outcome.root, sizeBytes: twin.sizeBytes }, twin);
  const facts = await recount(vault, { root: outcome.root, sizeBytes: twin.sizeBytes });
  return [...facts.regions.values()].flatMap(({ data }) => [...data.keys()]);
}
