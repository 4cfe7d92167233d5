import assert from 'node:assert/strict';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { blobId, type BlobRef, readBlob, writeBlob } from '../../../vault/format/blob';
import { BLOB_OVERHEAD_BYTES, BlobKind, ID_BYTES, NODE_LIMIT_BYTES, PackKind } from '../../../vault/format/format';
import { packKey, type VaultKeys } from '../../../vault/keys/keys';
import { packName } from '../../../vault/format/pack-names';
import { fetchBlob, openBlob, parsePack } from '../../../vault/format/pack-reader';
import { PackWriter } from '../../../vault/format/pack-writer';
import { sealDocument } from '../../../vault/format/sealed-document';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { Store } from '../../../vault/store/store';
import { createFaultStore } from '../../support/fault-store';
import { noise, testKeys } from '../../support/vault-kit';

interface Built { readonly pack: string; readonly bytes: Buffer; readonly refs: BlobRef[]; readonly plains: Buffer[] }

async function build(plains: Buffer[], keys = testKeys(), kind: PackKind = PackKind.data): Promise<Built> {
  const store = createMemoryStore();
  const writer = new PackWriter(store, keys, { kind, compressionLevel: 1 });
  const refs: BlobRef[] = [];
  for (const plain of plains) refs.push(await writer.add(kind === PackKind.data ? BlobKind.chunk : BlobKind.node, blobId(keys, plain), plain));
  await writer.flush();
  const pack = writer.storedPacks[0] as string;
  return { pack, refs, plains, bytes: await store.read(packName(kind, pack)) };
}

const small = (): Promise<Built> => build([noise(50, 1), Buffer.alloc(300, 'abc'), noise(5, 2)]);

const damaged = (pattern?: RegExp) => (error: unknown): boolean => isHoldfastError(error, 'PACK_DAMAGED') && (pattern === undefined || pattern.test((error as Error).message));

function openAll({ bytes, pack }: Pick<Built, 'bytes' | 'pack'>, keys: VaultKeys): Buffer[] {
  const key = packKey(keys, Buffer.from(pack, 'hex'));
  return parsePack(bytes, keys, PackKind.data, pack).map(({ id, offset, length, plainBytes }) =>
    Buffer.from(openBlob(bytes.subarray(offset, offset + length), { id, pack, offset, length }, key, keys, BlobKind.chunk, plainBytes)));
}

/** A pack whose footer says what the test wants, sealed as a writer that errs would seal it. */
function withFooter(built: Built, plain: Buffer, keys = testKeys()): Buffer {
  const end = (built.refs.at(-1) as BlobRef).offset + (built.refs.at(-1) as BlobRef).length;
  const target = Buffer.alloc(end + plain.length + BLOB_OVERHEAD_BYTES);
  built.bytes.copy(target, 0, 0, end);
  const length = writeBlob(target, end, packKey(keys, Buffer.from(built.pack, 'hex')), keys, BlobKind.footer, Buffer.alloc(ID_BYTES), plain, 1);
  const trailer = Buffer.alloc(16);
  trailer.writeUInt32LE(length, 0);
  trailer.writeUInt32LE(zlib.crc32(target.subarray(end, end + length), zlib.crc32(target.subarray(0, 48))), 4);
  Buffer.from('HFEND\r\n\x1a', 'latin1').copy(trailer, 8);
  return Buffer.concat([target.subarray(0, end + length), trailer]);
}

const footerOf = (rows: readonly { offset: number; length: number }[], count = rows.length): Buffer => {
  const plain = Buffer.alloc(4 + rows.length * 44);
  plain.writeUInt32LE(count, 0);
  rows.forEach(({ offset, length }, index) => {
    plain.writeUInt32LE(offset, 4 + index * 44 + 32);
    plain.writeUInt32LE(length, 4 + index * 44 + 36);
  });
  return plain;
};

