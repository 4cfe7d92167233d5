import assert from 'node:assert/strict';
import { isHoldfastError } from '../../../errors/holdfast-error';
import type { BlobRef } from '../../../vault/format/blob';
import { BLOCK_BYTES, PackKind } from '../../../vault/format/format';
import { packName } from '../../../vault/format/pack-names';
import type { Store } from '../../../vault/store/store';
import { loadHooks, loadRegion, loadRoot, type VaultAccess } from '../../../vault/format/tree';
import { createFaultStore } from '../../support/fault-store';
import { windowEntries } from '../../support/vault-recount';
import { assertRestores, type Backup, backUp, contentBytes, makeVault, noise, SparseDisk } from '../../support/vault-kit';

/** Two disks with mostly the same files, at other places and in another order. */
async function siblings(): Promise<{ one: SparseDisk; other: SparseDisk }> {
  const [one, other] = [new SparseDisk(7700 * BLOCK_BYTES), new SparseDisk(9000 * BLOCK_BYTES + 512)];
  for (let file = 0; file < 40; file++) {
    const content = noise((80 + (file * 37) % 90) * BLOCK_BYTES, file);
    await one.write(content, file * 190 * BLOCK_BYTES);
    await other.write(content, (11 + ((file * 17) % 40) * 220) * BLOCK_BYTES);
  }
  await other.write(contentBytes({ kind: 'noise', seed: 500 }, 20 * BLOCK_BYTES), 8950 * BLOCK_BYTES);
  return { one, other };
}

describe('champions', () => {
  let vault: VaultAccess;
  let first: Backup;
  let other: SparseDisk;
  beforeEach(async () => {
    vault = makeVault();
    const both = await siblings();
    other = both.other;
    first = await backUp(vault, both.one);
  });

  const region = async () => loadRegion(vault, (await loadRoot(vault, first.tree))?.children.get(0) as never, 0, first.tree.sizeBytes);
  /** A vault in which what `hit` names is gone, or reads with a bit flipped. */
  const without = (hit: (name: string, offset: number | undefined) => boolean, corrupt: boolean): VaultAccess => {
    const inner = vault.store;
    const store: Store = { ...inner, serverTimeMs: () => inner.serverTimeMs(), description: 'damaged', create: inner.create.bind(inner), stat: inner.stat.bind(inner), list: inner.list.bind(inner), delete: inner.delete.bind(inner), close: () => Promise.resolve(),
      async read(name, range) {
        const struck = hit(name, range?.offset);
        if (struck && !corrupt) return inner.read('packs/meta/00/gone');
        const bytes = await inner.read(name, range);
        if (struck) bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
        return bytes;
      } };
    return { store, keys: vault.keys };
  };

  it('a sibling disk with the same files elsewhere stores a fraction, and restores byte for byte', async () => {
    const alone = await backUp(vault, other);
    const helped = await backUp(vault, other, { champions: [first.tree] });
    assert.ok(helped.stats.newBytes * 4 < alone.stats.newBytes, `${helped.stats.newBytes} of ${alone.stats.newBytes} bytes were new`);
    assert.ok(helped.stats.reusedBytes > 0);
    await assertRestores(vault, helped.tree, other);
  });

  it('hooks name windows that hold their chunk, and every hook of the disk is there', async () => {
    const rows = await loadHooks(vault, await region());
    const wanted: string[] = [];
    for (const [window, entries] of await windowEntries(vault, first.tree)) {
      for (const id of new Set(entries.flatMap(({ chunk }) => (chunk && (chunk.id[0] as number) < 4 ? [chunk.id.toString('latin1', 0, 8)] : [])))) wanted.push(`${id} ${window}`);
    }
    assert.ok(wanted.length > 3);
    assert.deepEqual(rows.map(([id, window]) => `${id} ${window}`).sort(), wanted.sort());
  });

  for (const corrupt of [false, true]) {
    it(`${corrupt ? 'damaged' : 'missing'} nodes and hooks of a champion cost only space`, async () => {
      const node = await region();
      const packs = new Set([node.hooks?.pack as string, first.tree.root?.pack as string, ...[...node.children.values()].map(({ pack }) => pack)]);
      const helped = await backUp(without((name) => packs.has(name.slice(-32)), corrupt), other, { champions: [first.tree] });
      assert.equal(helped.stats.reusedBytes, 0);
      await assertRestores(vault, helped.tree, other);
      for (const one of packs) {
        const partly = await backUp(without((name) => name.endsWith(one), corrupt), other, { champions: [first.tree] });
        await assertRestores(vault, partly.tree, other);
      }
    });
  }

  it('damaged hooks of the parent cost only the hooks', async () => {
    const disk = (await siblings()).one;
    await disk.write(noise(BLOCK_BYTES, 900), 0);
    const hooks = (await region()).hooks as BlobRef;
    for (const corrupt of [false, true]) {
      let struck = 0;
      const damaged = without((name, offset) => name.endsWith(hooks.pack) && offset === hooks.offset && ++struck > 0, corrupt);
      const next = await backUp(damaged, disk, { parent: first.tree, changed: [{ offset: 0, length: BLOCK_BYTES }] });
      assert.equal(struck, 1);
      await assertRestores(vault, next.tree, disk);
    }
  });

  it('a store that fails is no damage: the error surfaces', async () => {
    const store = createFaultStore(vault.store);
    store.plan({ operation: 'read', matching: new RegExp(packName(PackKind.meta, first.tree.root?.pack as string)), fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(backUp({ ...vault, store }, other, { champions: [first.tree] }), (error) => isHoldfastError(error, 'STORE_UNREACHABLE'));
    store.assertAllFired();
  });
});
