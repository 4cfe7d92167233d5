import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { backupDisk } from '../../../vault/transfer/backup-disk';
import type { DiskRange } from '../../../vault/transfer/block-source';
import { BLOCK_BYTES, REGION_BYTES, WINDOW_BYTES } from '../../../vault/format/format';
import type { DiskTree, VaultAccess } from '../../../vault/format/tree';
import { assertNamed, assertReferences, chunkRows, recount } from '../../support/vault-recount';
import { assertRestores, backUp, type Content, contentArbitrary, contentBytes, makeVault, SparseDisk, withLane } from '../../support/vault-kit';

type Op =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: number; readonly content: Content }
  | { readonly kind: 'clear'; readonly at: number; readonly bytes: number }
  | { readonly kind: 'copy'; readonly from: number; readonly at: number; readonly bytes: number }
  | { readonly kind: 'resize'; readonly toBytes: number };

interface Step { readonly ops: readonly Op[]; readonly mode: 'exact' | 'wide' | 'compared' }

/** Positions near what may go wrong: the ends, segments of 512 blocks, and anywhere. */
const positionArbitrary = (sizeBytes: number): fc.Arbitrary<number> => fc.oneof(
  fc.nat(sizeBytes - 1),
  fc.nat(Math.ceil(sizeBytes / BLOCK_BYTES) - 1).map((block) => block * BLOCK_BYTES),
  fc.tuple(fc.nat(Math.floor(sizeBytes / (512 * BLOCK_BYTES))), fc.integer({ min: -3, max: 3 })).map(([segment, blocks]) => Math.max(0, (segment * 512 + blocks) * BLOCK_BYTES)),
  fc.nat(Math.min(sizeBytes - 1, 8 * BLOCK_BYTES)).map((back) => sizeBytes - 1 - back),
);
const lengthArbitrary = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 100 }).map((blocks) => blocks * BLOCK_BYTES) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 * BLOCK_BYTES }) },
  { weight: 1, arbitrary: fc.integer({ min: 400, max: 700 }).map((blocks) => blocks * BLOCK_BYTES) },
);

const stepsArbitrary = (sizes: fc.Arbitrary<number>, maxSteps: number): fc.Arbitrary<{ sizeBytes: number; steps: Step[] }> => sizes.chain((sizeBytes) => {
  const at = positionArbitrary(sizeBytes);
  const op: fc.Arbitrary<Op> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), at, bytes: lengthArbitrary, content: contentArbitrary }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('clear' as const), at, bytes: lengthArbitrary }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('copy' as const), from: at, at, bytes: lengthArbitrary }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('resize' as const), toBytes: sizes }) },
  );
  const step = fc.record({ ops: fc.array(op, { minLength: 0, maxLength: 5 }), mode: fc.constantFrom('exact', 'exact', 'wide', 'compared') }) as fc.Arbitrary<Step>;
  return fc.record({ sizeBytes: fc.constant(sizeBytes), steps: fc.array(step, { minLength: 2, maxLength: maxSteps }) });
});

async function apply(disk: SparseDisk, op: Op): Promise<DiskRange | null> {
  if (op.kind === 'resize') {
    disk.resize(op.toBytes);
    return null;
  }
  const length = Math.min(op.bytes, disk.sizeBytes - op.at);
  if (length <= 0) return null;
  let data = Buffer.alloc(length);
  if (op.kind === 'write') data = Buffer.from(contentBytes(op.content, length));
  if (op.kind === 'copy') await disk.readInto(data.subarray(0, Math.max(0, Math.min(length, disk.sizeBytes - op.from))), Math.min(op.from, disk.sizeBytes));
  await disk.write(data, op.at);
  return { offset: op.at, length };
}

/** Ranges that say too much, as a provider with a coarse grid does. */
const widen = (range: DiskRange, sizeBytes: number): DiskRange => {
  const grid = 64 * 1024;
  const start = Math.floor(range.offset / grid) * grid;
  return { offset: start, length: Math.min(sizeBytes, Math.ceil((range.offset + range.length) / grid) * grid + grid) - start };
};

async function live(vault: VaultAccess, sizeBytes: number, steps: readonly Step[]): Promise<void> {
  const disk = new SparseDisk(sizeBytes);
  const history: { tree: DiskTree; content: SparseDisk }[] = [];
  let parent: DiskTree | null = null;
  for (const { ops, mode } of steps) {
    const ranges: DiskRange[] = [];
    for (const op of ops) {
      const range = await apply(disk, op);
      if (range) ranges.push(range);
    }
    const changed: DiskRange[] | null = mode === 'compared' ? null : ranges.map((range) => (mode === 'wide' ? widen(range, disk.sizeBytes) : range))
      .filter(({ offset, length }) => offset + length <= disk.sizeBytes);
    const made = await backUp(vault, disk, { parent, changed });
    await assertRestores(vault, made.tree, disk, `after ${mode}`);
    await assertReferences(vault, made.folder, parent, made.tree);
    await assertNamed(vault, made.folder, made.history);
    const full = await backUp(vault, disk);
    assert.deepEqual(await chunkRows(vault, made.tree), await chunkRows(vault, full.tree), 'the rule of chunks depends on content only');
    history.push({ tree: made.tree, content: disk.snapshot() });
    parent = made.tree;
  }
  for (const [index, { tree, content }] of history.entries()) await assertRestores(vault, tree, content, `earlier recovery point ${index}`);
}

