import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { decodeInner, decodeLeaf, encodeInner, encodeLeaf, type InnerNode, type Leaf, type LeafEntry } from '../../../vault/format/nodes';
import { decodeHooks, encodeHooks, type HookRow } from '../../../vault/format/tree';
import type { BlobRef } from '../../../vault/format/blob';
import { refOf } from '../../support/vault-kit';

const PLAIN = { noNullPrototype: true };
const packArbitrary = fc.nat(6).map((n) => n.toString(16).padStart(32, 'c'));
const idArbitrary = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
const refArbitrary: fc.Arbitrary<BlobRef> = fc.record({ id: idArbitrary, pack: packArbitrary, offset: fc.nat(0xffffffff), length: fc.integer({ min: 30, max: 4096 }) }, PLAIN);
const leafArbitrary: fc.Arbitrary<Leaf> = fc.record({
  window: fc.nat(0xffffffff),
  entries: fc.array(fc.record({ blocks: fc.integer({ min: 1, max: 64 }), chunk: fc.option(refArbitrary, { nil: null }) }, PLAIN), { minLength: 1, maxLength: 20 })
    .map((entries): LeafEntry[] => entries.filter(({ chunk }, index) => chunk !== null || entries[index - 1]?.chunk !== null || index === 0)),
}, PLAIN);
const blocksOf = (leaf: Leaf): number => leaf.entries.reduce((sum, { blocks }) => sum + blocks, 0);
const innerArbitrary: fc.Arbitrary<InnerNode> = fc.record({
  level: fc.constantFrom(1 as const, 2 as const), index: fc.nat(1023), diskBytes: fc.nat(2 ** 46), hooks: fc.option(refArbitrary, { nil: null }),
  children: fc.uniqueArray(fc.tuple(fc.nat(1023), refArbitrary), { selector: ([number]) => number, maxLength: 20 }).map((rows) => new Map([...rows].sort(([a], [b]) => a - b))),
  usage: fc.uniqueArray(fc.tuple(packArbitrary, fc.record({ chunks: fc.integer({ min: 1, max: 2 ** 32 - 1 }), bytes: fc.integer({ min: 1, max: 2 ** 45 }) }, PLAIN)), { selector: ([pack]) => pack, maxLength: 5 }).map((rows) => new Map(rows)),
}, PLAIN);
const hooksArbitrary: fc.Arbitrary<HookRow[]> = fc.array(fc.tuple(fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('latin1')), fc.nat(1023)), { maxLength: 40 });

/** What a decoder may answer to anything at all: a value, or one of these errors. */
function bounded(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!isHoldfastError(error, 'NODE_DAMAGED') && !isHoldfastError(error, 'VAULT_NEWER_FORMAT')) throw error;
  }
}

const editArbitrary = fc.array(fc.record({ at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) }), { minLength: 1, maxLength: 4 });
function mutate(bytes: Buffer, edits: readonly { at: number; bytes: Uint8Array }[], keep: number): Buffer {
  const out = Buffer.from(bytes.subarray(0, Math.ceil(bytes.length * keep)));
  for (const { at, bytes: data } of edits) Buffer.from(data).copy(out, Math.floor(at * out.length));
  return out;
}
const keepArbitrary = fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true }));

