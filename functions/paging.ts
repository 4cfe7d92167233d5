import type { HttpRequest } from '@azure/functions';
import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';

/** Of every list: how many entries a page has, and where it begins. */
export const pageQuery = {
  limit: z.string().regex(/^[1-9][0-9]{0,3}$/, 'expects a number from 1 to 1000').transform(Number).refine((limit) => limit <= 1000, 'expects a number from 1 to 1000').default(100)
    .meta({ description: 'Entries of a page: 1 to 1000' }),
  cursor: z.string().max(1000).optional().meta({ description: 'Out of a nextLink' }),
};
export type PageQuery = z.output<z.ZodObject<typeof pageQuery>>;

/** A list in an answer: a page of it, and the address of the next one. */
export const listOf = (id: string, entry: z.ZodType) =>
  z.strictObject({ value: z.array(entry), nextLink: z.string().nullable().meta({ description: 'The next page; null when this is the last' }) }).meta({ id });

/** Which way the keys of a list go. */
export type Order = 'ascending' | 'descending';

/**
 * A page of entries that are sorted by a key that no two share. What is added or removed between two pages neither repeats nor hides another entry, since a page
 * begins after a key and not at a place. Throws REQUEST_INVALID for a cursor that is none.
 */
export async function pageFrom<T, V>(
  request: HttpRequest, { limit, cursor }: PageQuery, entries: Iterable<T> | AsyncIterable<T>, keyOf: (entry: T) => string, show: (page: readonly T[]) => Promise<readonly V[]> | readonly V[], order: Order = 'ascending',
): Promise<{ value: readonly V[]; nextLink: string | null }> {
  const after = cursor === undefined ? undefined : keyIn(cursor);
  const isAfter = (key: string): boolean => after === undefined || (order === 'ascending' ? key > after : key < after);
  const page: T[] = [];
  for await (const entry of entries) {
    if (!isAfter(keyOf(entry))) continue;
    if (page.length === limit) return { value: await show(page), nextLink: nextLink(request, keyOf(page[limit - 1] as T)) };
    page.push(entry);
  }
  return { value: await show(page), nextLink: null };
}

/** By a key, in code units. */
export const sortedBy = <T>(entries: readonly T[], keyOf: (entry: T) => string, order: Order = 'ascending'): T[] => {
  const sign = order === 'ascending' ? 1 : -1;
  const keyed = entries.map((entry) => ({ key: keyOf(entry), entry }));
  return keyed.sort((a, b) => (a.key < b.key ? -sign : sign)).map(({ entry }) => entry);
};

/** What the Functions host reads in a query itself: the key of the function and its name. */
export const OF_THE_HOST: readonly string[] = ['code', 'clientId'];

/** The address that was asked for, without what the host takes out of it: a function key is never handed back. */
export function ownAddress(request: HttpRequest): URL {
  const address = new URL(request.url);
  for (const name of OF_THE_HOST) address.searchParams.delete(name);
  return address;
}

/** The address of the page after a key. */
export function nextLink(request: HttpRequest, key: string): string {
  const { pathname, searchParams } = ownAddress(request);
  searchParams.set('cursor', Buffer.from(key, 'utf8').toString('base64url'));
  return `${pathname}?${searchParams.toString()}`;
}

/** The key that a page begins after. Throws REQUEST_INVALID for a cursor that is none. */
export function keyIn(cursor: string): string {
  const key = Buffer.from(cursor, 'base64url').toString('utf8');
  if (key === '' || Buffer.from(key, 'utf8').toString('base64url') !== cursor) throw new HoldfastError('REQUEST_INVALID', 'The cursor is not one of a nextLink');
  return key;
}
