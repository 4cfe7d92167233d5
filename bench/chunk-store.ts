import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject, randomBytes, randomFillSync } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { type ChunkRule, cutWindow, WINDOW_BYTES } from './chunk-rules';

/** What one image added to what was stored before. */
export interface StoredImage {
  readonly chunks: number;
  readonly newChunks: number;
  readonly newBytes: number;
  /** Blobs of chunks and their rows in pack footers. */
  readonly dataBytes: number;
  /** Leaves that are new: entries do not compress, since ids are random. */
  readonly nodeBytes: number;
  /** User and system time of this process: what other work on the machine disturbs least. */
  readonly cpuSeconds: number;
}

/** What the format adds to each blob (docs/vault-format.md, 6), to each chunk in a leaf, and to a leaf. */
const [BLOB_BYTES, FOOTER_ROW_BYTES, LEAF_ENTRY_BYTES, ZERO_ENTRY_BYTES, LEAF_BYTES] = [29, 44, 44, 4, 16];
const CUT_SEED = 0x48_6f_6c_64;

/**
 * A store that only counts: it does with each new chunk what the product does (keyed id, zstd, AES-256-GCM, decode again and
 * compare), and knows every chunk that it ever saw, where the product looks at the parent and at champions.
 */
export class CountingStore {
  private readonly known = new Set<string>();
  private readonly idKey: KeyObject = createSecretKey(randomBytes(32));
  private readonly key: KeyObject = createSecretKey(randomBytes(32));
  private readonly nonce = Buffer.alloc(12);

  constructor(private readonly rule: ChunkRule, private readonly level: number) {}

  /** Stores a whole image, window by window, and says what that added. */
  add(image: string): StoredImage {
    const start = process.cpuUsage();
    const counts = { chunks: 0, newChunks: 0, newBytes: 0, dataBytes: 0, nodeBytes: 0 };
    for (const window of windowsOf(image)) {
      const leaf = createHmac('sha256', this.idKey);
      let leafBytes = LEAF_BYTES + BLOB_BYTES;
      let holdsData = false;
      cutWindow(window, this.rule, CUT_SEED, (piece, zero) => {
        leafBytes += zero ? ZERO_ENTRY_BYTES : LEAF_ENTRY_BYTES;
        if (zero) {
          leaf.update(`zeros ${piece.length}`);
          return;
        }
        holdsData = true;
        counts.chunks++;
        const id = createHmac('sha256', this.idKey).update(piece).digest();
        leaf.update(id);
        if (!this.isNew(id)) return;
        counts.newChunks++;
        counts.newBytes += piece.length;
        counts.dataBytes += this.store(piece) + FOOTER_ROW_BYTES;
      });
      if (holdsData && this.isNew(leaf.digest())) counts.nodeBytes += leafBytes;
    }
    const { user, system } = process.cpuUsage(start);
    return { ...counts, cpuSeconds: (user + system) / 1e6 };
  }

  private isNew(id: Buffer): boolean {
    const key = id.toString('latin1');
    if (this.known.has(key)) return false;
    this.known.add(key);
    return true;
  }

  /** Bytes of the blob. Throws an Error when it does not decode to what went in. */
  private store(plain: Buffer): number {
    const compressed = zstdCompressSync(plain, { chunkSize: plain.length + 1024, pledgedSrcSize: plain.length, params: { [constants.ZSTD_c_compressionLevel]: this.level } });
    const payload = compressed.length < plain.length ? compressed : plain;
    randomFillSync(this.nonce);
    const cipher = createCipheriv('aes-256-gcm', this.key, this.nonce);
    const sealed = cipher.update(payload);
    cipher.final();
    const decipher = createDecipheriv('aes-256-gcm', this.key, this.nonce).setAuthTag(cipher.getAuthTag());
    const opened = decipher.update(sealed);
    decipher.final();
    const back = payload === plain ? opened : zstdDecompressSync(opened, { chunkSize: plain.length + 64, maxOutputLength: plain.length });
    if (!back.equals(plain)) throw new Error(`A chunk of ${plain.length} bytes did not decode to what went in`);
    return BLOB_BYTES + payload.length;
  }
}

function* windowsOf(image: string): Generator<Buffer> {
  const { size } = statSync(image);
  const buffer = Buffer.allocUnsafe(WINDOW_BYTES);
  const file = openSync(image, 'r');
  try {
    for (let offset = 0; offset < size;) {
      const wanted = Math.min(WINDOW_BYTES, size - offset);
      const got = readSync(file, buffer, 0, wanted, offset);
      if (got !== wanted) throw new Error(`${image} gave ${got} bytes at ${offset}, not ${wanted}`);
      yield buffer.subarray(0, got);
      offset += got;
    }
  } finally {
    closeSync(file);
  }
}
