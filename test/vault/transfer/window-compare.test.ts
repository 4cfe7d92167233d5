import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isHoldfastError } from '../../../errors/holdfast-error';
import type { BlockSink } from '../../../vault/transfer/block-sink';
import { BLOCK_BYTES, WINDOW_BLOCKS, WINDOW_BYTES } from '../../../vault/format/format';
import { refToJson } from '../../../vault/format/ref-json';
import type { LaneCompareResult } from '../../../vault/transfer/transfer-lane';
import { type DiskTree, leafRefs, regionsOf, type VaultAccess } from '../../../vault/format/tree';
import { windowCount } from '../../../vault/transfer/window-blocks';
import { applyWrites, assertSameDisk, backUp, diskWriteArbitrary, makeVault, noise, SparseDisk, withLane } from '../../support/vault-kit';

async function compareAll(vault: VaultAccess, tree: DiskTree, target: SparseDisk, sink: BlockSink | null): Promise<LaneCompareResult[]> {
  const leaves = new Map<number, ReturnType<typeof refToJson>>();
  for await (const region of regionsOf(vault, tree)) for (const [window, ref] of leafRefs(region)) leaves.set(window, refToJson(ref));
  return withLane(vault, { source: target, ...(sink ? { sink } : {}) }, async ([lane]) => {
    const results: LaneCompareResult[] = [];
    for (let window = 0; window < windowCount(tree.sizeBytes); window++) {
      const result = await lane?.compare({ window, leaf: leaves.get(window) ?? null, diskBytes: tree.sizeBytes, patch: sink !== null });
      if (result) results.push(result);
    }
    return results;
  });
}

const sum = (results: readonly LaneCompareResult[], key: 'comparedBytes' | 'differingBytes' | 'writtenBytes'): number => results.reduce((total, one) => total + one[key], 0);

describe('a target compared with a recovery point', () => {
  it('reads everything and writes nothing where nothing differs', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(WINDOW_BYTES + 5 * BLOCK_BYTES + 512);
    await disk.write(noise(3 * 1024 * 1024, 1), BLOCK_BYTES);
    await disk.write(noise(512, 2), disk.sizeBytes - 512);
    const { tree } = await backUp(vault, disk);
    const sink: BlockSink = { write: () => Promise.reject(new Error('nothing is to be written')), close: () => Promise.resolve() };
    const results = await compareAll(vault, tree, disk.snapshot(), sink);
    assert.deepEqual([sum(results, 'comparedBytes'), sum(results, 'differingBytes')], [disk.sizeBytes, 0]);
  });

  it('finds one other byte in a chunk and one in zeros, and says so without a sink', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(WINDOW_BYTES);
    await disk.write(noise(1024 * 1024, 1), 0);
    const { tree } = await backUp(vault, disk);
    for (const offset of [70_000, 40 * 1024 * 1024 + 3]) {
      const target = disk.snapshot();
      await target.write(Buffer.from([1, 2, 3]), offset);
      const results = await compareAll(vault, tree, target, null);
      assert.ok(sum(results, 'differingBytes') > 0 && sum(results, 'differingBytes') <= 256 * 1024);
      assert.equal(sum(results, 'writtenBytes'), 0);
    }
  });

  it('36: fails loudly where what was written does not read back', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(WINDOW_BYTES);
    await disk.write(noise(1024 * 1024, 1), 0);
    const { tree } = await backUp(vault, disk);
    const loses: BlockSink = { write: () => Promise.resolve(), close: () => Promise.resolve() };
    await assert.rejects(compareAll(vault, tree, new SparseDisk(WINDOW_BYTES), loses), (error: unknown) => isHoldfastError(error, 'TARGET_NOT_VERIFIED') && error.data.offset === 0);
  });

  it('makes any target equal to any disk, and writes about as much as differs', async function () {
    this.timeout(120_000);
    await fc.assert(fc.asyncProperty(fc.array(diskWriteArbitrary, { maxLength: 8 }), fc.array(diskWriteArbitrary, { maxLength: 5 }), fc.integer({ min: 1, max: 8 }), async (first, changes, sectors) => {
      const vault = makeVault();
      const disk = new SparseDisk((WINDOW_BLOCKS + 50) * BLOCK_BYTES + sectors * 512);
      await applyWrites(disk, first);
      const { tree } = await backUp(vault, disk);
      const target = disk.snapshot();
      const changedBytes = await applyWrites(target, changes);
      const results = await compareAll(vault, tree, target, target);
      assertSameDisk(target, disk, 'patched');
      // A change is written by whole chunks: at most one more at either end.
      assert.ok(sum(results, 'writtenBytes') <= changedBytes + changes.length * 2 * 64 * BLOCK_BYTES);
      assert.equal(sum(await compareAll(vault, tree, target, null), 'differingBytes'), 0);
    }), { numRuns: 12 });
  });
});
