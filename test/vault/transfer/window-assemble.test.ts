import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isHoldfastError } from '../../../errors/holdfast-error';
import type { BlockSource, DiskRange } from '../../../vault/transfer/block-source';
import { BLOCK_BYTES, WINDOW_BLOCKS, WINDOW_BYTES } from '../../../vault/format/format';
import { refToJson } from '../../../vault/format/ref-json';
import type { LaneAssembleResult } from '../../../vault/transfer/transfer-lane';
import { type DiskTree, leafRefs, regionsOf, type VaultAccess } from '../../../vault/format/tree';
import { applyWrites, assertSameDisk, backUp, diskWriteArbitrary, makeVault, noise, SparseDisk, withLane } from '../../support/vault-kit';

const MiB = 1024 * 1024;

/** A new disk whose service copies out of others, and that counts what comes which way. `breaks` may throw before a copy or a write. */
class NewDisk extends SparseDisk {
  writtenBytes = 0;
  copiedBytes = 0;
  refuses = false;
  breaks: () => void = () => undefined;
  /** Puts something else than the source has. */
  garbles = false;

  override async write(data: Buffer, offset: number): Promise<void> {
    this.breaks();
    assert.ok(data.some((byte) => byte !== 0), 'zeros are not written');
    this.writtenBytes += data.length;
    await super.write(data, offset);
  }

  async copyFrom(source: BlockSource, ranges: readonly DiskRange[]): Promise<boolean> {
    if (this.refuses) return false;
    for (const { offset, length } of ranges) {
      this.breaks();
      assert.ok(offset % 512 === 0 && length % 512 === 0 && offset + length <= source.sizeBytes, 'whole pages of the source');
      const bytes = Buffer.alloc(length);
      await source.readInto(bytes, offset);
      if (this.garbles) bytes[0] = (bytes[0] ?? 0) ^ 1;
      await super.write(bytes, offset);
      this.copiedBytes += length;
    }
    return true;
  }
}

async function assembleAll(vault: VaultAccess, tree: DiskTree, source: SparseDisk, sink: SparseDisk): Promise<LaneAssembleResult[]> {
  return withLane(vault, { source, sink }, async ([lane]) => {
    const results: LaneAssembleResult[] = [];
    for await (const region of regionsOf(vault, tree)) {
      for (const [window, ref] of leafRefs(region)) {
        const result = await lane?.assemble({ window, leaf: refToJson(ref), diskBytes: tree.sizeBytes });
        if (result) results.push(result);
      }
    }
    return results;
  });
}

const sum = (results: readonly LaneAssembleResult[], key: 'copiedBytes' | 'writtenBytes' | 'refusedBytes'): number => results.reduce((total, one) => total + one[key], 0);

describe('a new disk assembled out of a present one and the vault', () => {
  let vault: VaultAccess;
  let disk: SparseDisk;
  let present: SparseDisk;
  let tree: DiskTree;
  beforeEach(async () => {
    vault = makeVault();
    disk = new SparseDisk(WINDOW_BYTES + 8 * MiB + 512);
    await disk.write(noise(6 * MiB, 1), 0);
    await disk.write(noise(2 * MiB, 2), WINDOW_BYTES - MiB);
    await disk.write(noise(512, 3), disk.sizeBytes - 512);
    ({ tree } = await backUp(vault, disk));
    present = disk.snapshot();
  });

  it('takes nothing from the vault where nothing differs, and leaves zeros alone', async () => {
    await present.write(noise(MiB, 8), 20 * MiB);
    const made = new NewDisk(disk.sizeBytes);
    const results = await assembleAll(vault, tree, present, made);
    assertSameDisk(made, disk, 'assembled');
    assert.equal(made.writtenBytes, 0);
    assert.deepEqual([sum(results, 'copiedBytes'), sum(results, 'writtenBytes'), sum(results, 'refusedBytes')], [made.copiedBytes, 0, 0]);
    assert.ok(made.copiedBytes >= 8 * MiB + 512);
  });

  it('writes what differs, and what a smaller disk or a service that refuses does not give', async () => {
    await present.write(noise(4096, 9), 2 * MiB + 5);
    present.resize(WINDOW_BYTES);
    for (const refuses of [false, true]) {
      const made = new NewDisk(disk.sizeBytes);
      made.refuses = refuses;
      const results = await assembleAll(vault, tree, present, made);
      assertSameDisk(made, disk, 'assembled');
      assert.equal(sum(results, 'writtenBytes'), made.writtenBytes);
      assert.equal(sum(results, 'copiedBytes'), made.copiedBytes);
      if (refuses) assert.ok(made.copiedBytes === 0 && sum(results, 'refusedBytes') > 6 * MiB);
      else assert.ok(made.copiedBytes > 6 * MiB && made.writtenBytes > MiB && made.writtenBytes < 2 * MiB && sum(results, 'refusedBytes') === 0, `${made.copiedBytes} ${made.writtenBytes}`);
    }
  });

  it('36: fails loudly where what was copied does not read back', async () => {
    const made = new NewDisk(disk.sizeBytes);
    made.garbles = true;
    await assert.rejects(assembleAll(vault, tree, present, made), (error: unknown) => isHoldfastError(error, 'TARGET_NOT_VERIFIED') && error.data.offset === 0);
  });

  it('6, 7: makes any disk out of any other, and a twin that breaks off after it was verified changes nothing', async function () {
    this.timeout(120_000);
    await fc.assert(fc.asyncProperty(fc.array(diskWriteArbitrary, { maxLength: 8 }), fc.array(diskWriteArbitrary, { maxLength: 5 }), fc.integer({ min: 1, max: 8 }), fc.nat(6), async (first, changes, sectors, steps) => {
      const other = makeVault();
      const wanted = new SparseDisk((WINDOW_BLOCKS + 50) * BLOCK_BYTES + sectors * 512);
      await applyWrites(wanted, first);
      const backup = await backUp(other, wanted);
      const now = wanted.snapshot();
      const changedBytes = await applyWrites(now, changes);
      const made = new NewDisk(wanted.sizeBytes);
      const results = await assembleAll(other, backup.tree, now, made);
      assertSameDisk(made, wanted, 'assembled');
      // A change is written by whole chunks: at most one more at either end.
      assert.ok(sum(results, 'writtenBytes') <= changedBytes + changes.length * 2 * 64 * BLOCK_BYTES);
      let left = steps;
      made.breaks = () => { if (left-- === 0) throw new Error('the twin died'); };
      await assembleAll(other, backup.tree, now, made).catch((error: Error) => assert.equal(error.message, 'the twin died'));
      assertSameDisk(made, wanted, 'after the twin');
    }), { numRuns: 12 });
  });
});
