import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { DiskRange } from '../../../vault/transfer/block-source';
import { ChunkCutter, type Piece } from '../../../vault/transfer/chunk-cutter';
import { BLOCK_BYTES, CUT_BELOW, WINDOW_BYTES } from '../../../vault/format/format';
import { LeafMap } from '../../../vault/format/leaf-map';
import type { LeafEntry } from '../../../vault/format/nodes';
import { changedBlocks, planSpans } from '../../../vault/transfer/window-plan';
import { type Content, contentArbitrary, contentBytes, noise, refOf } from '../../support/vault-kit';

/** CRC-32 bit by bit, started as zlib starts it. */
function slowCrc(block: Buffer, start: number): number {
  let crc = ~start >>> 0;
  for (const byte of block) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** Format §7.1 word for word, with the whole window in sight. */
function plainModel(blocks: readonly Buffer[], seed: number): Piece[] {
  const isZero = (block: Buffer | undefined): boolean => block !== undefined && block.every((byte) => byte === 0);
  const pieces: Piece[] = [];
  for (let at = 0; at < blocks.length;) {
    let end = at + 1;
    const zero = isZero(blocks[at]);
    if (zero) while (end < blocks.length && isZero(blocks[end])) end++;
    else {
      const ends = (): boolean => end === blocks.length || isZero(blocks[end]) || end - at === 64
        || (end - at >= 4 && slowCrc(blocks[end - 1] as Buffer, seed) < 330_382_099);
      while (!ends()) end++;
    }
    pieces.push({ blocks: end - at, zero });
    at = end;
  }
  return pieces;
}

function cut(blocks: readonly Buffer[], seed: number): Piece[] {
  const pieces: Piece[] = [];
  const cutter = new ChunkCutter(seed);
  for (const block of blocks) cutter.next(block, (piece) => pieces.push(piece));
  cutter.end((piece) => pieces.push(piece));
  return pieces;
}

describe('chunk cutter', () => {
  it('knows the number that the document gives', () => assert.equal(CUT_BELOW, 330_382_099));

  it('cuts as the document says', () => {
    const runs = fc.array(fc.record({ content: fc.option(contentArbitrary, { nil: null }), blocks: fc.integer({ min: 1, max: 40 }) }), { maxLength: 8 });
    fc.assert(fc.property(runs, fc.nat(0xffffffff), (parts, seed) => {
      const blocks = parts.flatMap(({ content, blocks: count }) => {
        const bytes = content ? contentBytes(content as Content, count * BLOCK_BYTES) : Buffer.alloc(count * BLOCK_BYTES);
        return Array.from({ length: count }, (_, index) => bytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES));
      });
      assert.deepEqual(cut(blocks, seed), plainModel(blocks, seed));
    }), { numRuns: 25 });
  });

  it('ends a chunk after 64 blocks that never cut, and has no memory at a boundary', () => {
    const seed = 5;
    const dull = Array.from({ length: 1000 }, (_, index) => noise(BLOCK_BYTES, index)).filter((block) => slowCrc(block, seed) >= CUT_BELOW).slice(0, 1) as [Buffer];
    const blocks = Array.from({ length: 130 }, () => dull[0]);
    assert.deepEqual(cut(blocks, seed).map((piece) => piece.blocks), [64, 64, 2]);
    assert.deepEqual(cut(blocks.slice(64), seed).map((piece) => piece.blocks), [64, 2]);
  });

  it('does not take a block for zeros because its checksum is that of zeros', () => {
    // CRC-32 is linear: this pattern has the checksum of nothing added, whatever the seed.
    const block = Buffer.alloc(BLOCK_BYTES);
    block.writeUInt32LE(1, 0);
    const forged = forgeCrc(block, slowCrc(Buffer.alloc(BLOCK_BYTES), 9), 9);
    assert.equal(slowCrc(forged, 9), slowCrc(Buffer.alloc(BLOCK_BYTES), 9));
    assert.deepEqual(cut([forged], 9), [{ blocks: 1, zero: false }]);
  });
});

