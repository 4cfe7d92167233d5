import { type KeyObject, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';
import { type BlobRef, writeBlob } from './blob';
import { alignedBuffer } from '../transfer/direct-io';
import { BLOB_OVERHEAD_BYTES, BlobKind, FOOTER_ENTRY_BYTES, DATA_PACK_TARGET_BYTES, FORMAT_VERSION, ID_BYTES, META_PACK_TARGET_BYTES, PACK_END_MAGIC, PACK_HEADER_BYTES, PACK_ID_BYTES, PACK_MAGIC, PACK_TRAILER_BYTES, PackKind } from './format';
import { packKey, type VaultKeys } from '../keys/keys';
import { packName } from './pack-names';
import { type PackEntry, parsePack } from './pack-reader';
import type { Store } from '../store/store';

/** Two, because a store answers in bursts: a disk syncs, a service takes its time. */
const MAX_UPLOADS = 2;

export interface PackWriterOptions {
  readonly kind: PackKind;
  readonly compressionLevel: number;
  readonly targetBytes?: number;
}

/**
 * Fills packs one after another and stores each when it is full. Holds three buffers: one is filled while two are on their way;
 * a fourth pack waits (back-pressure). A reference that `add` returns is good only once `flush` has resolved.
 */
export class PackWriter {
  /** Bytes stored so far, with headers and footers. */
  storedBytes = 0;
  /** Ids of the packs that are durable. */
  readonly storedPacks: string[] = [];

  private readonly targetBytes: number;
  private readonly buffers: Buffer[] = [];
  private buffer: Buffer | undefined;
  private used = 0;
  private packId: Buffer = Buffer.alloc(0);
  private key: KeyObject | undefined;
  private pack = '';
  private entries: PackEntry[] = [];
  /** Uploads under way, oldest first. */
  private readonly uploads: Promise<void>[] = [];
  private failure: unknown;

  constructor(private readonly store: Store, private readonly keys: VaultKeys, private readonly options: PackWriterOptions) {
    this.targetBytes = options.targetBytes ?? (options.kind === PackKind.data ? DATA_PACK_TARGET_BYTES : META_PACK_TARGET_BYTES);
  }

  /** Appends a blob, verified (see writeBlob), starting a new pack when the current one is full. */
  async add(kind: BlobKind, id: Buffer, plain: Buffer): Promise<BlobRef> {
    if (this.buffer && this.used + this.reserve(plain.length) > this.buffer.length) await this.close();
    const buffer = this.buffer ?? this.open(plain.length);
    const offset = this.used;
    const length = this.orFail(() => writeBlob(buffer, offset, this.openKey, this.keys, kind, id, plain, this.options.compressionLevel));
    this.used += length;
    this.entries.push({ id, offset, length, plainBytes: plain.length });
    return { id, pack: this.pack, offset, length };
  }

  /** Stores what is left and waits until everything is durable. */
  async flush(): Promise<void> {
    if (this.buffer) await this.close();
    while (this.uploads.length > 0) await this.uploads.shift();
    if (this.failure !== undefined) throw this.failure;
  }

  private get openKey(): KeyObject {
    if (!this.key) throw new HoldfastError('INTERNAL', 'No pack is open');
    return this.key;
  }

  /** Room for one more blob and for everything that closes the pack. */
  private reserve(plainBytes: number): number {
    return plainBytes + BLOB_OVERHEAD_BYTES + (this.entries.length + 1) * FOOTER_ENTRY_BYTES + 4 + BLOB_OVERHEAD_BYTES + PACK_TRAILER_BYTES;
  }

  private open(firstBytes: number): Buffer {
    const needed = Math.max(this.targetBytes, PACK_HEADER_BYTES + firstBytes + 4096);
    const spare = this.buffers.pop();
    const buffer = spare && spare.length >= needed ? spare : alignedBuffer(needed);
    this.packId = randomBytes(PACK_ID_BYTES);
    this.pack = this.packId.toString('hex');
    this.key = packKey(this.keys, this.packId);
    this.entries = [];
    buffer.fill(0, 0, PACK_HEADER_BYTES);
    PACK_MAGIC.copy(buffer);
    buffer[8] = FORMAT_VERSION;
    buffer[9] = this.options.kind;
    this.keys.vaultId.copy(buffer, 16);
    this.packId.copy(buffer, 32);
    this.used = PACK_HEADER_BYTES;
    this.buffer = buffer;
    return buffer;
  }

  private async close(): Promise<void> {
    const buffer = this.buffer;
    if (!buffer) return;
    this.buffer = undefined;
    const { pack, entries, packId } = this;
    const bytes = this.orFail(() => {
      const built = buffer.subarray(0, this.writeFooter(buffer, entries));
      this.checkBuilt(built, entries, packId);
      return built;
    });
    if (this.uploads.length === MAX_UPLOADS) await this.uploads.shift();
    if (this.failure !== undefined) throw this.failure;
    const upload = this.send(pack, bytes, buffer);
    // A failed upload is reported by the next close or by flush; until then it must not count as unhandled.
    upload.catch((error: unknown) => { this.failure ??= error; });
    this.uploads.push(upload);
  }

  /** What fails once fails for good: a later flush must not pass for the blobs of a pack that was dropped. */
  private orFail<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      this.buffer = undefined;
      this.failure ??= error;
      throw error;
    }
  }

  private async send(pack: string, bytes: Buffer, buffer: Buffer): Promise<void> {
    const outcome = await this.store.create(packName(this.options.kind, pack), bytes);
    if (outcome === 'exists') throw new HoldfastError('INTERNAL', `The new pack ${pack} exists already`);
    this.storedBytes += bytes.length;
    this.storedPacks.push(pack);
    this.buffers.push(buffer);
  }

  private writeFooter(buffer: Buffer, entries: readonly PackEntry[]): number {
    const plain = Buffer.alloc(4 + entries.length * FOOTER_ENTRY_BYTES);
    plain.writeUInt32LE(entries.length, 0);
    entries.forEach((entry, index) => {
      const at = 4 + index * FOOTER_ENTRY_BYTES;
      entry.id.copy(plain, at);
      plain.writeUInt32LE(entry.offset, at + ID_BYTES);
      plain.writeUInt32LE(entry.length, at + ID_BYTES + 4);
      plain.writeUInt32LE(entry.plainBytes, at + ID_BYTES + 8);
    });
    const start = this.used;
    const length = writeBlob(buffer, start, this.openKey, this.keys, BlobKind.footer, Buffer.alloc(ID_BYTES), plain, this.options.compressionLevel);
    const end = start + length;
    buffer.writeUInt32LE(length, end);
    const crc = crc32(buffer.subarray(start, end), crc32(buffer.subarray(0, PACK_HEADER_BYTES)));
    buffer.writeUInt32LE(crc, end + 4);
    PACK_END_MAGIC.copy(buffer, end + 8);
    return end + PACK_TRAILER_BYTES;
  }

  /** A writer parses back what it built. The blobs were verified one by one when they were written. */
  private checkBuilt(bytes: Buffer, entries: readonly PackEntry[], packId: Buffer): void {
    const pack = packId.toString('hex');
    let parsed: PackEntry[];
    try {
      parsed = parsePack(bytes, this.keys, this.options.kind, pack);
    } catch (cause) {
      throw new HoldfastError('WRITE_NOT_VERIFIED', `The new pack ${pack} does not parse: ${messageOf(cause)}`, { cause });
    }
    const same = parsed.length === entries.length && parsed.every((got, index) => {
      const want = entries[index];
      return want !== undefined && got.id.equals(want.id) && got.offset === want.offset && got.length === want.length && got.plainBytes === want.plainBytes;
    });
    if (!same) throw new HoldfastError('WRITE_NOT_VERIFIED', `The footer of pack ${pack} does not say what was written`);
  }
}
