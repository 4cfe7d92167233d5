import { randomBytes, scrypt } from 'node:crypto';
import { HoldfastError } from '../../errors/holdfast-error';
import { KEY_BYTES } from '../format/format';
import type { KeyDocument, WrappedKey } from './key-document';
import { type KeyProvider, unwrapUnder, wrapUnder } from './key-providers';

/**
 * The cost of guessing (RFC 7914): memory is 128 · N · r bytes, time grows with N · r · p. N of 2^17 with r 8 takes 128 MiB and some
 * tenths of a second: what OWASP's Password Storage Cheat Sheet asks for, and what the smallest Functions instance still has.
 */
export interface ScryptCost { readonly logN: number; readonly r: number; readonly p: number }
export const SCRYPT_COST: ScryptCost = { logN: 17, r: 8, p: 1 };

/** What a reader is ready to spend: the document is not authenticated before the work is done, and whoever can write to the vault can forge one. */
const LEAST_LOG_N = 14;
const MOST_LOG_N = 18;
const BLOCK_SIZE = 8;
const MOST_PARALLEL = 2;
const SALT_BYTES = 16;
/** Documents of the type that are tried, the oldest first: thousands of forged ones must not keep a machine busy for hours. */
const MAX_TRIES = 8;

/** Shorter ones are guessed by a machine, whatever scrypt costs. */
export const MIN_PASSPHRASE_CHARACTERS = 12;

/** Throws PASSPHRASE_WEAK for a passphrase that no new key should have. */
export function assertGoodPassphrase(passphrase: string): void {
  const characters = [...passphrase.normalize('NFC')];
  if (characters.length < MIN_PASSPHRASE_CHARACTERS || new Set(characters).size < 5) {
    throw new HoldfastError('PASSPHRASE_WEAK', `The passphrase has ${characters.length} characters, ${new Set(characters).size} of them different; ${MIN_PASSPHRASE_CHARACTERS} and 5 are the least`);
  }
}

/** Wraps with a passphrase: UTF-8 of its NFC form, through scrypt with a salt and a cost that stand in the document (format §4). */
export function passphraseProvider(passphrase: string, cost: ScryptCost = SCRYPT_COST): KeyProvider {
  const text = Buffer.from(passphrase.normalize('NFC'), 'utf8');
  return {
    type: 'passphrase',
    provesOrigin: true,
    maxTries: MAX_TRIES,
    async wrap(masterKey, context): Promise<WrappedKey> {
      assertAffordable(cost);
      const salt = randomBytes(SALT_BYTES);
      const secret = await stretch(text, salt, cost);
      return { ...wrapUnder(secret, masterKey, context), scrypt: { salt: salt.toString('base64url'), ...cost } };
    },
    async unwrap(document, context) {
      const { salt, cost: stored } = parametersOf(document);
      return unwrapUnder(await stretch(text, salt, stored), document, context);
    },
  };
}

function parametersOf({ keyId, scrypt: stored }: KeyDocument): { readonly salt: Buffer; readonly cost: ScryptCost } {
  const salt = Buffer.from(stored?.salt ?? '', 'base64url');
  if (!stored || salt.length !== SALT_BYTES) throw new HoldfastError('VAULT_DAMAGED', `The key document ${keyId} has no scrypt parameters with a salt of ${SALT_BYTES} bytes`, { data: { keyId } });
  const cost = { logN: stored.logN, r: stored.r, p: stored.p };
  assertAffordable(cost);
  return { salt, cost };
}

function assertAffordable({ logN, r, p }: ScryptCost): void {
  if (logN >= LEAST_LOG_N && logN <= MOST_LOG_N && r === BLOCK_SIZE && p >= 1 && p <= MOST_PARALLEL) return;
  throw new HoldfastError('VAULT_DAMAGED', `A passphrase document asks for scrypt with N = 2^${logN}, r = ${r}, p = ${p}; N from 2^${LEAST_LOG_N} to 2^${MOST_LOG_N}, r = ${BLOCK_SIZE} and p up to ${MOST_PARALLEL} are allowed`, { data: { logN, r, p } });
}

function stretch(passphrase: Buffer, salt: Buffer, { logN, r, p }: ScryptCost): Promise<Buffer> {
  const N = 2 ** logN;
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, KEY_BYTES, { N, r, p, maxmem: 128 * N * r + 1024 * 1024 }, (error, secret) => (error ? reject(error) : resolve(secret)));
  });
}