/** Chooses the last four bytes so that the checksum is `wanted`: runs the register backwards over them. */
function forgeCrc(block: Buffer, wanted: number, start: number): Buffer {
  const out = Buffer.from(block);
  let register = ~wanted >>> 0;
  for (let bit = 0; bit < 32; bit++) register = register & 0x80000000 ? (((register ^ 0xedb88320) << 1) | 1) >>> 0 : (register << 1) >>> 0;
  const before = ~slowCrc(out.subarray(0, BLOCK_BYTES - 4), start) >>> 0;
  out.writeUInt32LE((register ^ before) >>> 0, BLOCK_BYTES - 4);
  return out;
}

const entriesArbitrary = fc.array(fc.record({ blocks: fc.integer({ min: 1, max: 64 }), zero: fc.boolean() }), { minLength: 1, maxLength: 30 })
  .map((parts): LeafEntry[] => parts.filter((part, index) => !(part.zero && parts[index - 1]?.zero)).map(({ blocks, zero }, index) => ({ blocks, chunk: zero ? null : refOf('aa'.repeat(16), Buffer.alloc(32, index)) })));

describe('window plan', () => {
  const blockCount = 600;
  const ranges = fc.array(fc.record({ offset: fc.nat(4 * WINDOW_BYTES), length: fc.nat(300 * BLOCK_BYTES) }), { maxLength: 12 });

  it('changedBlocks names exactly the blocks that a range touches, in rows that do not touch', () => {
    fc.assert(fc.property(fc.nat(3), ranges, (window, all) => {
      const touched = new Set<number>();
      const near = all.map((range): DiskRange => ({ ...range, offset: (range.offset % (700 * BLOCK_BYTES)) + window * WINDOW_BYTES - 50 * BLOCK_BYTES })).filter(({ offset, length }) => offset >= 0 && length > 0);
      for (const { offset, length } of near) {
        for (let block = 0; block < blockCount; block++) {
          const start = window * WINDOW_BYTES + block * BLOCK_BYTES;
          if (offset < start + BLOCK_BYTES && offset + length > start) touched.add(block);
        }
      }
      const got = changedBlocks(window, blockCount, near);
      const listed = got.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, index) => start + index));
      assert.deepEqual(listed, [...touched].sort((a, b) => a - b));
      for (const [index, { start }] of got.entries()) if (index > 0) assert.ok(start > (got[index - 1] as { end: number }).end);
    }), { numRuns: 200 });
  });

  it('spans begin at a boundary, cover every change with its entry, follow each other, and start before a chunk that only zeros ended', () => {
    fc.assert(fc.property(entriesArbitrary, ranges, (entries, all) => {
      const total = entries.reduce((sum, { blocks }) => sum + blocks, 0);
      const parent = new LeafMap({ window: 0, entries }, total);
      const changed = changedBlocks(0, total, all.map(({ offset, length }) => ({ offset: offset % (total * BLOCK_BYTES), length })));
      const spans = planSpans(parent, changed);
      let last = -1;
      for (const { start, changedEnd, plannedEnd } of spans) {
        assert.ok(parent.isBoundary(start) && start > last && changedEnd <= plannedEnd && plannedEnd <= total);
        assert.ok(parent.isBoundary(plannedEnd));
        last = plannedEnd;
      }
      for (const { start, end } of changed) {
        const span = spans.find((one) => one.start <= start && one.changedEnd >= end);
        assert.ok(span, `the change ${start}-${end} is in no span`);
        const index = parent.indexAt(start);
        if (parent.entries[index]?.chunk === null && parent.starts[index] === start && index > 0) assert.ok(span.start < start, 'the chunk before is cut anew');
        if (parent.entries[index]?.chunk) assert.ok(span.start <= (parent.starts[index] as number));
      }
    }), { numRuns: 300 });
  });
});
