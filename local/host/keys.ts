/** The host's keys. They are secrets: never logged, kept in the journal, whose file only its owner may read. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Journal } from './journal';

export interface HostKeys {
  /** Opens everything. */
  readonly master: string;
  /** Opens functions of level `function`. */
  readonly function: string;
  /** Opens the durable management API. */
  readonly system: string;
}

export function readKeys(journal: Journal): HostKeys {
  const key = (name: string): string => journal.transaction(() => journal.meta(`key:${name}`, () => randomBytes(32).toString('base64url')));
  return { master: key('master'), function: key('function'), system: key('system') };
}

/** The key that a request brought, in the query or in its header. */
export function presentedKey(url: URL, headers: Headers): string | undefined {
  return url.searchParams.get('code') ?? headers.get('x-functions-key') ?? undefined;
}

/** Compares without telling by its duration how much was right. */
export function isOneOf(presented: string | undefined, accepted: readonly string[]): boolean {
  if (presented === undefined) return false;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return accepted.map((key) => timingSafeEqual(digest(key), digest(presented))).includes(true);
}
