import { createHash } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError } from '../../errors/holdfast-error';

/** A key document is some hundred bytes; what is larger was not written by Holdfast and is not read. */
export const KEY_DOCUMENT_LIMIT_BYTES = 16 * 1024;

const scryptSchema = z.object({ salt: z.string(), logN: z.int(), r: z.int(), p: z.int() });
const remoteSchema = z.object({ key: z.string(), algorithm: z.string(), secret: z.string() });

const keyDocumentSchema = z.looseObject({
  version: z.literal(1),
  keyId: z.string().regex(/^[0-9a-f]{16}$/),
  type: z.string(),
  createdAt: z.string(),
  label: z.string(),
  nonce: z.string().optional(),
  wrapped: z.string(),
  scrypt: scryptSchema.optional(),
  keyVault: remoteSchema.optional(),
});
export type KeyDocument = z.infer<typeof keyDocumentSchema>;

/** What a provider adds to a key document. */
export interface WrappedKey {
  readonly nonce: string;
  readonly wrapped: string;
  readonly scrypt?: z.infer<typeof scryptSchema>;
  readonly keyVault?: z.infer<typeof remoteSchema>;
}

/** What a wrapped key is bound to: this vault and the very bytes of its vault.json. */
export const wrapContext = (vaultId: Buffer, vaultJson: Buffer): Buffer =>
  Buffer.concat([vaultId, createHash('sha256').update(vaultJson).digest()]);

export const keyDocumentName = (keyId: string): string => `keys/${keyId}.json`;

/** Throws VAULT_NEWER_FORMAT for a version that this code does not know, VAULT_DAMAGED for anything else that is no key document. */
export function parseKeyDocument(name: string, bytes: Buffer): KeyDocument {
  const damaged = (cause?: unknown): HoldfastError => new HoldfastError('VAULT_DAMAGED', `The key document ${name} is not what it should be`, { cause, data: { name } });
  if (bytes.length > KEY_DOCUMENT_LIMIT_BYTES) throw damaged();
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw damaged(cause);
  }
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (typeof version === 'number' && version > 1) {
    throw new HoldfastError('VAULT_NEWER_FORMAT', `The key document ${name} has version ${version}; this version of Holdfast knows 1`, { data: { name, version } });
  }
  const parsed = keyDocumentSchema.safeParse(value);
  if (!parsed.success) throw damaged(parsed.error);
  return parsed.data;
}