describe('nodes', () => {
  it('leaves, inner nodes and hooks decode to what was encoded', () => {
    fc.assert(fc.property(leafArbitrary, (leaf) => assert.deepEqual(decodeLeaf(encodeLeaf(leaf), leaf.window, blocksOf(leaf)), leaf)));
    fc.assert(fc.property(innerArbitrary, (node) => assert.deepEqual(decodeInner(encodeInner(node), node.level, node.index, node.diskBytes), node)));
    fc.assert(fc.property(hooksArbitrary, (rows) => {
      const sorted = [...rows].sort(([a, w], [b, v]) => (a < b ? -1 : a > b ? 1 : w - v));
      assert.deepEqual(decodeHooks(encodeHooks(rows)), sorted);
    }));
  });

  it('random bytes are refused, with bounded memory and in bounded time', () => {
    const junk = fc.tuple(fc.constantFrom('', 'HFLF\x01\x00', 'HFIN\x01\x01', 'HFIN\x01\x02', 'HFHK\x01\x00\x00\x00'), fc.uint8Array({ maxLength: 300 })).map(([start, rest]) => Buffer.concat([Buffer.from(start, 'latin1'), rest]));
    fc.assert(fc.property(junk, (bytes) => {
      bounded(() => decodeLeaf(bytes, 0, 16_384));
      bounded(() => decodeInner(bytes, 1, 0, 1000));
      bounded(() => decodeInner(bytes, 2, 0, 1000));
      bounded(() => decodeHooks(bytes));
    }), { numRuns: 1000 });
  });

  it('threat 16: valid nodes that were changed decode or are refused, and nothing else', () => {
    fc.assert(fc.property(leafArbitrary, editArbitrary, keepArbitrary, (leaf, edits, keep) => bounded(() => {
      const got = decodeLeaf(mutate(encodeLeaf(leaf), edits, keep), leaf.window, blocksOf(leaf));
      assert.equal(blocksOf(got), blocksOf(leaf));
      for (const { blocks, chunk } of got.entries) if (chunk) assert.ok(chunk.length <= blocks * 4096 + 29 && blocks <= 64);
    })), { numRuns: 500 });
    fc.assert(fc.property(innerArbitrary, editArbitrary, keepArbitrary, (node, edits, keep) => bounded(() => decodeInner(mutate(encodeInner(node), edits, keep), node.level, node.index, node.diskBytes))), { numRuns: 500 });
    fc.assert(fc.property(hooksArbitrary, editArbitrary, keepArbitrary, (rows, edits, keep) => bounded(() => decodeHooks(mutate(encodeHooks(rows), edits, keep)))), { numRuns: 300 });
  });

  const leaf: Leaf = { window: 3, entries: [{ blocks: 4, chunk: refOf('ab'.repeat(16)) }, { blocks: 6, chunk: null }] };
  const edited = (edit: (bytes: Buffer) => void): Buffer => {
    const bytes = encodeLeaf(leaf);
    edit(bytes);
    return bytes;
  };
  const refusals: [string, () => unknown, RegExp][] = [
    ['a leaf of another window', () => decodeLeaf(encodeLeaf(leaf), 4, 10), /of window 3/],
    ['a leaf for another number of blocks', () => decodeLeaf(encodeLeaf(leaf), 3, 11), /cover 10 blocks of 11/],
    ['a node in place of a leaf', () => decodeLeaf(edited((bytes) => bytes.writeUInt8(1, 5)), 3, 10), /level is 1/],
    ['more entries than blocks', () => decodeLeaf(edited((bytes) => bytes.writeUInt32LE(16_385, 12)), 3, 10), /16385 entries/],
    ['a pack that is not listed', () => decodeLeaf(edited((bytes) => bytes.writeUInt16LE(1, 34)), 3, 10), /pack number 1 of 1/],
    ['an entry without blocks', () => decodeLeaf(edited((bytes) => bytes.writeUInt16LE(0, 32)), 3, 10), /has 0 blocks/],
    ['a chunk of too many blocks', () => decodeLeaf(edited((bytes) => bytes.writeUInt16LE(65, 32)), 3, 10), /has 65 blocks/],
    ['a blob too large for its blocks', () => decodeLeaf(edited((bytes) => bytes.writeUInt32LE(0xffffffff, 40)), 3, 10), /blob of 4294967295 bytes/],
    ['a blob without content', () => decodeLeaf(edited((bytes) => bytes.writeUInt32LE(29, 40)), 3, 10), /blob of 29 bytes/],
    ['neighbouring zero runs', () => decodeLeaf(encodeLeaf({ window: 3, entries: [{ blocks: 4, chunk: null }, { blocks: 6, chunk: null }] }), 3, 10), /zero run after another/],
    ['bytes after the end', () => decodeLeaf(Buffer.concat([encodeLeaf(leaf), Buffer.alloc(1)]), 3, 10), /1 bytes follow/],
    ['a leaf that is cut off', () => decodeLeaf(encodeLeaf(leaf).subarray(0, -1), 3, 10), /ends at/],
  ];
  const inner: InnerNode = { level: 1, index: 2, diskBytes: 5000, hooks: null, children: new Map([[1, refOf('ab'.repeat(16))], [7, refOf('cd'.repeat(16))]]), usage: new Map([['ab'.repeat(16), { chunks: 1, bytes: 2 }], ['cd'.repeat(16), { chunks: 1, bytes: 2 }]]) };
  const innerEdited = (edit: (bytes: Buffer) => void): (() => unknown) => () => {
    const bytes = encodeInner(inner);
    edit(bytes);
    return decodeInner(bytes, 1, 2, 5000);
  };
  refusals.push(
    ['a node of another region', () => decodeInner(encodeInner(inner), 1, 3, 5000), /of region 2/],
    ['a node of another disk', () => decodeInner(encodeInner(inner), 1, 2, 5001), /a disk of 5000 bytes/],
    ['a root in place of a region', () => decodeInner(encodeInner(inner), 2, 2, 5000), /level is 1/],
    ['children out of order', innerEdited((bytes) => bytes.writeUInt32LE(1, 68 + 48)), /child 1 after child 1/],
    ['a child beyond the region', innerEdited((bytes) => bytes.writeUInt32LE(1024, 68 + 48)), /child 1024/],
    ['more packs than bytes', innerEdited((bytes) => bytes.writeUInt32LE(0xffffffff, 20)), /ends at/],
    ['more children than bytes', innerEdited((bytes) => bytes.writeUInt32LE(0xffffffff, 24)), /./],
    ['usage twice for one pack', innerEdited((bytes) => bytes.writeUInt32LE(0, bytes.length - 16)), /two rows of usage/],
    ['an impossible size', innerEdited((bytes) => bytes.fill(0xff, bytes.length - 8)), /not possible/],
    ['an unknown mark for hooks', innerEdited((bytes) => bytes.writeUInt8(2, 32)), /mark for hooks is 2/],
    ['reserved bytes that are used', innerEdited((bytes) => bytes.writeUInt8(2, 34)), /mark for hooks/],
  );
  for (const [what, decode, words] of refusals) {
    it(`refuse ${what}`, () => assert.throws(decode, (error) => isHoldfastError(error, 'NODE_DAMAGED') && words.test((error as Error).message)));
  }

  it('refuse a newer version by that name', () => {
    const newer = (error: unknown): boolean => isHoldfastError(error, 'VAULT_NEWER_FORMAT');
    assert.throws(() => decodeLeaf(edited((bytes) => bytes.writeUInt8(2, 4)), 3, 10), newer);
    assert.throws(innerEdited((bytes) => bytes.writeUInt8(2, 4)), newer);
    const hooks = encodeHooks([['abcdefgh', 1]]);
    hooks.writeUInt8(2, 4);
    assert.throws(() => decodeHooks(hooks), newer);
  });

  it('hold a full window of the smallest chunks, each in a pack of its own', () => {
    const entries = Array.from({ length: 16_384 }, (_, index): LeafEntry => ({ blocks: 1, chunk: refOf(index.toString(16).padStart(32, '0')) }));
    assert.equal(decodeLeaf(encodeLeaf({ window: 0, entries }), 0, 16_384).entries.length, 16_384);
  });
});
