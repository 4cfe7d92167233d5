import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MAX_FORWARD_BYTES, MAX_SURVEYED_REGIONS, MIN_SPARSE_PACK_BYTES, regionsOfTurn, SPARSE_BELOW } from '../../../vault/transfer/copy-forward';
import { damagedPacks } from '../../../vault/proof/damage-ledger';
import { BLOCK_BYTES, PackKind, WINDOW_BYTES } from '../../../vault/format/format';
import { packName } from '../../../vault/format/pack-names';
import { commitRun, openRun, sealRun } from '../../../vault/run';
import type { DiskTree, VaultAccess } from '../../../vault/format/tree';
import { makeManifest, runRequest } from '../../support/vault-manifests';
import { assertReferences, recount } from '../../support/vault-recount';
import { assertRestores, backUp, type Backup, makeVault, noise, SparseDisk, START_MS } from '../../support/vault-kit';

/** Of each data pack that the tree uses: the share of it that is live. */
async function liveShares(vault: VaultAccess, tree: DiskTree): Promise<Map<string, { share: number; sizeBytes: number }>> {
  const live = new Map<string, number>();
  for (const { data } of (await recount(vault, tree)).regions.values()) for (const [pack, { bytes }] of data) live.set(pack, (live.get(pack) ?? 0) + bytes);
  const shares = new Map<string, { share: number; sizeBytes: number }>();
  for (const [pack, bytes] of live) {
    const info = await vault.store.stat(packName(PackKind.data, pack));
    assert.ok(info, `pack ${pack} is there`);
    shares.set(pack, { share: bytes / info.sizeBytes, sizeBytes: info.sizeBytes });
  }
  return shares;
}

const isSparse = ({ share, sizeBytes }: { share: number; sizeBytes: number }): boolean => share < SPARSE_BELOW && sizeBytes >= MIN_SPARSE_PACK_BYTES;