describe('backup of a disk, as a property', () => {
  const small = fc.oneof(fc.integer({ min: 1, max: 40 * BLOCK_BYTES }), fc.integer({ min: 1, max: 1400 }).map((blocks) => blocks * BLOCK_BYTES), fc.integer({ min: 1, max: 1400 * BLOCK_BYTES }));
  const nearWindows = fc.tuple(fc.constantFrom(1, 1, 2), fc.integer({ min: -3, max: 3 }), fc.constantFrom(0, 0, 512, -1))
    .map(([windows, blocks, bytes]) => windows * WINDOW_BYTES + blocks * BLOCK_BYTES + bytes);

  it('every recovery point of a small disk reads back, and so do the earlier ones; trees equal full ones; records equal a recount', async () => {
    await fc.assert(fc.asyncProperty(stepsArbitrary(small, 5), async ({ sizeBytes, steps }) => live(makeVault(), sizeBytes, steps)), { numRuns: 30 });
  });

  it('the same of disks around the ends of windows', async () => {
    await fc.assert(fc.asyncProperty(stepsArbitrary(nearWindows, 3), async ({ sizeBytes, steps }) => live(makeVault(), sizeBytes, steps)), { numRuns: 4 });
  });

  it('a last window that grows or shrinks by zeros alone gets a leaf of its own size', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(100 * BLOCK_BYTES);
    await disk.write(contentBytes({ kind: 'noise', seed: 1 }, 5 * BLOCK_BYTES), 10 * BLOCK_BYTES);
    let parent = await backUp(vault, disk);
    for (const blocks of [200, 150, 150.5, 151, 16, 15]) {
      disk.resize(blocks * BLOCK_BYTES);
      parent = await backUp(vault, disk, { parent: parent.tree });
      await assertRestores(vault, parent.tree, disk, `at ${blocks} blocks`);
    }
  });

  it('a disk of several regions: changes in each, zeros again, and shrinking gives up what lay beyond the end', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(2 * REGION_BYTES + WINDOW_BYTES + 512);
    const zero: DiskTree = { root: null, sizeBytes: disk.sizeBytes };
    const places = [0, REGION_BYTES - BLOCK_BYTES, REGION_BYTES + WINDOW_BYTES, 2 * REGION_BYTES - 5 * BLOCK_BYTES, disk.sizeBytes - 700];
    const changed: DiskRange[] = [];
    for (const [seed, at] of places.entries()) {
      const data = contentBytes({ kind: 'noise', seed }, Math.min(9 * BLOCK_BYTES, disk.sizeBytes - at));
      await disk.write(data, at);
      changed.push({ offset: at, length: data.length });
    }
    const first = await backUp(vault, disk, { parent: zero, changed });
    await assertRestores(vault, first.tree, disk);
    assert.deepEqual([...(await recount(vault, first.tree)).regions.keys()], [0, 1, 2]);
    await assertReferences(vault, first.folder, null, first.tree);
    await assertNamed(vault, first.folder, first.history);
    const before = disk.snapshot();

    await disk.write(Buffer.alloc(20 * BLOCK_BYTES), REGION_BYTES + WINDOW_BYTES);
    await disk.write(Buffer.alloc(10 * BLOCK_BYTES), 2 * REGION_BYTES - 5 * BLOCK_BYTES);
    const second = await backUp(vault, disk, { parent: first.tree, changed: [{ offset: REGION_BYTES + WINDOW_BYTES, length: 20 * BLOCK_BYTES }, { offset: 2 * REGION_BYTES - 5 * BLOCK_BYTES, length: 10 * BLOCK_BYTES }] });
    await assertRestores(vault, second.tree, disk);
    await assertReferences(vault, second.folder, first.tree, second.tree);
    await assertNamed(vault, second.folder, second.history);

    disk.resize(WINDOW_BYTES / 16 + 300);
    const third = await backUp(vault, disk, { parent: second.tree });
    assert.equal(third.mode, 'compared');
    await assertRestores(vault, third.tree, disk);
    await assertReferences(vault, third.folder, second.tree, third.tree);
    await assertNamed(vault, third.folder, third.history);
    await assertRestores(vault, first.tree, before);
  });

  it('reads only what changed, and nothing when nothing did', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(3 * WINDOW_BYTES);
    await disk.write(contentBytes({ kind: 'noise', seed: 3 }, 300 * BLOCK_BYTES), WINDOW_BYTES - 100 * BLOCK_BYTES);
    const first = await backUp(vault, disk);
    const none = await backUp(vault, disk, { parent: first.tree, changed: [] });
    assert.deepEqual(none.root, first.root);
    assert.equal(none.stats.readBytes, 0);
    const offset = WINDOW_BYTES + 7 * BLOCK_BYTES;
    await disk.write(contentBytes({ kind: 'noise', seed: 4 }, BLOCK_BYTES), offset);
    const changed = await backUp(vault, disk, { parent: first.tree, changed: [{ offset, length: BLOCK_BYTES }] });
    assert.ok(changed.stats.readBytes <= 512 * BLOCK_BYTES && changed.stats.windows === 1, `${changed.stats.readBytes} bytes were read`);
    await assertRestores(vault, changed.tree, disk);
  });

  // A chunk of the parent that is found again unchanged is not cut anew, but what ended it must be there too.
  for (const [what, at] of [['in the middle of a segment', 100], ['at the end of a segment', 254], ['at the start of the window', 0]] as const) {
    it(`compared: a chunk that only zeros ended grows when they go, ${what}`, async () => {
      const vault = makeVault();
      const disk = new SparseDisk(700 * BLOCK_BYTES);
      await disk.write(contentBytes({ kind: 'noise', seed: 5 }, 2 * BLOCK_BYTES), at * BLOCK_BYTES);
      await disk.write(contentBytes({ kind: 'noise', seed: 6 }, 40 * BLOCK_BYTES), 400 * BLOCK_BYTES);
      const first = await backUp(vault, disk);
      await disk.write(contentBytes({ kind: 'noise', seed: 7 }, BLOCK_BYTES), (at + 2) * BLOCK_BYTES);
      const second = await backUp(vault, disk, { parent: first.tree });
      await assertRestores(vault, second.tree, disk);
      assert.deepEqual(await chunkRows(vault, second.tree), await chunkRows(vault, (await backUp(vault, disk)).tree));
      assert.notDeepEqual(await chunkRows(vault, second.tree), await chunkRows(vault, first.tree));
      await disk.write(Buffer.alloc(BLOCK_BYTES), (at + 1) * BLOCK_BYTES);
      const third = await backUp(vault, disk, { parent: second.tree });
      assert.deepEqual(await chunkRows(vault, third.tree), await chunkRows(vault, (await backUp(vault, disk)).tree));
    });
  }

  it('takes up a chunk that lies elsewhere in the window instead of storing it again', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(400 * BLOCK_BYTES);
    const file = contentBytes({ kind: 'noise', seed: 9 }, 100 * BLOCK_BYTES);
    await disk.write(file, 0);
    const first = await backUp(vault, disk);
    await disk.write(file, 200 * BLOCK_BYTES);
    const second = await backUp(vault, disk, { parent: first.tree, changed: [{ offset: 200 * BLOCK_BYTES, length: file.length }] });
    assert.equal(second.stats.newChunks, 0);
    await assertRestores(vault, second.tree, disk);
  });

  for (const range of [{ offset: Number.NaN, length: 10 }, { offset: 0, length: Number.NaN }, { offset: 0.5, length: 1 }, { offset: -1, length: 2 }, { offset: 0, length: 4 * BLOCK_BYTES + 1 }, { offset: 2 ** 53, length: 1 }]) {
    it(`refuses the changed range ${range.offset}+${range.length} instead of losing it`, async () => {
      const vault = makeVault();
      const disk = new SparseDisk(4 * BLOCK_BYTES);
      await assert.rejects(backUp(vault, disk, { parent: { root: null, sizeBytes: disk.sizeBytes }, changed: [range] }), (error) => isHoldfastError(error, 'RANGES_INVALID'));
    });
  }

  it('refuses a source of another size than the disk that is backed up, and a backup without any lane', async () => {
    const vault = makeVault();
    const disk = new SparseDisk(8 * BLOCK_BYTES);
    await disk.write(Buffer.alloc(BLOCK_BYTES, 1), 0);
    const request = { sizeBytes: 7 * BLOCK_BYTES, parent: null, changed: null, references: { folder: 'references/item/0000000001/0-0', lineage: '1.0', parentSequence: null } };
    await assert.rejects(withLane(vault, { source: disk }, (lanes) => backupDisk(vault, lanes, request)), (error) => isHoldfastError(error, 'SOURCE_CHANGED'));
    await assert.rejects(backupDisk(vault, [], request), (error) => isHoldfastError(error, 'INTERNAL'));
  });
});
