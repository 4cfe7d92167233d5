import { createHash } from 'node:crypto';
import { z } from 'zod';
import { redact } from '../errors/redact';
import { createDocument, findDocument } from '../vault/format/documents';
import type { VaultAccess } from '../vault/format/tree';
import { hasTargets } from './notice-targets';
import { NOTICE_TYPES, type NoticeType, SEVERITIES, type Severity } from './notice-types';

/** What happened, as whoever noticed it says. */
export interface NewNotice {
  readonly type: NoticeType;
  /** What makes it this event and no other: the same type and key are one event, however often it is raised. */
  readonly key: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly severity: Severity;
  /** What it is about: an item, a job, an approval. */
  readonly about: string;
  /** The subject of a mail. */
  readonly subject: string;
  /** The lines of a mail: name and value, or a paragraph. */
  readonly lines: readonly (string | readonly [string, string])[];
  /** For programs. Small, and never a secret. */
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
}

const MAX_SUBJECT_CHARS = 180;
const MAX_LINE_CHARS = 1000;
const MAX_LINES = 60;
const EVENTS = 'notices/events/';

const noticeSchema = z.object({
  version: z.literal(1), id: z.string().regex(/^[0-9a-f]{32}$/), type: z.enum(NOTICE_TYPES), at: z.string(), severity: z.enum(SEVERITIES), about: z.string(), subject: z.string(), text: z.string(),
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});
/** An event that is to be told, as it lies in the vault (format §16). */
export type Notice = z.infer<typeof noticeSchema>;

/** Names of machines and messages come from others: what a mail would take for a new line or a header is gone. */
// eslint-disable-next-line no-control-regex
const plain = (text: string, most: number): string => redact(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim().slice(0, most);

/** The same for the same vault, type and key, whoever raises it and however often. */
export const noticeId = (vaultId: Buffer, type: NoticeType, key: string): string => createHash('sha256').update(`${vaultId.toString('hex')} ${type} ${key}`).digest('hex').slice(0, 32);

/** Pure: the event as it is stored and sent. */
export function noticeOf(vaultId: Buffer, { type, key, at, severity, about, subject, lines, data }: NewNotice): Notice {
  const shown = lines.slice(0, MAX_LINES).map((line) => (typeof line === 'string' ? plain(line, MAX_LINE_CHARS) : `${line[0]}: ${plain(line[1], MAX_LINE_CHARS)}`));
  return {
    version: 1, id: noticeId(vaultId, type, key), type, at, severity, about: plain(about, 200), subject: plain(`[Holdfast] ${subject}`, MAX_SUBJECT_CHARS),
    text: `${[...shown, '', `Vault: ${vaultId.toString('hex')}`].join('\n')}\n`,
    data: Object.fromEntries(Object.entries(data).map(([name, value]) => [name, typeof value === 'string' ? plain(value, MAX_LINE_CHARS) : value])),
  };
}

/**
 * Writes events down in the vault, from where they are told, unless nobody wants to be told of anything. Create-only, under ids that follow from what happened: to raise one again is
 * nothing new. Whoever raises an event does it before or within the step that makes it known as done, so that a process that dies in between raises it again. Answers the ids.
 */
export async function raiseNotices(vault: VaultAccess, notices: readonly NewNotice[]): Promise<readonly string[]> {
  if (notices.length === 0 || !await hasTargets(vault.store)) return [];
  const ids: string[] = [];
  for (const notice of notices) {
    const stored = noticeOf(vault.keys.vaultId, notice);
    await createDocument(vault, `${EVENTS}${stored.id}`, stored);
    ids.push(stored.id);
  }
  return ids;
}

export const findNotice = (vault: VaultAccess, id: string): Promise<Notice | undefined> => findDocument(vault, `${EVENTS}${id}`, noticeSchema);

export const isRaised = async ({ store }: Pick<VaultAccess, 'store'>, id: string): Promise<boolean> => await store.stat(`${EVENTS}${id}`) !== undefined;

/** The CloudEvent 1.0 in its JSON format, the same bytes each time. */
export function cloudEventOf(vaultId: Buffer, { id, type, at, severity, about, subject, text, data }: Notice): string {
  return JSON.stringify({
    specversion: '1.0', id, source: `urn:holdfast:vault:${vaultId.toString('hex')}`, type, subject: about, time: at, datacontenttype: 'application/json', data: { severity, subject, text, ...data },
  });
}

const OUTCOMES = 'notices/outcomes/';

const outcomeSchema = z.object({
  version: z.literal(1), id: z.string(), endedAt: z.string(),
  targets: z.array(z.object({ target: z.string(), state: z.enum(['delivered', 'dead']), attempts: z.int(), status: z.int().nullable(), reason: z.string(), at: z.string() })),
});
/** What became of an event: by target, delivered or given up. */
export type NoticeOutcome = z.infer<typeof outcomeSchema>;

/** The first outcome of an event counts. */
export const recordOutcome = (vault: VaultAccess, outcome: NoticeOutcome): Promise<'created' | 'exists'> => createDocument(vault, `${OUTCOMES}${outcome.id}`, outcome);
export const findOutcome = (vault: VaultAccess, id: string): Promise<NoticeOutcome | undefined> => findDocument(vault, `${OUTCOMES}${id}`, outcomeSchema);

export interface ListedNotice { readonly id: string; readonly storedAtMs: number; readonly ended: boolean }

/** Every event that is kept, the oldest first. Reads names only. */
export async function listNotices({ store }: Pick<VaultAccess, 'store'>): Promise<ListedNotice[]> {
  // Outcomes first: an event that ends in between shows as open, and not as one that nobody knows.
  const ended = new Set<string>();
  for await (const { name } of store.list(OUTCOMES)) ended.add(name.slice(OUTCOMES.length));
  const found: ListedNotice[] = [];
  for await (const { name, modifiedAtMs } of store.list(EVENTS)) {
    const id = name.slice(EVENTS.length);
    if (/^[0-9a-f]{32}$/.test(id)) found.push({ id, storedAtMs: modifiedAtMs, ended: ended.has(id) });
  }
  return found.sort((a, b) => a.storedAtMs - b.storedAtMs || (a.id < b.id ? -1 : 1));
}

/** Removes an event that has ended, and then what became of it, in this order: an outcome without its event is nothing, an event without outcome would be told again. */
export async function forgetNotice({ store }: Pick<VaultAccess, 'store'>, id: string): Promise<void> {
  await store.delete(`${EVENTS}${id}`);
  await store.delete(`${OUTCOMES}${id}`);
}
