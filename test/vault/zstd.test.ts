import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { MAX_CHUNK_BYTES } from '../../vault/format';
import { compressChunk, decompress, decompressExactly } from '../../vault/zstd';

/** Content that compresses somewhat, not at all, or to almost nothing. */
const contents = fc.tuple(fc.integer({ min: 1, max: MAX_CHUNK_BYTES }), fc.constantFrom('random', 'mixed', 'flat')).map(([bytes, kind]) =>
  kind === 'random' ? randomBytes(bytes) : kind === 'flat' ? Buffer.alloc(bytes, 7) : Buffer.concat([randomBytes(bytes >> 1), Buffer.alloc(bytes - (bytes >> 1), 'text ')]));

describe('zstd contexts', () => {
  it('give frames that node:zlib reads, and read what node:zlib writes, whatever came before', () => {
    fc.assert(fc.property(contents, (plain) => {
      assert.ok(zlib.zstdDecompressSync(compressChunk(plain, 1)).equals(plain));
      const back = decompressExactly(zlib.zstdCompressSync(plain), plain.length);
      assert.ok(back?.equals(plain));
    }), { numRuns: 60 });
  });

  it('answer null for damage and for another length, and work again afterwards', () => {
    const plain = Buffer.alloc(20_000, 'some text');
    const frame = zlib.zstdCompressSync(plain);
    const wrong = [frame.subarray(0, -3), Buffer.from('garbage'), Buffer.concat([frame, frame]), Buffer.alloc(0)];
    for (const damaged of wrong) {
      assert.equal(decompressExactly(damaged, plain.length), null);
      assert.ok(decompressExactly(frame, plain.length)?.equals(plain));
    }
    assert.equal(decompressExactly(frame, plain.length - 1), null);
    assert.equal(decompressExactly(frame, plain.length + 1), null);
    assert.ok(decompressExactly(frame, plain.length)?.equals(plain));
    assert.throws(() => decompress(Buffer.from('garbage'), 100));
    assert.throws(() => decompress(frame, plain.length - 1));
  });

  it('leave what is larger than a chunk to node:zlib', () => {
    const large = randomBytes(MAX_CHUNK_BYTES + 1);
    assert.ok(zlib.zstdDecompressSync(compressChunk(large, 1)).equals(large));
    assert.equal(decompressExactly(zlib.zstdCompressSync(large), large.length), null);
  });

  it('are in use here: the binding looks as expected', () => {
    const plain = Buffer.alloc(8192, 'a');
    // A view over the context's own output, which is larger than what any call of node:zlib would have made for this.
    assert.ok(compressChunk(plain, 1).buffer.byteLength > MAX_CHUNK_BYTES);
  });
});
