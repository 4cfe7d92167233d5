import type { HttpResponseInit } from '@azure/functions';
import { HoldfastError } from '../errors/holdfast-error';
import { json } from './problem';

interface Headers { get(name: string): string | null }

/** The revision that a change is based on: If-Match with the ETag of a GET, or If-None-Match: * for a new one; without either, any. */
export function expectedRevision(headers: Headers): number | null {
  if (headers.get('if-none-match') === '*') return 0;
  const match = headers.get('if-match');
  if (match === null || match === '*') return null;
  const revision = /^(?:W\/)?"(\d{1,8})"$/.exec(match)?.[1];
  if (!revision) throw new HoldfastError('REQUEST_INVALID', `If-Match expects the ETag of the document, such as "3"; it is ${match.slice(0, 40)}`);
  return Number(revision);
}

const etagOf = (revision: number): string => `"${revision}"`;

/** A document with its revision, which is its ETag too. */
export const revised = <T extends { readonly revision: number }>(document: T, status = 200): HttpResponseInit => json(document, { status, headers: { etag: etagOf(document.revision) } });

/** The same of one that was stored: 201 for the first. */
export const stored = <T extends { readonly revision: number }>(document: T): HttpResponseInit => revised(document, document.revision === 1 ? 201 : 200);

/** What a change of a document is about that waits for a second person: its revision now. */
export const overRevision = (revision: number): { fingerprint: string; ifMatch: string } => ({ fingerprint: `revision ${revision}`, ifMatch: etagOf(revision) });

/** Whoever asks for a change over another revision is refused by the handler. */
export function isStale({ revision }: { readonly revision: number }, { headers }: { readonly headers: Headers }, approved: boolean): boolean {
  const expected = approved ? null : expectedRevision(headers);
  return expected !== null && expected !== revision;
}
