import { z } from 'zod';
import { HoldfastError } from '../../errors/holdfast-error';
import { redact } from '../../errors/redact';

export const TRAIL = 'audit/';
export const MAX_NUMBER = 9_999_999_999;
const MAX_DETAIL_BYTES = 8 * 1024;
const MAX_TEXT = 300;

export const trailName = (number: number): string => `${TRAIL}${String(number).padStart(10, '0')}`;

/** `begun` before anything is done; `refused`: a right, a rule or a missing confirmation stood against it; `failed`: it broke off, and what was done until then may stand. */
export const OUTCOMES = ['begun', 'done', 'refused', 'failed'] as const;
export type TrailOutcome = (typeof OUTCOMES)[number];

export const ACTION = /^[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*$/;
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const number = z.int().min(1).max(MAX_NUMBER);

const whoSchema = z.object({
  id: z.string().min(1).max(MAX_TEXT), name: z.string().max(MAX_TEXT), kind: z.enum(['user', 'app', 'local', 'os-user', 'holdfast']), roles: z.array(z.string()),
  /** False where nobody proved who that is. */
  verified: z.boolean(),
});

/** A record of the audit trail (format §15). */
export const trailSchema = z.object({
  version: z.literal(1), number, before: digest.nullable(), at: z.iso.datetime(), who: whoSchema, from: z.string().max(MAX_TEXT).nullable(),
  action: z.string().regex(ACTION), target: z.string().max(MAX_TEXT).nullable(), outcome: z.enum(OUTCOMES), begun: number.nullable(), code: z.string().nullable(), details: z.record(z.string(), z.unknown()),
});
export type TrailRecord = z.infer<typeof trailSchema>;

/** The last record of a trail at some moment: it stands for all before it. */
export const anchorSchema = z.object({ number, digest });
export type TrailAnchor = z.infer<typeof anchorSchema>;

export type TrailWho = z.infer<typeof whoSchema>;

/** What the app does by itself: nobody asked for it but the clock. */
export const THE_APP: TrailWho = { id: 'holdfast', name: 'Holdfast', kind: 'holdfast', roles: [], verified: true };

/** Who does what to what, as it is known before it is done. */
export interface Doing {
  readonly who: TrailWho;
  /** Address that the request came from, or the machine's name; null where unknown. */
  readonly from: string | null;
  /** Such as `recovery-point.delete`. */
  readonly action: string;
  readonly target: string | null;
  /** What matters about this action, for people. Never a secret; what is too large is left out and said so. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface NewRecord extends Doing {
  readonly outcome: TrailOutcome;
  readonly begun?: number | null;
  readonly code?: string | null;
}

/** The record as it is stored. Texts are cut, and whatever opens a door is taken out of them. */
export function recordOf({ who, from, action, target, details = {}, outcome, begun = null, code = null }: NewRecord, place: { readonly number: number; readonly before: string | null; readonly at: string }): TrailRecord {
  const cut = (text: string): string => redact(text).slice(0, MAX_TEXT);
  const parsed = trailSchema.safeParse({
    version: 1, ...place, who: { ...who, id: cut(who.id), name: cut(who.name), roles: [...who.roles] }, from: from === null ? null : cut(from), action, target: target === null ? null : cut(target), outcome, begun, code, details: boundedDetails(details),
  } satisfies TrailRecord);
  if (parsed.success) return parsed.data;
  throw new HoldfastError('INTERNAL', `No record of the audit trail can be made of this: ${parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`);
}

function boundedDetails(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const text = JSON.stringify(details, (_key, value: unknown) => (typeof value === 'string' ? redact(value) : value));
  const bytes = Buffer.byteLength(text);
  return bytes <= MAX_DETAIL_BYTES ? JSON.parse(text) as Record<string, unknown> : { leftOut: `${bytes} bytes of details, more than ${MAX_DETAIL_BYTES}` };
}
