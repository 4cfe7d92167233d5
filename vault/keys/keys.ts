import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { KEY_BYTES } from '../format/format';

/** The keys of an open vault. Everything is derived from the master key, so this is all a worker thread needs. */
export interface VaultKeys {
  readonly vaultId: Buffer;
  readonly masterKey: Buffer;
  readonly idKey: KeyObject;
  /** Start value of the CRC that chooses where chunks end; keyed, so that chunk sizes say nothing about known files. */
  readonly cutSeed: number;
}

export const derive = (input: Buffer, salt: Buffer, info: string): Buffer => Buffer.from(hkdfSync('sha256', input, salt, info, KEY_BYTES));

export function deriveVaultKeys(vaultId: Buffer, masterKey: Buffer): VaultKeys {
  return {
    vaultId,
    masterKey,
    idKey: createSecretKey(derive(masterKey, vaultId, 'holdfast id v1')),
    cutSeed: derive(masterKey, vaultId, 'holdfast cut v1').readUInt32LE(0),
  };
}

/** Key objects, not bytes: node:crypto prepares bytes anew for every chunk, which costs as much as a quarter of the hashing. */
export const packKey = (keys: VaultKeys, packId: Buffer): KeyObject => createSecretKey(derive(keys.masterKey, packId, 'holdfast pack v1'));

const pseudorandomKeys = new WeakMap<VaultKeys, KeyObject>();

/**
 * The same as `derive`, in its two steps (RFC 5869): the first is the same for every document, and the second is one HMAC for a key of 32 bytes. Collection opens a
 * document for each recovery point there is, and hkdfSync took a fifth of that.
 */
export function documentKey(keys: VaultKeys, name: string): KeyObject {
  let pseudorandom = pseudorandomKeys.get(keys);
  if (!pseudorandom) pseudorandomKeys.set(keys, pseudorandom = createSecretKey(createHmac('sha256', keys.vaultId).update(keys.masterKey).digest()));
  // A key object: of bytes node:crypto first tries whether they are one, by an exception that costs three times what the cipher does.
  return createSecretKey(createHmac('sha256', pseudorandom).update(`holdfast document v1:${name}\u0001`).digest());
}
