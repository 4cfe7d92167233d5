import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { HoldfastError } from '../../errors/holdfast-error';
import { KEY_BYTES, NONCE_BYTES, TAG_BYTES } from '../format/format';
import type { KeyDocument, WrappedKey } from './key-document';
import { derive } from './keys';

/**
 * What opens a vault: a key file, a passphrase, a key in Azure Key Vault. Each leads to 32 secret bytes, and those wrap the master key
 * in the same way (format §4).
 */
export interface KeyProvider {
  /** The type of key documents that this provider can open. */
  readonly type: string;
  /**
   * False where anybody can make a document that this provider opens: a public key wraps for everyone. Such a document is believed
   * only because the vault says which master key is its own (`keyCheck` in vault.json).
   */
  readonly provesOrigin: boolean;
  /** How many documents of this type are tried at most, the oldest first; for providers whose every try costs much. */
  readonly maxTries?: number;
  wrap(masterKey: Buffer, context: Buffer): Promise<WrappedKey>;
  /** The master key. Throws KEY_REFUSED when this document is not for this provider; anything else says that it could not be tried. */
  unwrap(document: KeyDocument, context: Buffer): Promise<Buffer>;
}

const KEY_LINE = /^holdfast-key-v1:([A-Za-z0-9_-]{43})$/;

/** The text of a new key file for the vault, with remarks for whoever finds it. */
export function newKeyFile(vaultId: Buffer): { readonly text: string; readonly secret: Buffer } {
  const secret = randomBytes(KEY_BYTES);
  const text = [
    `# Holdfast key of the vault ${vaultId.toString('hex')}.`,
    '# Without it nothing in the vault can be restored. Keep a copy in a safe place, apart from the vault.',
    `holdfast-key-v1:${secret.toString('base64url')}`,
    '',
  ].join('\n');
  return { text, secret };
}

export function parseKeyFile(text: string, path: string): Buffer {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  const match = lines.length === 1 ? KEY_LINE.exec(lines[0] ?? '') : null;
  if (!match?.[1]) throw new HoldfastError('KEY_MALFORMED', `${path} holds no Holdfast key`, { data: { path } });
  return Buffer.from(match[1], 'base64url');
}

/** Wraps with the 32 secret bytes of a key file (format §4). */
export const keyFileProvider = (secret: Buffer): KeyProvider => secretProvider('key-file', secret);

/**
 * For a vault without encryption: the key that wraps is known to all, 32 zero bytes. So there is one way to read a vault, and a key
 * document that is damaged, or was left behind by an init that did not finish, is told apart from the vault's own.
 */
export const openKeyProvider: KeyProvider = secretProvider('none', Buffer.alloc(KEY_BYTES));

function secretProvider(type: string, secret: Buffer): KeyProvider {
  return {
    type,
    provesOrigin: true,
    wrap: (masterKey, context) => Promise.resolve(wrapUnder(secret, masterKey, context)),
    unwrap: (document, context) => Promise.resolve().then(() => unwrapUnder(secret, document, context)),
  };
}

const aad = (context: Buffer): Buffer => Buffer.concat([Buffer.from('holdfast wrap v1|'), context]);
const wrappingKey = (secret: Buffer, context: Buffer): Buffer => derive(secret, context.subarray(0, 16), 'holdfast wrap v1');

/** The common end of every provider: AES-256-GCM under a key that is derived from the provider's 32 secret bytes. */
export function wrapUnder(secret: Buffer, masterKey: Buffer, context: Buffer): { readonly nonce: string; readonly wrapped: string } {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', wrappingKey(secret, context), nonce).setAAD(aad(context));
  const wrapped = Buffer.concat([cipher.update(masterKey), cipher.final(), cipher.getAuthTag()]);
  return { nonce: nonce.toString('base64url'), wrapped: wrapped.toString('base64url') };
}

export function unwrapUnder(secret: Buffer, document: KeyDocument, context: Buffer): Buffer {
  const wrapped = Buffer.from(document.wrapped, 'base64url');
  const nonce = Buffer.from(document.nonce ?? '', 'base64url');
  try {
    if (wrapped.length !== KEY_BYTES + TAG_BYTES || nonce.length !== NONCE_BYTES) throw new Error('a field has the wrong length');
    const decipher = createDecipheriv('aes-256-gcm', wrappingKey(secret, context), nonce, { authTagLength: TAG_BYTES }).setAAD(aad(context));
    decipher.setAuthTag(wrapped.subarray(KEY_BYTES));
    return Buffer.concat([decipher.update(wrapped.subarray(0, KEY_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new HoldfastError('KEY_REFUSED', 'The key does not open this vault, or vault.json was changed', { cause });
  }
}
