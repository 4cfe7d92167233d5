import type { KeyObject } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { HoldfastError, isHoldfastError, messageOf } from '../../errors/holdfast-error';
import { type BlobRef, readBlob, verifyId } from './blob';
import { BLOB_OVERHEAD_BYTES, BlobKind, FOOTER_ENTRY_BYTES, FORMAT_VERSION, ID_BYTES, PACK_END_MAGIC, PACK_HEADER_BYTES, PACK_LIMIT_BYTES, PACK_MAGIC, PACK_TRAILER_BYTES, type PackKind } from './format';
import { packKey, type VaultKeys } from '../keys/keys';
import { packName } from './pack-names';
import type { Store } from '../store/store';

export interface PackEntry {
  readonly id: Buffer;
  readonly offset: number;
  readonly length: number;
  readonly plainBytes: number;
}

const damaged = (pack: string, why: string, cause?: unknown): HoldfastError =>
  new HoldfastError('PACK_DAMAGED', `Pack ${pack}: ${why}`, { cause, data: { pack } });

/** The entries of a whole pack, every field checked. Throws PACK_DAMAGED, or VAULT_NEWER_FORMAT for another version. */
export function parsePack(bytes: Buffer, keys: VaultKeys, kind: PackKind, pack: string): PackEntry[] {
  if (bytes.length < PACK_HEADER_BYTES + BLOB_OVERHEAD_BYTES + 4 + PACK_TRAILER_BYTES) throw damaged(pack, `it has only ${bytes.length} bytes`);
  if (bytes.length > PACK_LIMIT_BYTES) throw damaged(pack, `it has ${bytes.length} bytes, more than ${PACK_LIMIT_BYTES}`);
  if (!bytes.subarray(0, 8).equals(PACK_MAGIC)) throw damaged(pack, 'it does not start as a pack does');
  if (bytes[8] !== FORMAT_VERSION) throw new HoldfastError('VAULT_NEWER_FORMAT', `Pack ${pack} has version ${bytes[8]}; this is version ${FORMAT_VERSION}`, { data: { pack } });
  if (bytes[9] !== kind) throw damaged(pack, `its kind is ${bytes[9]}, not ${kind}`);
  if (!bytes.subarray(10, 16).equals(Buffer.alloc(6))) throw damaged(pack, 'reserved bytes of its header are not zero');
  if (!bytes.subarray(16, 32).equals(keys.vaultId)) throw damaged(pack, 'it belongs to another vault');
  const id = bytes.subarray(32, 48);
  if (id.toString('hex') !== pack) throw damaged(pack, `its header says it is ${id.toString('hex')}`);
  const trailer = bytes.subarray(bytes.length - PACK_TRAILER_BYTES);
  if (!trailer.subarray(8).equals(PACK_END_MAGIC)) throw damaged(pack, 'it does not end as a pack does');
  const footerBytes = trailer.readUInt32LE(0);
  const footerEnd = bytes.length - PACK_TRAILER_BYTES;
  const footerStart = footerEnd - footerBytes;
  if (footerStart < PACK_HEADER_BYTES) throw damaged(pack, `its footer of ${footerBytes} bytes does not fit`);
  const footer = bytes.subarray(footerStart, footerEnd);
  if (crc32(footer, crc32(bytes.subarray(0, PACK_HEADER_BYTES))) !== trailer.readUInt32LE(4)) throw damaged(pack, 'the checksum of its footer is wrong');
  return parseFooter(footer, keys, id, pack, footerStart);
}

function parseFooter(footer: Buffer, keys: VaultKeys, packId: Buffer, pack: string, blobsEnd: number): PackEntry[] {
  // Blobs are never empty, so a pack has fewer entries than bytes; this bounds what a forged footer could ask for.
  const limitBytes = 4 + Math.ceil(blobsEnd / BLOB_OVERHEAD_BYTES) * FOOTER_ENTRY_BYTES;
  let plain: Buffer;
  try {
    plain = readBlob(footer, packKey(keys, packId), keys, BlobKind.footer, Buffer.alloc(ID_BYTES), limitBytes);
  } catch (cause) {
    throw damaged(pack, `its footer does not open: ${messageOf(cause)}`, cause);
  }
  if (plain.length < 4) throw damaged(pack, 'its footer is too short');
  const count = plain.readUInt32LE(0);
  if (plain.length !== 4 + count * FOOTER_ENTRY_BYTES) throw damaged(pack, `its footer has ${plain.length} bytes for ${count} entries`);
  const entries: PackEntry[] = [];
  let next = PACK_HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const at = 4 + index * FOOTER_ENTRY_BYTES;
    const entry = {
      id: plain.subarray(at, at + ID_BYTES),
      offset: plain.readUInt32LE(at + ID_BYTES),
      length: plain.readUInt32LE(at + ID_BYTES + 4),
      plainBytes: plain.readUInt32LE(at + ID_BYTES + 8),
    };
    if (entry.length < BLOB_OVERHEAD_BYTES) throw damaged(pack, `entry ${index} has only ${entry.length} bytes`);
    if (entry.offset !== next) throw damaged(pack, `entry ${index} starts at ${entry.offset}, not at ${next}`);
    next += entry.length;
    entries.push(entry);
  }
  if (next !== blobsEnd) throw damaged(pack, `its entries end at ${next}, its footer starts at ${blobsEnd}`);
  return entries;
}

/** Reads bytes of a pack, turning "not there" and "too short" into errors that name the pack. */
export async function readPackRange(store: Store, kind: PackKind, pack: string, offset: number, length: number): Promise<Buffer> {
  try {
    return await store.read(packName(kind, pack), { offset, length });
  } catch (error) {
    if (isHoldfastError(error, 'STORE_OBJECT_NOT_FOUND')) throw new HoldfastError('PACK_MISSING', `Pack ${pack} is not in the vault`, { cause: error, data: { pack } });
    if (isHoldfastError(error, 'STORE_RANGE')) throw damaged(pack, `it ends before byte ${offset + length}`, error);
    throw error;
  }
}

/** Opens the blob that `stored` holds and proves that its content is what the reference's id says. */
export function openBlob(stored: Buffer, ref: BlobRef, key: KeyObject, keys: VaultKeys, kind: BlobKind, limitBytes: number): Buffer {
  let plain: Buffer;
  try {
    plain = readBlob(stored, key, keys, kind, ref.id, limitBytes);
  } catch (cause) {
    throw damaged(ref.pack, `the blob at ${ref.offset} does not open: ${messageOf(cause)}`, cause);
  }
  if (!verifyId(keys, ref.id, plain)) throw damaged(ref.pack, `the blob at ${ref.offset} is not what its id says`);
  return plain;
}

/** Reads and opens one blob. */
export async function fetchBlob(store: Store, keys: VaultKeys, packKind: PackKind, kind: BlobKind, ref: BlobRef, limitBytes: number): Promise<Buffer> {
  if (ref.length > limitBytes + BLOB_OVERHEAD_BYTES) throw damaged(ref.pack, `a blob of ${ref.length} bytes at ${ref.offset} is larger than any`);
  const stored = await readPackRange(store, packKind, ref.pack, ref.offset, ref.length);
  return openBlob(stored, ref, packKey(keys, Buffer.from(ref.pack, 'hex')), keys, kind, limitBytes);
}
