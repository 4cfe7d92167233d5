/**
 * Reads a recovery point back from docs/vault-format.md alone. Shares no code with vault/, on purpose: where the two disagree,
 * the document or the code is wrong. Node's crypto, zlib and fs only. Keeps a whole disk in memory: for small test disks.
 */
import assert from 'node:assert/strict';
import { constants, createDecipheriv, createHash, createHmac, hkdfSync, type KeyObject, privateDecrypt, scryptSync } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { crc32, zstdDecompressSync } from 'node:zlib';

interface Ref { id: string; pack: string; offset: number; length: number }
interface KeyDocument {
  version: number; type: string; nonce: string; wrapped: string;
  scrypt?: { salt: string; logN: number; r: number; p: number }; keyVault?: { key: string; algorithm: string; secret: string };
}
/** A Key Vault key is here its private half, by the full id that a document names. */
export type IndependentKey = string | null | { readonly passphrase: string } | { readonly keyVault: string; readonly privateKey: KeyObject };
export interface IndependentProof { readonly recoveryPoint: string; readonly state: 'whole' | 'damaged'; readonly damage: readonly { readonly pack: string | null }[] }
export interface IndependentDisk { readonly name: string; readonly bytes: Buffer }

export class IndependentReader {
  readonly #folder: string;
  readonly #vaultId: Buffer;
  readonly #master: Buffer;
  readonly #packs = new Map<string, Buffer>();

