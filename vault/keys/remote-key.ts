import { randomBytes } from 'node:crypto';
import { HoldfastError } from '../../errors/holdfast-error';
import { KEY_BYTES } from '../format/format';
import type { KeyDocument, WrappedKey } from './key-document';
import { type KeyProvider, unwrapUnder, wrapUnder } from './key-providers';

/** The one algorithm: RSA-OAEP with SHA-1 and PKCS #1 v1.5 are not accepted, whatever a document says. */
export const REMOTE_ALGORITHM = 'RSA-OAEP-256';
/** Each try is a request to a service. */
const MAX_TRIES = 16;

/** A service that keeps a private key and never hands it out, such as Azure Key Vault. Implemented in azure/keyvault/. */
export interface RemoteKeys {
  /** True when a key of this full id, version included, is one that may be asked: the id in a document comes from the vault, which others may write to. */
  mayUse(key: string): boolean;
  /** Wraps with the key that is to be used for new documents; answers its full id with the version that did it. Throws KEY_VAULT_ errors. */
  wrap(secret: Buffer): Promise<{ readonly key: string; readonly wrapped: Buffer }>;
  /** Throws KEY_REFUSED when the key says no to this very text, other KEY_VAULT_ errors when it could not be asked. */
  unwrap(key: string, wrapped: Buffer): Promise<Buffer>;
}

/**
 * Wraps with a remote key. The remote key wraps 32 random bytes, drawn for this document, and those wrap the master key like a key file does: so the
 * master key itself is never sent anywhere, and the document is bound to its vault as every other.
 */
export function remoteKeyProvider(remote: RemoteKeys): KeyProvider {
  return {
    type: 'key-vault',
    provesOrigin: false,
    maxTries: MAX_TRIES,
    async wrap(masterKey, context): Promise<WrappedKey> {
      const secret = randomBytes(KEY_BYTES);
      const { key, wrapped } = await remote.wrap(secret);
      return { ...wrapUnder(secret, masterKey, context), keyVault: { key, algorithm: REMOTE_ALGORITHM, secret: wrapped.toString('base64url') } };
    },
    async unwrap(document, context) {
      const { key, secret } = remotePart(document);
      if (!remote.mayUse(key)) {
        throw new HoldfastError('KEY_REFUSED', `The key document ${document.keyId} is wrapped by ${key.slice(0, 200)}, which is not the Key Vault key that was named`, { data: { keyId: document.keyId } });
      }
      const opened = await remote.unwrap(key, secret);
      if (opened.length !== KEY_BYTES) throw new HoldfastError('KEY_REFUSED', `The Key Vault key opened the key document ${document.keyId} to ${opened.length} bytes instead of ${KEY_BYTES}`);
      return unwrapUnder(opened, document, context);
    },
  };
}

function remotePart({ keyId, keyVault }: KeyDocument): { readonly key: string; readonly secret: Buffer } {
  if (!keyVault) throw new HoldfastError('VAULT_DAMAGED', `The key document ${keyId} does not name its Key Vault key`, { data: { keyId } });
  if (keyVault.algorithm !== REMOTE_ALGORITHM) {
    throw new HoldfastError('VAULT_DAMAGED', `The key document ${keyId} asks for ${keyVault.algorithm.slice(0, 40)}; only ${REMOTE_ALGORITHM} is accepted`, { data: { keyId } });
  }
  return { key: keyVault.key, secret: Buffer.from(keyVault.secret, 'base64url') };
}
