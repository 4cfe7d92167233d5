import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { BLOCK_BYTES, REGION_BYTES, WINDOW_BYTES } from '../../../vault/format/format';
import { readRange } from '../../../vault/transfer/read-range';
import { createFaultStore } from '../../support/fault-store';
import { backUp, makeVault, noise, SparseDisk } from '../../support/vault-kit';

const MiB = 1024 * 1024;
/** Two regions, the second of two windows; its end is no multiple of a block. */
const DISK_BYTES = REGION_BYTES + WINDOW_BYTES + 5 * BLOCK_BYTES + 512;
/** Around which there is content, and at which ranges begin and end. */
const PLACES = [0, WINDOW_BYTES, 7 * WINDOW_BYTES + 3 * MiB, REGION_BYTES - WINDOW_BYTES, REGION_BYTES, REGION_BYTES + WINDOW_BYTES, DISK_BYTES];

async function makeDisk() {
  const disk = new SparseDisk(DISK_BYTES);
  for (const [index, place] of PLACES.entries()) {
    const from = Math.max(0, place - 200_000);
    await disk.write(noise(Math.min(DISK_BYTES, place + 150_000) - from, index + 1), from);
  }
  const vault = makeVault();
  return { disk, vault, tree: (await backUp(vault, disk)).tree };
}

describe('a range of a disk in the vault', () => {
  it('reads as on the disk, wherever it begins and ends', async function () {
    this.timeout(60_000);
    const { disk, vault, tree } = await makeDisk();
    const range = fc.tuple(fc.constantFrom(...PLACES), fc.integer({ min: -300_000, max: 300_000 }), fc.integer({ min: 1, max: 600_000 }))
      .map(([place, shift, length]) => ({ offset: Math.min(Math.max(0, place + shift), DISK_BYTES - 1), length })).map(({ offset, length }) => ({ offset, length: Math.min(length, DISK_BYTES - offset) }));
    await fc.assert(fc.asyncProperty(range, async ({ offset, length }) => {
      const want = Buffer.alloc(length);
      await disk.readInto(want, offset);
      assert.ok((await readRange(vault, tree, offset, length)).equals(want), `${length} bytes at ${offset}`);
    }), { seed: Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31), numRuns: 60 });
    assert.ok((await readRange(vault, { root: null, sizeBytes: MiB }, 5, 100)).equals(Buffer.alloc(100)), 'a disk of zeros has no tree');
  });

  it('takes no more out of the vault than the chunks that it touches, and fails where one of them is damaged', async () => {
    const { vault, tree } = await makeDisk();
    const store = createFaultStore(vault.store);
    let bytes = 0;
    const counting = { ...store, read: async (...args: Parameters<typeof store.read>) => { const data = await store.read(...args); if (args[0].includes('/data/')) bytes += data.length; return data; } };
    await readRange({ ...vault, store: counting }, tree, WINDOW_BYTES + 10, 10);
    assert.ok(bytes > 0 && bytes < 128 * 1024, `${bytes} bytes were read for 10`);
    store.plan({ operation: 'read', matching: /packs\/data/, fault: { kind: 'corrupt' } });
    await assert.rejects(readRange({ ...vault, store }, tree, WINDOW_BYTES + 10, 10), (error) => isHoldfastError(error, 'PACK_DAMAGED'));
    store.assertAllFired();
  });
});
