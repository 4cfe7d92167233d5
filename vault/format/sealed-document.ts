import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { HoldfastError } from '../../errors/holdfast-error';
import { Codec, DOCUMENT_HEADER_BYTES, DOCUMENT_LIMIT_BYTES, DOCUMENT_MAGIC, FORMAT_VERSION, NONCE_BYTES, TAG_BYTES } from './format';
import { documentKey, type VaultKeys } from '../keys/keys';
import { contentBytes, decompressExactly } from './zstd';

const MIN_BYTES = DOCUMENT_HEADER_BYTES + NONCE_BYTES + TAG_BYTES;
/** Below this zstd gains nothing. */
const COMPRESS_FROM_BYTES = 256;

const aad = (header: Buffer, keys: VaultKeys, name: string): Buffer => Buffer.concat([header, keys.vaultId, Buffer.from(name, 'utf8')]);

/** Seals a JSON value under the name of its object (format §5). Opens what it built before it returns it. */
export function sealDocument(keys: VaultKeys, name: string, value: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(value), 'utf8');
  if (json.length > DOCUMENT_LIMIT_BYTES) {
    throw new HoldfastError('INTERNAL', `The document ${name} is ${json.length} bytes, more than ${DOCUMENT_LIMIT_BYTES}`);
  }
  const compressed = json.length >= COMPRESS_FROM_BYTES;
  const header = Buffer.alloc(DOCUMENT_HEADER_BYTES);
  DOCUMENT_MAGIC.copy(header);
  header.writeUInt8(FORMAT_VERSION, 4);
  header.writeUInt8(compressed ? Codec.zstd : Codec.none, 5);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', documentKey(keys, name), nonce).setAAD(aad(header, keys, name));
  const body = cipher.update(compressed ? zstdCompressSync(json) : json);
  const sealed = Buffer.concat([header, nonce, body, cipher.final(), cipher.getAuthTag()]);
  if (!opensTo(keys, name, sealed, json)) throw new HoldfastError('WRITE_NOT_VERIFIED', `The document ${name} did not open to what was sealed`);
  return sealed;
}

function opensTo(keys: VaultKeys, name: string, sealed: Buffer, json: Buffer): boolean {
  try {
    return openBytes(keys, name, sealed).equals(json);
  } catch (cause) {
    throw new HoldfastError('WRITE_NOT_VERIFIED', `The document ${name} does not open after it was sealed`, { cause });
  }
}

/** Opens a sealed document. Throws VAULT_NEWER_FORMAT or DOCUMENT_DAMAGED; the caller checks the shape of the value. */
export function openDocument(keys: VaultKeys, name: string, sealed: Buffer): unknown {
  const json = openBytes(keys, name, sealed).toString('utf8');
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw damaged(name, 'its content is not JSON', cause);
  }
}

function openBytes(keys: VaultKeys, name: string, sealed: Buffer): Buffer {
  if (sealed.length < MIN_BYTES) throw damaged(name, `it has ${sealed.length} bytes, fewer than ${MIN_BYTES}`);
  if (!sealed.subarray(0, 4).equals(DOCUMENT_MAGIC)) throw damaged(name, 'it does not start as a sealed document does');
  const version = sealed.readUInt8(4);
  if (version !== FORMAT_VERSION) throw new HoldfastError('VAULT_NEWER_FORMAT', `The document ${name} has version ${version}; this is version ${FORMAT_VERSION}`, { data: { name, version } });
  const header = sealed.subarray(0, DOCUMENT_HEADER_BYTES);
  const bodyStart = DOCUMENT_HEADER_BYTES + NONCE_BYTES;
  const bodyEnd = sealed.length - TAG_BYTES;
  let payload: Buffer;
  try {
    const decipher = createDecipheriv('aes-256-gcm', documentKey(keys, name), sealed.subarray(DOCUMENT_HEADER_BYTES, bodyStart))
      .setAAD(aad(header, keys, name));
    decipher.setAuthTag(sealed.subarray(bodyEnd));
    payload = Buffer.concat([decipher.update(sealed.subarray(bodyStart, bodyEnd)), decipher.final()]);
  } catch (cause) {
    throw damaged(name, 'its authentication fails', cause);
  }
  const codec = header.readUInt8(5);
  if (codec === Codec.none) return payload;
  if (codec !== Codec.zstd) throw damaged(name, `its codec is ${codec}`);
  return decompressDocument(name, payload);
}

/** A view that the next call may overwrite. */
function decompressDocument(name: string, payload: Buffer): Buffer {
  // A context for each document is most of what opening it costs, and collection opens one for each recovery point.
  const bytes = contentBytes(payload);
  const plain = bytes === null ? null : decompressExactly(payload, bytes);
  if (plain) return plain;
  try {
    // Most documents have a few KiB: zlib's own buffers of 64 KiB for each would be most of what reading many of them costs in memory.
    return zstdDecompressSync(payload, { maxOutputLength: DOCUMENT_LIMIT_BYTES, chunkSize: Math.min(64 * 1024, Math.max(4096, 8 * payload.length)) });
  } catch (cause) {
    throw damaged(name, 'it does not decompress', cause);
  }
}

const damaged = (name: string, why: string, cause?: unknown): HoldfastError =>
  new HoldfastError('DOCUMENT_DAMAGED', `The document ${name} does not open: ${why}`, { cause, data: { name } });
