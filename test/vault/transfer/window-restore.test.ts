import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { HoldfastError, isHoldfastError } from '../../../errors/holdfast-error';
import { BLOCK_BYTES, PackKind, WINDOW_BYTES } from '../../../vault/format/format';
import { packName } from '../../../vault/format/pack-names';
import { refToJson } from '../../../vault/format/ref-json';
import { type DiskTree, leafRefs, regionsOf, type VaultAccess } from '../../../vault/format/tree';
import type { BlockSink } from '../../../vault/transfer/block-sink';
import { readDisk } from '../../../vault/transfer/read-disk';
import type { LaneReadJob } from '../../../vault/transfer/transfer-lane';
import { createFaultStore } from '../../support/fault-store';
import { assertSameDisk, backUp, makeVault, noise, SparseDisk, withLane } from '../../support/vault-kit';
import { windowEntries } from '../../support/vault-recount';

const PLAIN_BYTES = 1024 * 1024;

async function leafOf(vault: VaultAccess, tree: DiskTree): Promise<LaneReadJob['leaf']> {
  for await (const region of regionsOf(vault, tree)) for (const [, ref] of leafRefs(region)) return refToJson(ref);
  throw new Error('The tree has no leaf');
}

/** A window before and after its first block changed, and what it takes to read the later one beside the earlier. */
async function makeTwo() {
  const vault = makeVault();
  const disk = new SparseDisk(WINDOW_BYTES);
  await disk.write(noise(PLAIN_BYTES, 1), 0);
  const { tree: before } = await backUp(vault, disk);
  await disk.write(noise(BLOCK_BYTES, 2), 0);
  const { tree: after } = await backUp(vault, disk, { parent: before, changed: [{ offset: 0, length: BLOCK_BYTES }] });
  const job: LaneReadJob = { window: 0, diskBytes: disk.sizeBytes, leaf: await leafOf(vault, after), provedLeaf: await leafOf(vault, before) };
  return { vault, disk, before, after, job };
}

const read = (vault: VaultAccess, job: LaneReadJob, sink?: SparseDisk) => withLane(vault, { collectDamage: true, ...(sink ? { sink } : {}) }, ([lane]) => lane!.read(job));

describe('a window read beside a leaf that was proved', () => {
  it('takes only the chunks that the other one does not refer to', async () => {
    const { vault, before, after, job } = await makeTwo();
    const known = new Set((await windowEntries(vault, before)).get(0)?.map(({ chunk }) => chunk?.id.toString('hex')));
    const own = (await windowEntries(vault, after)).get(0)?.filter(({ chunk }) => chunk && !known.has(chunk.id.toString('hex'))) ?? [];
    const { chunks, plainBytes, damage } = await read(vault, job);
    assert.deepEqual([chunks, plainBytes, damage], [own.length, own.reduce((sum, { blocks }) => sum + blocks * BLOCK_BYTES, 0), []]);
    assert.ok(own.length > 0 && plainBytes < PLAIN_BYTES / 2);
    assert.equal((await read(vault, { ...job, provedLeaf: undefined })).plainBytes, PLAIN_BYTES);
  });

  it('gives a sink everything all the same', async () => {
    const { vault, disk, job } = await makeTwo();
    const sink = new SparseDisk(disk.sizeBytes);
    assert.equal((await read(vault, job, sink)).plainBytes, PLAIN_BYTES);
    assertSameDisk(sink, disk, 'restored');
  });

  it('believes a leaf that is damaged now nothing, and fails where it cannot be asked for', async () => {
    const { vault, job } = await makeTwo();
    const store = createFaultStore(vault.store);
    store.plan({ operation: 'read', matching: new RegExp(job.provedLeaf?.pack as string), fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(read({ ...vault, store }, job), (error) => isHoldfastError(error, 'STORE_UNREACHABLE'));
    store.assertAllFired();
    await vault.store.delete(packName(PackKind.meta, job.provedLeaf?.pack as string));
    const { plainBytes, damage } = await read(vault, job);
    assert.deepEqual([plainBytes, damage], [PLAIN_BYTES, []]);
  });
});

describe('the memory of a lane', () => {
  it('serves window after window, and what a failed write may still be read from is not used again', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(4 * WINDOW_BYTES);
    for (let window = 0; window < 4; window++) await disk.write(noise(8 * PLAIN_BYTES, 10 + window), window * WINDOW_BYTES);
    const { tree } = await backUp(vault, disk);
    const sink = new SparseDisk(disk.sizeBytes);
    const used: ArrayBufferLike[] = [];
    let failing = true;
    const recording: BlockSink = {
      async write(data, offset) {
        used.push(data.buffer);
        // Like a disk: what is written is taken from memory some time later.
        await setImmediate();
        if (failing) throw new HoldfastError('TARGET_WRITE_FAILED', 'The disk is full');
        await sink.write(data, offset);
      },
      close: () => Promise.resolve(),
    };
    await withLane(vault, { sink: recording }, async (lanes) => {
      await assert.rejects(readDisk(vault, lanes, tree), (error) => isHoldfastError(error, 'TARGET_WRITE_FAILED'));
      failing = false;
      const lost = new Set(used.splice(0));
      await readDisk(vault, lanes, tree);
      assert.ok(used.length >= 4 * 8 && new Set(used).size <= 5, `${new Set(used).size} buffers for ${used.length} writes`);
      assert.ok(lost.size > 0 && used.every((one) => !lost.has(one)));
    });
    assertSameDisk(sink, disk, 'restored');
  });
});