  /** `key` opens the vault: the text of a key file, null for a vault without encryption, or one of the others of §4.1. */
  constructor(folder: string, key: IndependentKey) {
    this.#folder = folder;
    const vaultJson = readFileSync(path.join(folder, 'vault.json'));
    const vault = JSON.parse(vaultJson.toString('utf8')) as { format: string; version: number; vaultId: string; keyCheck?: string };
    assert.equal(vault.format, 'holdfast-vault');
    assert.equal(vault.version, 1);
    this.#vaultId = Buffer.from(vault.vaultId, 'hex');
    const aad = Buffer.concat([Buffer.from('holdfast wrap v1|', 'ascii'), this.#vaultId, createHash('sha256').update(vaultJson).digest()]);
    const type = key === null ? 'none' : typeof key === 'string' ? 'key-file' : 'passphrase' in key ? 'passphrase' : 'key-vault';
    const opened = readdirSync(path.join(folder, 'keys')).flatMap((file) => attempt(() => JSON.parse(readFileSync(path.join(folder, 'keys', file), 'utf8')) as KeyDocument))
      .filter((document) => document.version === 1 && document.type === type)
      .flatMap((document) => attempt(() => decrypt(derive(secretOf(document, key), this.#vaultId, 'holdfast wrap v1'), Buffer.from(document.nonce, 'base64url'), Buffer.from(document.wrapped, 'base64url'), aad)))
      .filter((master) => vault.keyCheck === undefined ? type !== 'key-vault' : derive(master, this.#vaultId, 'holdfast key check v1').toString('hex') === vault.keyCheck);
    assert.ok(opened[0], 'no key document opens');
    this.#master = opened[0];
  }

  /** §5 */
  document(name: string): unknown {
    const bytes = readFileSync(path.join(this.#folder, ...name.split('/')));
    assert.equal(bytes.toString('latin1', 0, 4), 'HFDC');
    assert.equal(bytes[4], 1);
    const aad = Buffer.concat([bytes.subarray(0, 8), this.#vaultId, Buffer.from(name, 'utf8')]);
    const payload = decrypt(derive(this.#master, this.#vaultId, `holdfast document v1:${name}`), bytes.subarray(8, 20), bytes.subarray(20), aad);
    return JSON.parse((bytes[5] === 1 ? zstdDecompressSync(payload) : payload).toString('utf8'));
  }

  /** §8.1 */
  recoveryPoint(itemId: string, stamp: string): IndependentDisk[] {
    const manifest = this.document(`recovery-points/${itemId}/${stamp}`) as { format: string; version: number; disks: { name: string; sizeBytes: number; root: Ref | null }[] };
    assert.equal(manifest.format, 'holdfast-recovery-point');
    assert.equal(manifest.version, 1);
    return manifest.disks.map(({ name, sizeBytes, root }) => {
      const disk = Buffer.alloc(Math.ceil(sizeBytes / 4096) * 4096);
      if (root) {
        for (const [region, regionRef] of this.#children(root, 2, 0, sizeBytes)) {
          for (const [window, leafRef] of this.#children(regionRef, 1, region, sizeBytes)) this.#leaf(leafRef, region * 1024 + window, disk);
        }
      }
      return { name, bytes: disk.subarray(0, sizeBytes) };
    });
  }

  /** §11: the last finished proof of a recovery point by the names of its proofs, or null. */
  lastProof(item: string, stamp: string): IndependentProof | null {
    const folder = path.join(this.#folder, 'proofs', item, stamp);
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => !name.endsWith('.part')).sort() : [];
    const last = names.at(-1);
    return last === undefined ? null : this.document(`proofs/${item}/${stamp}/${last}`) as IndependentProof;
  }

  /** §12: the packs of the ledger, each with what its entry says. */
  damage(): Map<string, { code: string; recoveryPoints: string[] }> {
    const folder = path.join(this.#folder, 'damage');
    return new Map((existsSync(folder) ? readdirSync(folder) : []).map((pack) => [pack, this.document(`damage/${pack}`) as { code: string; recoveryPoints: string[] }]));
  }

  /** §15: the records of the audit trail, each of them proved to be the one that follows the one before. */
  trail(): { number: number; action: string; outcome: string; begun: number | null; who: { kind: string; verified: boolean } }[] {
    const folder = path.join(this.#folder, 'audit');
    let before: string | null = null;
    return (existsSync(folder) ? readdirSync(folder).sort() : []).map((file, index) => {
      assert.equal(file, String(index + 1).padStart(10, '0'));
      const record = this.document(`audit/${file}`) as { version: number; number: number; before: string | null; action: string; outcome: string; begun: number | null; who: { kind: string; verified: boolean } };
      assert.deepEqual([record.version, record.number, record.before], [1, index + 1, before]);
      before = createHash('sha256').update(readFileSync(path.join(folder, file))).digest('hex');
      return record;
    });
  }

  /** §7.3 */
  #children(ref: Ref, level: number, index: number, sizeBytes: number): [number, Ref][] {
    const node = this.#blob('meta', 2, ref);
    assert.equal(node.toString('latin1', 0, 4), 'HFIN');
    assert.deepEqual([node[4], node[5], node.readUInt32LE(8), Number(node.readBigUInt64LE(12))], [1, level, index, sizeBytes]);
    const [packs, children, usage, hooks] = [node.readUInt32LE(20), node.readUInt32LE(24), node.readUInt32LE(28), node[32] as number];
    const start = 36 + 16 * packs + 44 * hooks;
    assert.equal(node.length, start + 48 * children + 16 * usage);
    return Array.from({ length: children }, (_, child) => {
      const at = start + 48 * child;
      const pack = 36 + 16 * node.readUInt32LE(at + 4);
      return [node.readUInt32LE(at), { pack: node.toString('hex', pack, pack + 16), offset: node.readUInt32LE(at + 8), length: node.readUInt32LE(at + 12), id: node.toString('hex', at + 16, at + 48) }];
    });
  }

  /** §7.2 */
  #leaf(ref: Ref, window: number, disk: Buffer): void {
    const node = this.#blob('meta', 2, ref);
    assert.equal(node.toString('latin1', 0, 4), 'HFLF');
    assert.deepEqual([node[4], node[5], node.readUInt32LE(8)], [1, 0, window]);
    const [packs, entries] = [node.readUInt16LE(6), node.readUInt32LE(12)];
    let at = 16 + 16 * packs;
    let block = window * 16_384;
    for (let entry = 0; entry < entries; entry++) {
      const [blocks, pack] = [node.readUInt16LE(at), node.readUInt16LE(at + 2)];
      at += 4;
      if (pack !== 0xffff) {
        const chunk = this.#blob('data', 1, { pack: node.toString('hex', 16 + 16 * pack, 32 + 16 * pack), offset: node.readUInt32LE(at), length: node.readUInt32LE(at + 4), id: node.toString('hex', at + 8, at + 40) });
        assert.equal(chunk.length, blocks * 4096);
        chunk.copy(disk, block * 4096);
        at += 40;
      }
      block += blocks;
    }
    assert.equal(at, node.length);
    assert.equal(block, Math.min((window + 1) * 16_384, disk.length / 4096));
  }

  /** §6 */
  #blob(folder: 'data' | 'meta', kind: number, ref: Ref): Buffer {
    const pack = this.#pack(folder, ref.pack);
    const plain = this.#openBlob(pack.subarray(ref.offset, ref.offset + ref.length), kind, Buffer.from(ref.id, 'hex'), Buffer.from(ref.pack, 'hex'));
    assert.equal(createHmac('sha256', derive(this.#master, this.#vaultId, 'holdfast id v1')).update(plain).digest('hex'), ref.id);
    return plain;
  }

  #pack(folder: 'data' | 'meta', pack: string): Buffer {
    const bytes = this.#packs.get(pack) ?? readFileSync(path.join(this.#folder, 'packs', folder, pack.slice(0, 2), pack));
    this.#packs.set(pack, bytes);
    return bytes;
  }

  #openBlob(stored: Buffer, kind: number, id: Buffer, packId: Buffer): Buffer {
    const aad = Buffer.concat([Buffer.from([stored[0] as number, kind]), this.#vaultId, id]);
    const payload = decrypt(derive(this.#master, packId, 'holdfast pack v1'), stored.subarray(1, 13), stored.subarray(13), aad);
    return stored[0] === 1 ? zstdDecompressSync(payload) : payload;
  }

  /** Every chunk or node of a pack by what the pack says of itself (§6): ids in hex, each opened and proved. */
  packIds(folder: 'data' | 'meta', pack: string): string[] {
    const bytes = this.#pack(folder, pack);
    assert.equal(bytes.toString('hex', 0, 8), '48465041434b0d0a');
    assert.deepEqual([bytes[8], bytes[9]], [1, folder === 'data' ? 1 : 2]);
    assert.equal(bytes.toString('hex', 16, 48), this.#vaultId.toString('hex') + pack);
    assert.equal(bytes.toString('hex', bytes.length - 8), '4846454e440d0a1a');
    const end = bytes.length - 16;
    const start = end - bytes.readUInt32LE(end);
    assert.equal(bytes.readUInt32LE(end + 4), crc32(Buffer.concat([bytes.subarray(0, 48), bytes.subarray(start, end)])));
    const footer = this.#openBlob(bytes.subarray(start, end), 3, Buffer.alloc(32), Buffer.from(pack, 'hex'));
    return Array.from({ length: footer.readUInt32LE(0) }, (_, row) => {
      const at = 4 + 44 * row;
      const ref = { pack, id: footer.toString('hex', at, at + 32), offset: footer.readUInt32LE(at + 32), length: footer.readUInt32LE(at + 36) };
      const plain = attempt(() => this.#blob(folder, folder === 'data' ? 1 : 2, ref))[0] ?? this.#blob(folder, 4, ref);
      assert.equal(plain.length, footer.readUInt32LE(at + 40));
      return ref.id;
    });
  }
}

const derive = (input: Buffer, salt: Buffer, info: string): Buffer => Buffer.from(hkdfSync('sha256', input, salt, Buffer.from(info, 'utf8'), 32));

/** AES-256-GCM; the tag is the last 16 bytes. */
function decrypt(key: Buffer, nonce: Buffer, sealed: Buffer, aad: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
}

/** §4.1 to §4.3 */
function secretOf(document: KeyDocument, key: IndependentKey): Buffer {
  if (key === null) return Buffer.alloc(32);
  if (typeof key === 'string') {
    const line = key.split(/\r?\n/).find((one) => one.startsWith('holdfast-key-v1:')) ?? '';
    return Buffer.from(line.slice('holdfast-key-v1:'.length).trim(), 'base64url');
  }
  if ('passphrase' in key) {
    assert.ok(document.scrypt && document.scrypt.logN >= 14 && document.scrypt.logN <= 18 && document.scrypt.r === 8 && document.scrypt.p <= 2);
    const N = 2 ** document.scrypt.logN;
    return scryptSync(Buffer.from(key.passphrase.normalize('NFC'), 'utf8'), Buffer.from(document.scrypt.salt, 'base64url'), 32, { N, r: 8, p: document.scrypt.p, maxmem: 2 ** 29 });
  }
  assert.ok(document.keyVault && document.keyVault.algorithm === 'RSA-OAEP-256' && document.keyVault.key === key.keyVault);
  return privateDecrypt({ key: key.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, Buffer.from(document.keyVault.secret, 'base64url'));
}

function attempt<T>(step: () => T): T[] {
  try {
    return [step()];
  } catch (error) {
    if (error instanceof Error) return [];
    throw error;
  }
}
