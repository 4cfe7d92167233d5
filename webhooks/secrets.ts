import { z } from 'zod';

/** Of one target: what its messages are signed with, and what belongs to its address but must not be seen. */
export interface TargetSecrets {
  /** Keys of 24 to 64 bytes; more than one while they are exchanged: then a message carries a signature by each. */
  readonly keys: readonly Buffer[];
  /** The query of the address, without its `?`; empty where there is none. */
  readonly query: string;
}

/** As Standard Webhooks writes a secret: `whsec_` and base64 of 24 to 64 bytes. */
const secret = z.string().regex(/^whsec_[A-Za-z0-9+/]+={0,2}$/, 'expects whsec_ and base64').transform((text) => Buffer.from(text.slice('whsec_'.length), 'base64'))
  .refine((key) => key.length >= 24 && key.length <= 64, 'expects 24 to 64 bytes in base64');
const schema = z.record(z.string().regex(/^[a-z0-9-]{1,40}$/, 'expects names of targets'), z.strictObject({
  sign: z.array(secret).min(1).max(4), query: z.string().max(2000).regex(/^[^\s#?]*$/, 'expects a query without ?').default(''),
}));

/** What the platform leaves of a reference to Key Vault that it could not follow. Nobody is told then, but backups must not stop for that. */
export const isUnfollowed = (text: string): boolean => text.startsWith('@Microsoft.KeyVault(');

/**
 * Reads the setting HOLDFAST_WEBHOOK_SECRETS: `{ "TARGET": { "sign": ["whsec_…"], "query": "…" } }`. None where it is empty, or a reference that the platform could not follow.
 * Throws an Error that says what is expected, and never what it holds.
 */
export function parseWebhookSecrets(text: string): ReadonlyMap<string, TargetSecrets> {
  if (text === '' || isUnfollowed(text)) return new Map();
  const expected = 'expects {"TARGET": {"sign": ["whsec_…"]}} as JSON';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What a parser says of a text repeats a part of it.
    throw new Error(`${expected}; it is no JSON`);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new Error(`${expected}; ${parsed.error.issues.slice(0, 3).map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`);
  return new Map(Object.entries(parsed.data).map(([target, { sign, query }]) => [target, { keys: sign, query }]));
}
