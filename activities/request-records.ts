import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isHoldfastError } from '../errors/holdfast-error';
import { createDocument, findDocument } from '../vault/format/documents';
import type { VaultAccess } from '../vault/format/tree';
import { listNames } from '../vault/store/list-names';

/**
 * What requests with an Idempotency-Key leave in the vault, so that the same key gets the same answer again: after a restart, and on every machine of the app (format §13.1).
 * Everything is create-only. A try has a number; whoever creates `requests/<id>/<number>` makes that try, and its answer lies beside it.
 */
const PREFIX = 'requests/';
const DAY_MS = 86_400_000;
/** A repeat within this time gets the same answer; maintenance removes what is older. */
export const REQUEST_KEPT_MS = 7 * DAY_MS;
/** After this a try without an answer died: no function that answers a request lives so long. */
const DEAD_AFTER_MS = 10 * 60_000;
const MAX_TRIES = 1000;

const trySchema = z.strictObject({ version: z.literal(1), fingerprint: z.string().regex(/^[0-9a-f]{64}$/), at: z.iso.datetime() });
const answerSchema = z.strictObject({
  version: z.literal(1),
  /** answered: this is what every repeat is told. nothing: it was refused, and a repeat may try anew. unknown: it broke off, and may have started something. */
  outcome: z.enum(['answered', 'nothing', 'unknown']),
  answer: z.strictObject({ status: z.int(), headers: z.record(z.string(), z.string()), body: z.unknown() }).nullable(),
});
export type StoredAnswer = NonNullable<z.output<typeof answerSchema>['answer']>;

/** A try that the caller makes now. */
export interface RequestTry {
  readonly id: string;
  readonly number: number;
  /** When it began; milliseconds since 1970. */
  readonly atMs: number;
  /** When earlier tries began whose outcome nobody knows: each may have started what this one is to start. */
  readonly earlierMs: readonly number[];
}

export type Claim =
  | { readonly kind: 'mine'; readonly mine: RequestTry }
  | { readonly kind: 'answered'; readonly answer: StoredAnswer }
  /** Somebody is at it. */
  | { readonly kind: 'pending' }
  /** The key was given with another request before. */
  | { readonly kind: 'other' };

/** The id of a key in the vault: of the caller's own, since two callers may choose the same key. */
export const requestIdOf = (callerId: string, key: string): string => createHash('sha256').update(JSON.stringify([callerId, key])).digest('hex').slice(0, 40);

const tryName = (id: string, number: number): string => `${PREFIX}${id}/${String(number).padStart(4, '0')}`;
const answerName = (id: string, number: number): string => `${tryName(id, number)}.answer`;

/** Takes the request, or says why not. Two at once: one has it. */
export async function claimRequest(vault: VaultAccess, id: string, fingerprint: string, nowMs: number): Promise<Claim> {
  const earlierMs: number[] = [];
  for (let number = 1; number <= MAX_TRIES; number++) {
    const made = await findDocument(vault, tryName(id, number), trySchema);
    if (!made) {
      const created = await createDocument(vault, tryName(id, number), { version: 1, fingerprint, at: new Date(nowMs).toISOString() } satisfies z.input<typeof trySchema>);
      return created === 'created' ? { kind: 'mine', mine: { id, number, atMs: nowMs, earlierMs } } : { kind: 'pending' };
    }
    if (made.fingerprint !== fingerprint) return { kind: 'other' };
    const answer = await findDocument(vault, answerName(id, number), answerSchema);
    if (answer?.answer) return { kind: 'answered', answer: answer.answer };
    if (!answer && nowMs - Date.parse(made.at) < DEAD_AFTER_MS) return { kind: 'pending' };
    if (answer?.outcome !== 'nothing') earlierMs.push(Date.parse(made.at));
  }
  return { kind: 'pending' };
}

export async function answerRequest(vault: VaultAccess, { id, number }: RequestTry, outcome: StoredAnswer | 'nothing' | 'unknown'): Promise<void> {
  const document = typeof outcome === 'string' ? { outcome, answer: null } : { outcome: 'answered' as const, answer: outcome };
  await createDocument(vault, answerName(id, number), { version: 1, ...document } satisfies z.input<typeof answerSchema>);
}

/** Removes requests whose time is over. */
export async function forgetRequests(vault: VaultAccess, serverNowMs: number): Promise<number> {
  let removed = 0;
  // A request's tries go together: its last one decides, so that no key is half forgotten.
  const newest = new Map<string, number>();
  for await (const { name, modifiedAtMs } of vault.store.list(PREFIX)) {
    const id = name.slice(0, name.lastIndexOf('/'));
    newest.set(id, Math.max(newest.get(id) ?? 0, modifiedAtMs));
  }
  for (const [folder, atMs] of newest) {
    if (serverNowMs - atMs < REQUEST_KEPT_MS) continue;
    const names: string[] = [];
    for await (const name of listNames(vault.store, `${folder}/`)) names.push(name);
    // From the end: a try without its answer counts as one that died; an answer without its try would be told to the next one.
    for (const name of names.sort().reverse()) {
      try {
        if (await vault.store.delete(name) === 'deleted') removed++;
      } catch (error) {
        // A WORM policy holds it: then a later maintenance removes it.
        if (!isHoldfastError(error, 'STORE_IMMUTABLE')) throw error;
        break;
      }
    }
  }
  return removed;
}