describe('packs', () => {
  it('parse to what was built, over several packs and of any content', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { minLength: 1, maxLength: 30 }), fc.integer({ min: 100, max: 8000 }), async (contents, targetBytes) => {
      const [keys, store] = [testKeys(), createMemoryStore()];
      const writer = new PackWriter(store, keys, { kind: PackKind.data, compressionLevel: 1, targetBytes });
      const refs: BlobRef[] = [];
      for (const content of contents) refs.push(await writer.add(BlobKind.chunk, blobId(keys, Buffer.from(content)), Buffer.from(content)));
      await writer.flush();
      for (const [index, ref] of refs.entries()) {
        const content = Buffer.from(contents[index] as Uint8Array);
        assert.ok((await fetchBlob(store, keys, PackKind.data, BlobKind.chunk, ref, content.length)).equals(content));
      }
      let entries = 0;
      for (const pack of writer.storedPacks) entries += parsePack(await store.read(packName(PackKind.data, pack)), keys, PackKind.data, pack).length;
      assert.equal(entries, contents.length);
    }), { numRuns: 40 });
  });

  it('refuse each flipped byte, or still give the very same bytes', async () => {
    const built = await small();
    let refused = 0;
    for (let at = 0; at < built.bytes.length; at++) {
      const bytes = Buffer.from(built.bytes);
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
      assert.throws(() => openAll({ bytes, pack: built.pack }, testKeys()), (error) => damaged()(error) || (at === 8 && isHoldfastError(error, 'VAULT_NEWER_FORMAT')), `byte ${at}`);
      refused++;
    }
    assert.equal(refused, built.bytes.length);
  });

  it('refuse every truncation and everything appended', async () => {
    const built = await small();
    for (let length = 0; length < built.bytes.length; length++) assert.throws(() => openAll({ bytes: built.bytes.subarray(0, length), pack: built.pack }, testKeys()), damaged(), `cut to ${length}`);
    assert.throws(() => openAll({ bytes: Buffer.concat([built.bytes, Buffer.alloc(1)]), pack: built.pack }, testKeys()), damaged(/does not end/));
  });

  it('refuse another pack in its place, another vault, another kind, another version, each in its own words', async () => {
    const [one, other, meta] = [await small(), await small(), await build([noise(50, 1)], testKeys(), PackKind.meta)];
    assert.throws(() => parsePack(other.bytes, testKeys(), PackKind.data, one.pack), damaged(/header says it is/));
    assert.throws(() => parsePack(one.bytes, testKeys(9), PackKind.data, one.pack), damaged(/another vault/));
    assert.throws(() => parsePack(meta.bytes, testKeys(), PackKind.data, meta.pack), damaged(/its kind is 2, not 1/));
    const newer = Buffer.from(one.bytes);
    newer[8] = 2;
    assert.throws(() => parsePack(newer, testKeys(), PackKind.data, one.pack), (error) => isHoldfastError(error, 'VAULT_NEWER_FORMAT'));
    const reserved = Buffer.from(one.bytes);
    reserved[12] = 1;
    assert.throws(() => parsePack(reserved, testKeys(), PackKind.data, one.pack), damaged(/reserved/));
  });

  it('refuse a forged footer, each in its own words', async () => {
    const built = await small();
    const rows = built.refs.map(({ offset, length }) => ({ offset, length }));
    const parse = (bytes: Buffer) => () => parsePack(bytes, testKeys(), PackKind.data, built.pack);
    assert.equal(parse(withFooter(built, footerOf(rows)))().length, 3);
    assert.throws(parse(withFooter(built, footerOf(rows.slice(0, 2)))), damaged(/entries end at/));
    assert.throws(parse(withFooter(built, footerOf(rows, 2))), damaged(/for 2 entries/));
    assert.throws(parse(withFooter(built, footerOf(rows, 0xffffffff))), damaged(/for 4294967295 entries/));
    assert.throws(parse(withFooter(built, footerOf(rows.map((row, index) => (index === 1 ? { ...row, offset: row.offset + 1 } : row))))), damaged(/entry 1 starts at/));
    assert.throws(parse(withFooter(built, footerOf([...rows, { offset: 0, length: 0 }]))), damaged(/entry 3 has only 0 bytes/));
    assert.throws(parse(withFooter(built, Buffer.alloc(3))), damaged(/too short/));
    const large = Buffer.from(built.bytes);
    large.writeUInt32LE(0xfffffff0, large.length - 16);
    assert.throws(parse(large), damaged(/does not fit/));
    const crc = Buffer.from(built.bytes);
    crc.writeUInt32LE(1, crc.length - 12);
    assert.throws(parse(crc), damaged(/checksum/));
    // A footer that decompresses to far more than the pack could have entries for must not be held in memory.
    assert.throws(parse(withFooter(built, Buffer.alloc(1_000_000))), damaged(/footer does not open/));
  });

  it('never give wrong content, however they are damaged', async () => {
    const built = await build(Array.from({ length: 6 }, (_, index) => (index % 2 ? noise(200, index) : Buffer.alloc(400, `x${index}`))));
    const damage = fc.array(fc.record({ at: fc.nat(built.bytes.length - 1), bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) }), { minLength: 1, maxLength: 3 });
    fc.assert(fc.property(damage, fc.option(fc.nat(built.bytes.length), { nil: undefined }), (edits, length) => {
      const bytes = Buffer.from(built.bytes.subarray(0, length));
      for (const { at, bytes: data } of edits) if (at < bytes.length) Buffer.from(data).copy(bytes, at);
      try {
        assert.deepEqual(openAll({ bytes, pack: built.pack }, testKeys()), built.plains);
      } catch (error) {
        if (!isHoldfastError(error, 'PACK_DAMAGED') && !isHoldfastError(error, 'VAULT_NEWER_FORMAT')) throw error;
      }
      // A reader that comes from a tree does not look at the footer at all.
      for (const [index, ref] of built.refs.entries()) {
        try {
          const got = openBlob(bytes.subarray(ref.offset, ref.offset + ref.length), ref, packKey(testKeys(), Buffer.from(built.pack, 'hex')), testKeys(), BlobKind.chunk, 400);
          assert.ok(got.equals(built.plains[index] as Buffer));
        } catch (error) {
          if (!isHoldfastError(error, 'PACK_DAMAGED')) throw error;
        }
      }
    }), { numRuns: 300 });
  });

  it('threat 8: a blob is bound to its id, its kind and its pack', async () => {
    const [keys, built] = [testKeys(), await small()];
    const [first, second] = built.refs as [BlobRef, BlobRef, BlobRef];
    const stored = (ref: BlobRef): Buffer => built.bytes.subarray(ref.offset, ref.offset + ref.length);
    const key = packKey(keys, Buffer.from(built.pack, 'hex'));
    assert.throws(() => openBlob(stored(second), first, key, keys, BlobKind.chunk, 1000), damaged());
    assert.throws(() => openBlob(stored(first), first, key, keys, BlobKind.node, 1000), damaged());
    assert.throws(() => openBlob(stored(first), first, packKey(keys, Buffer.alloc(16)), keys, BlobKind.chunk, 1000), damaged());
    assert.throws(() => openBlob(stored(first), first, key, keys, BlobKind.chunk, 10), damaged(/more than 10/));
    // Authentic, but not what its id says: only a writer that errs makes this.
    const target = Buffer.alloc(200);
    const length = writeBlob(target, 0, key, keys, BlobKind.chunk, first.id, noise(50, 77), 1);
    assert.throws(() => openBlob(target.subarray(0, length), first, key, keys, BlobKind.chunk, 1000), damaged(/not what its id says/));
  });

  it('a reference larger than any blob of its kind is refused before it is read', async () => {
    const store = createFaultStore(createMemoryStore());
    const ref: BlobRef = { id: Buffer.alloc(32), pack: 'ab'.repeat(16), offset: 48, length: 0xffffffff };
    await assert.rejects(fetchBlob(store, testKeys(), PackKind.meta, BlobKind.node, ref, NODE_LIMIT_BYTES), damaged());
    assert.equal(store.calls.length, 0);
  });

  it('a missing pack is PACK_MISSING, a short one PACK_DAMAGED, and a store that fails is neither', async () => {
    const [keys, built, inner] = [testKeys(), await small(), createMemoryStore()];
    const store = createFaultStore(inner);
    const fetch = (): Promise<Buffer> => fetchBlob(store, keys, PackKind.data, BlobKind.chunk, built.refs[0] as BlobRef, 400);
    await assert.rejects(fetch(), (error) => isHoldfastError(error, 'PACK_MISSING'));
    await inner.create(packName(PackKind.data, built.pack), built.bytes.subarray(0, 60));
    await assert.rejects(fetch(), damaged(/ends before/));
    store.plan({ operation: 'read', matching: /packs/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(fetch(), (error) => isHoldfastError(error, 'STORE_UNREACHABLE'));
    store.assertAllFired();
  });

  it('what a small node was decompressed to keeps no large buffer alive', () => {
    const [keys, plain] = [testKeys(), Buffer.alloc(100_000, 'node')];
    const target = Buffer.alloc(plain.length + BLOB_OVERHEAD_BYTES);
    const [key, id] = [packKey(keys, Buffer.alloc(16)), blobId(keys, plain)];
    const length = writeBlob(target, 0, key, keys, BlobKind.node, id, plain, 1);
    const back = readBlob(target.subarray(0, length), key, keys, BlobKind.node, id, NODE_LIMIT_BYTES);
    assert.ok(back.equals(plain));
    assert.ok(back.buffer.byteLength < 1_000_000, `${back.buffer.byteLength} bytes are held for ${plain.length}`);
  });
});

