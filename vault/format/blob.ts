import { createCipheriv, createDecipheriv, createHmac, type KeyObject, randomFillSync } from 'node:crypto';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';
import { BLOB_OVERHEAD_BYTES, BlobKind, Codec, ID_BYTES, NONCE_BYTES, TAG_BYTES } from './format';
import type { VaultKeys } from '../keys/keys';
import { compressChunk, decompress, decompressExactly } from './zstd';

/** Where a blob lies: enough to read it without any index. */
export interface BlobRef {
  readonly id: Buffer;
  /** Pack id as 32 hex digits. */
  readonly pack: string;
  readonly offset: number;
  readonly length: number;
}

/** The keyed id of a chunk, node or hooks (format §6). */
export const blobId = (keys: VaultKeys, plain: Buffer): Buffer => createHmac('sha256', keys.idKey).update(plain).digest();

const AAD_BYTES = 2 + 16 + ID_BYTES;

function fillAad(aad: Buffer, codec: Codec, kind: BlobKind, keys: VaultKeys, id: Buffer): Buffer {
  aad[0] = codec;
  aad[1] = kind;
  keys.vaultId.copy(aad, 2);
  id.copy(aad, 18);
  return aad;
}

const nonces = Buffer.alloc(341 * NONCE_BYTES);
let noncesUsed = nonces.length;

/** A random nonce. They are drawn by the hundred, because each call for random bytes costs as much as encrypting a kilobyte. */
function drawNonce(target: Buffer, at: number): void {
  if (noncesUsed === nonces.length) {
    randomFillSync(nonces);
    noncesUsed = 0;
  }
  nonces.copy(target, at, noncesUsed, noncesUsed + NONCE_BYTES);
  noncesUsed += NONCE_BYTES;
}

/**
 * Builds a blob into `target` at `offset` and returns its size. Decodes it from the very bytes it wrote and compares
 * with `plain`, so that corruption by memory, compressor or cipher never reaches the store.
 * `target` must have room for the plaintext and BLOB_OVERHEAD_BYTES.
 */
export function writeBlob(target: Buffer, offset: number, key: KeyObject, keys: VaultKeys, kind: BlobKind, id: Buffer, plain: Buffer, level: number): number {
  const compressed = compressChunk(plain, level);
  const useful = compressed.length < plain.length;
  const payload = useful ? compressed : plain;
  const codec = useful ? Codec.zstd : Codec.none;
  target[offset] = codec;
  const nonceStart = offset + 1;
  const bodyStart = nonceStart + NONCE_BYTES;
  drawNonce(target, nonceStart);
  const cipher = createCipheriv('aes-256-gcm', key, target.subarray(nonceStart, bodyStart));
  cipher.setAAD(fillAad(Buffer.allocUnsafe(AAD_BYTES), codec, kind, keys, id));
  cipher.update(payload).copy(target, bodyStart);
  cipher.final();
  cipher.getAuthTag().copy(target, bodyStart + payload.length);
  const length = BLOB_OVERHEAD_BYTES + payload.length;
  verifyWritten(target.subarray(offset, offset + length), key, keys, kind, id, plain);
  return length;
}

function verifyWritten(stored: Buffer, key: KeyObject, keys: VaultKeys, kind: BlobKind, id: Buffer, plain: Buffer): void {
  let back: Buffer;
  try {
    back = readBlob(stored, key, keys, kind, id, plain.length);
  } catch (cause) {
    throw new HoldfastError('WRITE_NOT_VERIFIED', `A blob of ${plain.length} bytes does not open: ${messageOf(cause)}`, { cause });
  }
  if (!back.equals(plain)) throw new HoldfastError('WRITE_NOT_VERIFIED', `A blob of ${plain.length} bytes did not decode to what was read`);
}

/**
 * Opens a blob: authenticates, decompresses. Throws a plain Error saying what is wrong; callers add where it lies.
 * Does not compare the plaintext with the id: see verifyId. What a chunk is decoded to is a view that the next call overwrites:
 * whoever keeps it copies it.
 */
export function readBlob(stored: Buffer, key: KeyObject, keys: VaultKeys, kind: BlobKind, id: Buffer, limitBytes: number): Buffer {
  if (stored.length < BLOB_OVERHEAD_BYTES) throw new Error(`a blob of ${stored.length} bytes is too short`);
  const codec = stored[0] as Codec;
  if (codec !== Codec.none && codec !== Codec.zstd) throw new Error(`unknown codec ${codec}`);
  const bodyStart = 1 + NONCE_BYTES;
  const bodyEnd = stored.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', key, stored.subarray(1, bodyStart));
  decipher.setAAD(fillAad(Buffer.allocUnsafe(AAD_BYTES), codec, kind, keys, id));
  decipher.setAuthTag(stored.subarray(bodyEnd));
  const payload = decipher.update(stored.subarray(bodyStart, bodyEnd));
  try {
    decipher.final();
  } catch (cause) {
    throw new Error('its authentication fails', { cause });
  }
  if (codec === Codec.none) {
    if (payload.length > limitBytes) throw new Error(`it holds ${payload.length} bytes, more than ${limitBytes}`);
    return payload;
  }
  return (kind === BlobKind.chunk ? decompressExactly(payload, limitBytes) : null) ?? decompress(payload, limitBytes);
}

/** True when the plaintext is what the id says. */
export const verifyId = (keys: VaultKeys, id: Buffer, plain: Buffer): boolean => blobId(keys, plain).equals(id);
