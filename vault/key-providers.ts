import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';
import { KEY_BYTES, NONCE_BYTES, TAG_BYTES } from './format';
import { derive } from './keys';

/** What opens a vault: a key file here, Azure Key Vault later. Returns the master key or throws KEY_REFUSED. */
export interface KeyProvider {
  /** The type of key documents that this provider can open. */
  readonly type: string;
  wrap(masterKey: Buffer, context: Buffer): Promise<Readonly<Record<string, string>>>;
  unwrap(document: KeyDocument, context: Buffer): Promise<Buffer>;
}

const keyDocumentSchema = z.looseObject({
  version: z.literal(1),
  keyId: z.string().regex(/^[0-9a-f]{16}$/),
  type: z.string(),
  createdAt: z.string(),
  label: z.string(),
  nonce: z.string().optional(),
  wrapped: z.string(),
});
export type KeyDocument = z.infer<typeof keyDocumentSchema>;

/** What a wrapped key is bound to: this vault and the very bytes of its vault.json. */
export const wrapContext = (vaultId: Buffer, vaultJson: Buffer): Buffer =>
  Buffer.concat([vaultId, createHash('sha256').update(vaultJson).digest()]);

export function parseKeyDocument(name: string, bytes: Buffer): KeyDocument {
  try {
    return keyDocumentSchema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new HoldfastError('VAULT_DAMAGED', `The key document ${name} is not what it should be`, { cause, data: { name } });
  }
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
  const aad = (context: Buffer): Buffer => Buffer.concat([Buffer.from('holdfast wrap v1|'), context]);
  const kek = (context: Buffer): Buffer => derive(secret, context.subarray(0, 16), 'holdfast wrap v1');
  return {
    type,
    wrap(masterKey, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', kek(context), nonce).setAAD(aad(context));
      const wrapped = Buffer.concat([cipher.update(masterKey), cipher.final(), cipher.getAuthTag()]);
      return Promise.resolve({ nonce: nonce.toString('base64url'), wrapped: wrapped.toString('base64url') });
    },
    unwrap(document, context) {
      return Promise.resolve().then(() => {
        const wrapped = Buffer.from(document.wrapped, 'base64url');
        const nonce = Buffer.from(document.nonce ?? '', 'base64url');
        try {
          const decipher = createDecipheriv('aes-256-gcm', kek(context), nonce, { authTagLength: TAG_BYTES }).setAAD(aad(context));
          decipher.setAuthTag(wrapped.subarray(KEY_BYTES));
          return Buffer.concat([decipher.update(wrapped.subarray(0, KEY_BYTES)), decipher.final()]);
        } catch (cause) {
          throw new HoldfastError('KEY_REFUSED', 'The key does not open this vault, or vault.json was changed', { cause });
        }
      });
    },
  };
}