describe('copying sparse packs forward', () => {
  it('what is live of a sparse pack is copied from the vault and not from the source, the old recovery point stays as it is, and nothing refers to the pack any more', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(2 * WINDOW_BYTES);
    await disk.write(noise(400 * BLOCK_BYTES, 1), 0);
    const first = await backUp(vault, disk);
    const before = disk.snapshot();
    await disk.write(noise(340 * BLOCK_BYTES, 2), 0);
    const second = await backUp(vault, disk, { parent: first.tree, changed: [{ offset: 0, length: 340 * BLOCK_BYTES }], lookOver: {} });
    const sparse = [...await liveShares(vault, second.tree)].filter(([, one]) => isSparse(one)).map(([pack]) => pack);
    assert.equal(sparse.length, 1);
    disk.readBytes = 0;
    const third = await backUp(vault, disk, { parent: second.tree, changed: [], lookOver: {} });
    assert.equal(disk.readBytes, 0, 'the source is not read');
    assert.ok(third.stats.forwardedChunks > 0 && third.stats.newChunks === 0 && third.stats.changedBytes === 0);
    assert.equal((await recount(vault, third.tree)).regions.get(0)?.data.has(sparse[0] as string), false);
    await assertReferences(vault, third.folder, second.tree, third.tree);
    await assertRestores(vault, third.tree, disk);
    await assertRestores(vault, first.tree, before);
    const fourth = await backUp(vault, disk, { parent: third.tree, changed: [], lookOver: {} });
    assert.deepEqual(fourth.root, third.root, 'nothing is left to copy');
  });

  it('any row of changes: equal content, right usage and references, bounded copying, and in the end no sparse pack', async () => {
    const change = fc.record({ window: fc.nat(1), block: fc.nat(250), blocks: fc.integer({ min: 1, max: 200 }), seed: fc.integer({ min: 10, max: 10_000 }), zero: fc.boolean() });
    await fc.assert(fc.asyncProperty(fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 5 }), async (runs) => {
      const vault = makeVault();
      const disk = new SparseDisk(2 * WINDOW_BYTES);
      await disk.write(noise(400 * BLOCK_BYTES, 3), 0);
      await disk.write(noise(300 * BLOCK_BYTES, 4), WINDOW_BYTES);
      let last: Backup = await backUp(vault, disk);
      const kept: [DiskTree, SparseDisk][] = [[last.tree, disk.snapshot()]];
      const next = async (changed: { offset: number; length: number }[], turn: number): Promise<void> => {
        const made = await backUp(vault, disk, { parent: last.tree, changed, lookOver: { turn } });
        await assertRestores(vault, made.tree, disk);
        await assertReferences(vault, made.folder, last.tree, made.tree);
        assert.ok(made.stats.forwardedBytes <= MAX_FORWARD_BYTES);
        last = made;
      };
      for (const [turn, changes] of runs.entries()) {
        for (const { window, block, blocks, seed, zero } of changes) await disk.write(zero ? Buffer.alloc(blocks * BLOCK_BYTES) : noise(blocks * BLOCK_BYTES, seed), window * WINDOW_BYTES + block * BLOCK_BYTES);
        await next(changes.map(({ window, block, blocks }) => ({ offset: window * WINDOW_BYTES + block * BLOCK_BYTES, length: blocks * BLOCK_BYTES })), turn);
        kept.push([last.tree, disk.snapshot()]);
      }
      for (let quiet = 0; quiet < 3; quiet++) await next([], quiet);
      for (const [pack, one] of await liveShares(vault, last.tree)) assert.ok(!isSparse(one), `pack ${pack} of ${one.sizeBytes} bytes is used to ${one.share}`);
      for (const [tree, was] of kept) await assertRestores(vault, tree, was, 'an earlier recovery point');
    }), { numRuns: 12 });
  });

  it('fault 36: a chunk that is to be copied and does not prove is read from the source instead, and its pack is entered in the ledger', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(WINDOW_BYTES);
    await disk.write(noise(400 * BLOCK_BYTES, 1), 0);
    const first = await backUp(vault, disk);
    await disk.write(noise(340 * BLOCK_BYTES, 2), 0);
    const second = await backUp(vault, disk, { parent: first.tree, changed: [{ offset: 0, length: 340 * BLOCK_BYTES }] });
    const [pack] = [...await liveShares(vault, second.tree)].filter(([, one]) => isSparse(one)).map(([id]) => id);
    assert.ok(pack);
    const bytes = await vault.store.read(packName(PackKind.data, pack));
    await vault.store.delete(packName(PackKind.data, pack));
    await vault.store.create(packName(PackKind.data, pack), Buffer.from(bytes.map((byte, at) => (at % 500 === 99 ? byte ^ 1 : byte))));
    const third = await backUp(vault, disk, { parent: second.tree, changed: [], lookOver: {} });
    assert.deepEqual([...await damagedPacks(vault)], [pack]);
    assert.equal(third.stats.healedWindows, 1);
    await assertRestores(vault, third.tree, disk);
    await assertReferences(vault, third.folder, second.tree, third.tree);
  });

  it('a pack that is sparse here because its chunks were taken over from another item is left alone while that item uses it', async () => {
    const vault = makeVault();
    const lender = new SparseDisk(WINDOW_BYTES);
    const lenderBytes = noise(8_000 * BLOCK_BYTES, 1);
    await lender.write(lenderBytes, 0);
    const run = await openRun(vault, runRequest('owner'));
    const lent = await backUp(vault, lender, { folder: 'references/item/0000000001/0-0' });
    await sealRun(vault, run, makeManifest(run, 'lender', lent.tree));
    await commitRun(vault, run, START_MS);
    const disk = new SparseDisk(WINDOW_BYTES);
    // Enough of the beginning that a hook is met, and then a little of each later pack.
    await disk.write(lenderBytes.subarray(0, 1_500 * BLOCK_BYTES), 0);
    for (const block of [2_500, 4_500, 6_500]) await disk.write(lenderBytes.subarray(block * BLOCK_BYTES, (block + 300) * BLOCK_BYTES), block * BLOCK_BYTES);
    const first = await backUp(vault, disk, { champions: [lent.tree] });
    const borrowed = [...await liveShares(vault, first.tree)].filter(([, one]) => isSparse(one));
    assert.ok(borrowed.length > 0, 'some chunks were taken over');
    const second = await backUp(vault, disk, { parent: first.tree, changed: [], lookOver: { lenders: ['item'] } });
    assert.deepEqual(second.root, first.root);
    const third = await backUp(vault, disk, { parent: first.tree, changed: [], lookOver: { lenders: [] } });
    assert.ok(third.stats.forwardedChunks > 0, 'without the lender it would be copied');
  });

  it('of a disk with more regions than one run looks at, each has its turn', () => {
    const regions = Array.from({ length: 3 * MAX_SURVEYED_REGIONS + 5 }, (_, index) => index * 2);
    const seen = new Set<number>();
    for (let turn = 0; turn < 60; turn++) {
      const now = regionsOfTurn(regions, turn);
      assert.equal(now.length, MAX_SURVEYED_REGIONS);
      for (const region of now) seen.add(region);
    }
    assert.deepEqual([...seen].sort((a, b) => a - b), regions);
    assert.deepEqual(regionsOfTurn([4, 7], 3), [4, 7]);
  });
});
