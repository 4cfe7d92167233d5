import type { HttpRequest } from '@azure/functions';
import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';
import { findDisk, loadRecoveryPoint } from '../vault/catalog';
import { isUnreadable } from '../vault/format/documents';
import { diskTree, type ManifestDisk } from '../vault/format/manifest';
import { openDocument, sealDocument } from '../vault/format/sealed-document';
import type { VaultAccess } from '../vault/format/tree';
import { readRange } from '../vault/transfer/read-range';
import { located } from './problem';
import { BINARY, pathId, route } from './route';
import { bytes, time } from './schemas/common';

/** What one answer holds at most: a function puts it together in memory, and the Functions host takes it over whole. */
export const EXPORT_PART_BYTES = 16 * 1024 * 1024;
/** So long an export may take. */
const EXPORT_MS = 24 * 3_600_000;

/**
 * A permission to read a disk: sealed with the vault's key, so that nobody else can make one and none is stored. It names who it is for; whoever brings it still has to sign in with the
 * role. So an export is one record of the audit trail, however many parts it comes in.
 */
const ticketSchema = z.strictObject({ recoveryPoint: z.string(), lun: z.string(), caller: z.string(), untilMs: z.number() });
const TICKET = 'export-ticket';

const exportBody = z.strictObject({ disk: z.string().min(1).max(120).optional().meta({ description: 'Its name or LUN; needed where there are several' }) }).default({});

const startExport = route({
  id: 'startExport', method: 'POST', path: 'recovery-points/{id}/exports', role: 'RestoreOperator', action: 'recovery-point.export', params: z.strictObject({ id: pathId }), body: exportBody,
  audit: ({ body }) => ({ disk: body.disk ?? null, format: 'raw', to: 'http' }),
  responses: { 201: z.strictObject({ recoveryPoint: z.string(), disk: z.string(), lun: z.string(), sizeBytes: bytes, partBytes: bytes, expiresAt: time, location: z.string() }).meta({ id: 'Export' }) },
  summary: 'Opens a disk of a recovery point for reading: its bytes are at the address that this answers, in parts, for a day',
  async handler({ params, body, caller, services: { others: { restore: deps } } }) {
    const vault = await deps.vault();
    const { manifest } = await loadRecoveryPoint(vault, params.id);
    const disk = findDisk(manifest, body.disk);
    const untilMs = deps.nowMs() + EXPORT_MS;
    const ticket = sealDocument(vault.keys, TICKET, { recoveryPoint: manifest.id, lun: disk.lun, caller: caller.id, untilMs } satisfies z.input<typeof ticketSchema>).toString('base64url');
    return located({ recoveryPoint: manifest.id, disk: disk.name, lun: disk.lun, sizeBytes: disk.sizeBytes, partBytes: EXPORT_PART_BYTES, expiresAt: new Date(untilMs).toISOString(), location: `/api/exports/${ticket}/content` }, 201);
  },
});

const readExport = route({
  id: 'readExport', method: 'GET', path: 'exports/{ticket}/content', role: 'RestoreOperator', params: z.strictObject({ ticket: pathId }), responses: { 200: BINARY, 206: BINARY },
  summary: `Bytes of an exported disk: with "Range: bytes=FIRST-LAST", of at most ${EXPORT_PART_BYTES} bytes. Every chunk is proved before it goes out`,
  async handler({ params, request, caller, services: { others: { restore: deps } } }) {
    const vault = await deps.vault();
    const ticket = openTicket(vault, params.ticket);
    if (!ticket || ticket.caller !== caller.id || ticket.untilMs < deps.nowMs()) throw new HoldfastError('EXPORT_NOT_FOUND', 'There is no such export, or its time is over');
    const { manifest } = await loadRecoveryPoint(vault, ticket.recoveryPoint);
    const disk = manifest.disks.find(({ lun }) => lun === ticket.lun) as ManifestDisk;
    const range = rangeOf(request, disk.sizeBytes);
    const headers = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' };
    const { first, last } = range ?? { first: 0, last: disk.sizeBytes - 1 };
    const body = await readRange(vault, diskTree(disk), first, last - first + 1);
    return range ? { status: 206, body, headers: { ...headers, 'content-range': `bytes ${first}-${last}/${disk.sizeBytes}` } } : { status: 200, body, headers };
  },
});

function openTicket(vault: VaultAccess, text: string): z.output<typeof ticketSchema> | undefined {
  try {
    return ticketSchema.parse(openDocument(vault.keys, TICKET, Buffer.from(text, 'base64url')));
  } catch (error) {
    if (isUnreadable(error) || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

/** The one range that is asked for, null for the whole disk where that is one part. Throws EXPORT_RANGE. */
function rangeOf(request: HttpRequest, sizeBytes: number): { first: number; last: number } | null {
  const asked = request.headers.get('range');
  const refuse = (why: string): HoldfastError => new HoldfastError('EXPORT_RANGE', `${why}; the disk has ${sizeBytes} bytes`, { data: { sizeBytes, partBytes: EXPORT_PART_BYTES } });
  if (asked === null && sizeBytes <= EXPORT_PART_BYTES) return null;
  const [, from, to] = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(asked ?? '') ?? [];
  if (from === undefined || to === undefined) throw refuse('A part is asked for with Range: bytes=FIRST-LAST');
  const first = Number(from);
  const last = Math.min(to === '' ? sizeBytes - 1 : Number(to), sizeBytes - 1);
  if (first > last) throw refuse(`There is nothing from ${first} to ${to === '' ? 'the end' : to}`);
  if (last - first + 1 > EXPORT_PART_BYTES) throw refuse(`A part has at most ${EXPORT_PART_BYTES} bytes, not ${last - first + 1}`);
  return { first, last };
}

export const exportRoutes = [startExport, readExport];
