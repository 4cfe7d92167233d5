import { Readable } from 'node:stream';
import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';
import type { VaultAccess } from '../vault/format/tree';
import { isWanted, parseFilter, type TrailFilter } from '../vault/trail/filter';
import { recordsBackwards, recordsForwards } from '../vault/trail/read-trail';
import { OUTCOMES, trailSchema } from '../vault/trail/record';
import { keyIn, listOf, nextLink, pageQuery, type PageQuery } from './paging';
import { json } from './problem';
import { route } from './route';

/** Records that one answer looks at, however few of them are wanted: the next page goes on there. */
const MOST_READ = 2_000;

const text = (description: string) => z.string().min(1).max(200).optional().meta({ description });
const auditQuery = z.strictObject({
  ...pageQuery,
  format: z.enum(['json', 'jsonl']).default('json').meta({ description: 'jsonl: all that fits as JSON lines, the oldest first, without pages' }),
  who: text('A part of the id or the name'), action: text('An action, or what it begins with: recovery-point'), target: text('A part of the target'),
  outcome: z.enum(OUTCOMES).optional(), since: text('From this time on: 2026-11-23 or 2026-11-23T08:00:00Z'), until: text('Before this time'),
});

/** One that does not open is shown with its number alone: whoever looks must see that there is something. */
const entrySchema = z.union([trailSchema, z.strictObject({ number: z.int(), damaged: z.literal(true) })]).meta({ id: 'AuditEntry' });

const listAudit = route({
  id: 'listAudit', method: 'GET', path: 'audit', role: 'Reader', query: auditQuery, responses: { 200: listOf('AuditList', entrySchema) },
  summary: 'The audit trail, the newest first: who changed or restored what. A page may have fewer entries than its limit, or none, and a next one all the same',
  async handler({ request, query, services: { deps } }) {
    const filter = parseFilter(query);
    const vault = await deps.vault();
    return query.format === 'jsonl' ? lines(vault, filter) : json(await page(vault, request, query, filter));
  },
});

async function page(vault: VaultAccess, request: HttpRequest, { limit, cursor }: PageQuery, filter: TrailFilter): Promise<{ value: z.output<typeof entrySchema>[]; nextLink: string | null }> {
  const value: z.output<typeof entrySchema>[] = [];
  let read = 0;
  for await (const { number, record } of recordsBackwards(vault, cursor === undefined ? undefined : numberIn(cursor) - 1)) {
    if (record === null || isWanted(record, filter)) value.push(record ?? { number, damaged: true });
    read++;
    if (number > 1 && (value.length === limit || read === MOST_READ)) return { value, nextLink: nextLink(request, String(number)) };
  }
  return { value, nextLink: null };
}

function numberIn(cursor: string): number {
  const key = keyIn(cursor);
  if (!/^[1-9]\d{0,9}$/.test(key)) throw new HoldfastError('REQUEST_INVALID', 'The cursor is not one of a nextLink of the audit trail');
  return Number(key);
}

/** As a stream, since the whole trail may be long. It is not proved here: an app that vouches for its own trail proves nothing (`holdfast audit --verify`). */
function lines(vault: VaultAccess, filter: TrailFilter): HttpResponseInit {
  async function* all(): AsyncGenerator<string> {
    for await (const { number, record, digest } of recordsForwards(vault)) {
      if (record === null) yield `${JSON.stringify({ number, damaged: true })}\n`;
      else if (isWanted(record, filter)) yield `${JSON.stringify({ ...record, digest })}\n`;
    }
  }
  return { status: 200, headers: { 'content-type': 'application/jsonl; charset=utf-8', 'content-disposition': 'attachment; filename="holdfast-audit.jsonl"' }, body: Readable.toWeb(Readable.from(all(), { objectMode: false })) as HttpResponseInit['body'] };
}

export const auditRoutes = [listAudit];
