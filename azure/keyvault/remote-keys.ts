import type { TokenCredential } from '@azure/identity';
import { z } from 'zod';
import type { Duty } from '../../activities/deps';
import { HoldfastError } from '../../errors/holdfast-error';
import { REMOTE_ALGORITHM, type RemoteKeys } from '../../vault/keys/remote-key';
import { type Patience, realWaiting, type Waiting } from '../disk/backoff';
import { type KeyVaultKeyId, parseKeyId, textOf } from './key-id';
import { createKeyVaultClient } from './key-vault-client';

export interface KeyVaultOptions {
  /** The id of the key: with a version, that very one; without, the newest wraps, and any version of it may unwrap. */
  readonly key: string;
  readonly credential: TokenCredential;
  readonly patience?: Patience;
  readonly waiting?: Waiting;
  /** PEM of the certificate authority to trust in place of the system's: for an emulator. */
  readonly ca?: string;
  readonly duty?: Duty;
}

const answerSchema = z.object({ kid: z.string(), value: z.string().regex(/^[A-Za-z0-9_-]+={0,2}$/) });

/**
 * Azure Key Vault as keeper of a vault's key. It needs the key operations wrapKey and unwrapKey and no other (role Key Vault Crypto Service Encryption
 * User), not even get. Wrapping is done by the service too, though the public key would do: so it is the service that says that key and version
 * exist, are enabled, and can do RSA-OAEP-256. Throws KEY_VAULT_ID.
 */
export function createKeyVaultKeys(options: KeyVaultOptions): RemoteKeys {
  const named = parseKeyId(options.key);
  const client = createKeyVaultClient({ ...options, origin: named.origin, waiting: options.waiting ?? realWaiting });
  const call = async (key: KeyVaultKeyId, operation: 'wrapkey' | 'unwrapkey', value: Buffer): Promise<{ key: KeyVaultKeyId; value: Buffer }> => {
    const doing = operation === 'wrapkey' ? 'wrap with' : 'unwrap with';
    const answer = await client.post(`/keys/${key.name}/${key.version ?? ''}/${operation}`, { alg: REMOTE_ALGORITHM, value: value.toString('base64url') }, textOf(key), doing);
    const parsed = answerSchema.safeParse(answer);
    const used = parsed.success ? parseKeyId(parsed.data.kid) : undefined;
    if (!parsed.success || !used || !isWithin(used, key)) throw new HoldfastError('KEY_VAULT_UNREACHABLE', `The answer for ${textOf(key)} is not one of Key Vault's, or of another key`, { data: { key: textOf(key), status: 200, serviceCode: '' } });
    return { key: used, value: Buffer.from(parsed.data.value, 'base64url') };
  };
  return {
    mayUse(text) {
      try {
        const key = parseKeyId(text);
        return key.version !== undefined && isWithin(key, named);
      } catch {
        // The id comes from the vault: one that cannot be read is one that may not be used.
        return false;
      }
    },
    async wrap(secret) {
      const { key, value } = await call(named, 'wrapkey', secret);
      if (key.version === undefined) throw new HoldfastError('KEY_VAULT_UNREACHABLE', `The answer for ${textOf(named)} does not say which version wrapped`, { data: { key: textOf(named), status: 200, serviceCode: '' } });
      return { key: textOf(key), wrapped: value };
    },
    unwrap: async (text, wrapped) => (await call(parseKeyId(text), 'unwrapkey', wrapped)).value,
  };
}

/** The same key, and the same version where one is named. Names are compared without case, as Key Vault does. */
function isWithin(key: KeyVaultKeyId, wanted: KeyVaultKeyId): boolean {
  return key.origin === wanted.origin && key.name.toLowerCase() === wanted.name.toLowerCase() && (wanted.version === undefined || key.version === wanted.version);
}
