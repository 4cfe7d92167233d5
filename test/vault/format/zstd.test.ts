import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { BLOCK_BYTES, MAX_CHUNK_BYTES } from '../../../vault/format/format';
import { compressChunk, contentBytes, decompress, decompressExactly } from '../../../vault/format/zstd';

const KINDS = ['random', 'mixed', 'flat'] as const;

/** Content that compresses somewhat, not at all, or to almost nothing. */
const contentOf = (bytes: number, kind: (typeof KINDS)[number]): Buffer =>
  kind === 'random' ? randomBytes(bytes) : kind === 'flat' ? Buffer.alloc(bytes, 7) : Buffer.concat([randomBytes(bytes >> 1), Buffer.alloc(bytes - (bytes >> 1), 'text ')]);

describe('zstd contexts', () => {
  it('give frames that node:zlib reads, and read what node:zlib writes, for every size that a chunk can have', () => {
    for (let bytes = BLOCK_BYTES; bytes <= MAX_CHUNK_BYTES; bytes += BLOCK_BYTES) {
      for (const kind of KINDS) {
        const plain = contentOf(bytes, kind);
        assert.ok(zlib.zstdDecompressSync(compressChunk(plain, 1)).equals(plain), `${bytes} bytes, ${kind}`);
        assert.ok(decompressExactly(zlib.zstdCompressSync(plain), bytes)?.equals(plain), `${bytes} bytes, ${kind}`);
      }
    }
  });

  // Some odd sizes of content that does not compress take more than one call (262,129 bytes, for instance): then node:zlib does it.
  it('lose nothing for any other size, with the function that steps in', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: MAX_CHUNK_BYTES }), fc.constantFrom(...KINDS), (bytes, kind) => {
      const plain = contentOf(bytes, kind);
      assert.ok(zlib.zstdDecompressSync(compressChunk(plain, 1)).equals(plain));
      const frame = zlib.zstdCompressSync(plain);
      assert.ok((decompressExactly(frame, bytes) ?? decompress(frame, bytes)).equals(plain));
    }), { numRuns: 60, examples: [[262_129, 'random'], [147_441, 'random']] });
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

  it('know the size of a frame\'s content from its header, whichever of its forms it has, and say nothing where it does not', async () => {
    for (const bytes of [1, 255, 256, 257, 65_535, 65_791, 65_792, 300_000]) {
      for (const kind of KINDS) assert.equal(contentBytes(zlib.zstdCompressSync(contentOf(bytes, kind))), bytes, `${bytes} bytes, ${kind}`);
    }
    const stream = zlib.createZstdCompress();
    stream.write('a stream does not know');
    stream.end('what is to come');
    const [frame, plain] = [await buffer(stream), 'a stream does not knowwhat is to come'];
    assert.equal(zlib.zstdDecompressSync(frame).toString(), plain);
    assert.equal(contentBytes(frame), null);
    for (const none of [Buffer.alloc(0), Buffer.from('garbage'), zlib.zstdCompressSync(contentOf(300_000, 'random')).subarray(0, 6)]) assert.equal(contentBytes(none), null);
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