describe('pack writer', () => {
  const original = zlib.zstdCompressSync;
  afterEach(() => { zlib.zstdCompressSync = original; });

  const notVerified = (error: unknown): boolean => isHoldfastError(error, 'WRITE_NOT_VERIFIED');
  const liars: Record<string, typeof zlib.zstdCompressSync> = {
    'other content of the same length': (data, options) => original(Buffer.alloc((data as Buffer).length, 'y'), options),
    'shorter content': (data, options) => original((data as Buffer).subarray(1), { params: options?.params ?? {} }),
    'longer content': (_data, options) => original(Buffer.alloc(100_000, 'z'), { params: options?.params ?? {} }),
    'no frame at all': () => Buffer.from('garbage'),
    'a frame that is cut off': (data, options) => original(data, options).subarray(0, -3),
  };
  const binding = zlib.ZstdCompress;
  afterEach(() => { zlib.ZstdCompress = binding; });

  /** A stream whose inside lies, as node:zlib's own would if its memory went bad. */
  const lyingStream = (liar: typeof zlib.zstdCompressSync): unknown => {
    const _writeState = new Uint32Array(2);
    const writeSync = (_flush: number, input: Buffer, _at: number, _bytes: number, output: Buffer, _to: number, room: number): void => {
      _writeState.set([room - liar(input, {}).copy(output), 0]);
    };
    return { _handle: { writeSync }, _writeState, destroyed: false, on: () => undefined };
  };

  // Levels that nothing else uses, because each thread keeps one context a level.
  let level = 5;
  for (const [what, liar] of Object.entries(liars)) {
    for (const [where, stream] of [['context', () => lyingStream(liar)], ['function', () => ({})]] as const) {
      it(`stores nothing when the compressor's ${where} gives ${what}`, async () => {
        const store = createFaultStore(createMemoryStore());
        const writer = new PackWriter(store, testKeys(), { kind: PackKind.data, compressionLevel: level++ });
        const plain = Buffer.alloc(5000, 'x');
        zlib.ZstdCompress = function lying() { return stream(); } as unknown as typeof zlib.ZstdCompress;
        zlib.zstdCompressSync = liar;
        await assert.rejects(writer.add(BlobKind.chunk, blobId(testKeys(), plain), plain), notVerified);
        zlib.zstdCompressSync = original;
        await assert.rejects(writer.flush(), notVerified, 'a flush after it does not pass for success');
        assert.equal(store.calls.length, 0);
      });
    }

    it(`fault 16: seals no document when the compressor gives ${what}`, () => {
      zlib.zstdCompressSync = liar;
      assert.throws(() => sealDocument(testKeys(), 'items/a', { text: 'long '.repeat(200) }), notVerified);
    });
  }

  it('fault 16: stores nothing when the memory of a pack goes bad between its parts and its end', async () => {
    const store = createFaultStore(createMemoryStore());
    const writer = new PackWriter(store, testKeys(), { kind: PackKind.data, compressionLevel: 1 });
    const plain = Buffer.alloc(5000, 'x');
    const id = blobId(testKeys(), plain);
    await writer.add(BlobKind.chunk, id, plain);
    const { buffer } = writer as unknown as { buffer: Buffer };
    buffer[20] = (buffer[20] as number) ^ 1;
    await assert.rejects(writer.flush(), notVerified);
    assert.equal(store.calls.length, 0);
  });

  it('a failed upload fails the next pack and every flush', async () => {
    const store = createFaultStore(createMemoryStore());
    store.plan({ operation: 'create', matching: /packs/, fault: { kind: 'fail', code: 'STORE_FULL', when: 'before' } });
    const writer = new PackWriter(store, testKeys(), { kind: PackKind.data, compressionLevel: 1, targetBytes: 8000 });
    const full = (error: unknown): boolean => isHoldfastError(error, 'STORE_FULL');
    await assert.rejects(async () => {
      for (let seed = 0; seed < 10; seed++) await writer.add(BlobKind.chunk, Buffer.alloc(32, seed), noise(4500, seed));
    }, full);
    await assert.rejects(writer.flush(), full);
    await assert.rejects(writer.flush(), full);
    store.assertAllFired();
  });

  it('has two packs on their way at most: the next one waits until the first is stored', async () => {
    let under = 0;
    let most = 0;
    const inner = createMemoryStore();
    const store: Store = { ...inner, serverTimeMs: () => inner.serverTimeMs(), description: 'counting', create: async (name, data) => {
      most = Math.max(most, ++under);
      await new Promise(setImmediate);
      under--;
      return inner.create(name, data);
    } };
    const writer = new PackWriter(store, testKeys(), { kind: PackKind.data, compressionLevel: 1, targetBytes: 8000 });
    for (let seed = 0; seed < 20; seed++) await writer.add(BlobKind.chunk, Buffer.alloc(32, seed), noise(4500, seed));
    await writer.flush();
    assert.equal(most, 2);
    assert.equal(writer.storedPacks.length, 20);
  });
});
