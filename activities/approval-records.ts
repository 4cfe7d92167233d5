import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { formatStamp } from '../policy/slot';
import { createDocument, findDocument } from '../vault/format/documents';
import type { VaultAccess } from '../vault/format/tree';
import { listNames } from '../vault/store/list-names';
import { ACTION } from '../vault/trail/record';
import { GUARDED, LOOSENING } from './approval-rules';

/**
 * An approval is what somebody asked for and another one is to agree to (format §15.1). All of it is create-only, as runs and restores are: `request` says what was asked, `approval` who agreed, and whoever
 * creates `verdict` first decides whether it is carried out or not. `end` says what came of it.
 */
const PREFIX = 'approvals/';
const ID = /^(\d{8}t\d{9}z)-[0-9a-f]{6}$/;
const DAY_MS = 86_400_000;
/** The longest wait and the longest delay, each of five days, with a margin: what was asked before is over. */
const OPEN_FOR_MS = 11 * DAY_MS;
/** So many may wait at once: somebody looks at each. */
const MOST_WAITING = 100;

const personSchema = z.object({ id: z.string(), name: z.string(), kind: z.enum(['user', 'app', 'local']), roles: z.array(z.enum(['Reader', 'Operator', 'RestoreOperator', 'Admin'])), from: z.string().nullable() });
export type Person = z.infer<typeof personSchema>;

const requestSchema = z.object({
  version: z.literal(1), id: z.string().regex(ID), at: z.iso.datetime(), expiresAt: z.iso.datetime(), delayMinutes: z.int().min(0), askedBy: personSchema,
  kind: z.enum([...GUARDED, LOOSENING]), action: z.string().regex(ACTION), what: z.string(),
  /** What it was about when it was asked: another one then is a reason not to do it. */
  fingerprint: z.string(),
  call: z.object({ route: z.string(), params: z.record(z.string(), z.string()), query: z.unknown(), body: z.unknown() }),
});
export type ApprovalRequest = z.infer<typeof requestSchema>;

const approvalSchema = z.object({ version: z.literal(1), at: z.iso.datetime(), by: personSchema, dueAt: z.iso.datetime() });
const verdictSchema = z.object({ version: z.literal(1), at: z.iso.datetime(), verdict: z.enum(['carry-out', 'rejected', 'cancelled', 'expired']), by: personSchema.nullable() });
export type Verdict = z.infer<typeof verdictSchema>;
const endSchema = z.object({ version: z.literal(1), at: z.iso.datetime(), outcome: z.enum(['done', 'refused', 'failed']), code: z.string().nullable(), message: z.string().nullable() });
export type ApprovalEnd = z.infer<typeof endSchema>;

const nameOf = (id: string, part: 'request' | 'approval' | 'verdict' | 'end'): string => `${PREFIX}${id}/${part}`;
const iso = (ms: number): string => new Date(ms).toISOString();

export const APPROVAL_STATES = ['waiting', 'approved', 'running', 'done', 'refused', 'failed', 'rejected', 'cancelled', 'expired'] as const;
export type ApprovalState = (typeof APPROVAL_STATES)[number];

/** All that is known of an approval. */
export interface Approval {
  readonly request: ApprovalRequest;
  readonly approval: z.infer<typeof approvalSchema> | null;
  readonly verdict: Verdict | null;
  readonly end: ApprovalEnd | null;
  readonly state: ApprovalState;
}

function stateOf({ request, approval, verdict, end }: Omit<Approval, 'state'>, nowMs: number): ApprovalState {
  if (end) return end.outcome;
  if (verdict) return verdict.verdict === 'carry-out' ? 'running' : verdict.verdict;
  if (approval) return 'approved';
  return nowMs >= Date.parse(request.expiresAt) ? 'expired' : 'waiting';
}

/** Throws APPROVAL_NOT_FOUND. */
export async function readApproval(vault: VaultAccess, id: string, nowMs: number): Promise<Approval> {
  const request = ID.test(id) ? await findRequest(vault, id) : undefined;
  if (!request) throw new HoldfastError('APPROVAL_NOT_FOUND', `There is no approval "${id.slice(0, 80)}"`);
  const [approval, verdict, end] = await Promise.all([
    findDocument(vault, nameOf(id, 'approval'), approvalSchema), findDocument(vault, nameOf(id, 'verdict'), verdictSchema), findDocument(vault, nameOf(id, 'end'), endSchema),
  ]);
  const found = { request, approval: approval ?? null, verdict: verdict ?? null, end: end ?? null };
  return { ...found, state: stateOf(found, nowMs) };
}

/** What was asked, or undefined when there is no such approval. */
export const findRequest = (vault: VaultAccess, id: string): Promise<ApprovalRequest | undefined> => findDocument(vault, nameOf(id, 'request'), requestSchema);

/** How many records each approval has, by its id. Names only. */
async function recordCounts({ store }: Pick<VaultAccess, 'store'>): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for await (const name of listNames(store, PREFIX)) {
    const id = name.slice(PREFIX.length).split('/')[0] ?? '';
    if (ID.test(id)) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/** What ids are not before, of approvals that may not be over yet. */
const oldestOpen = (nowMs: number): string => formatStamp(nowMs - OPEN_FOR_MS).toLowerCase();

/** The ids of approvals of late that nobody has said anything about. Names only. */
export async function unansweredIds(vault: Pick<VaultAccess, 'store'>, nowMs: number): Promise<string[]> {
  const oldest = oldestOpen(nowMs);
  return [...await recordCounts(vault)].flatMap(([id, count]) => (id >= oldest && count === 1 ? [id] : []));
}

/** The ids of all approvals, the newest first. Names only. */
export const approvalIds = async (vault: Pick<VaultAccess, 'store'>): Promise<string[]> => [...(await recordCounts(vault)).keys()].sort().reverse();

/** Those that may not be over yet. One that does not open is none: nothing is carried out for it. */
async function openApprovals(vault: VaultAccess, nowMs: number): Promise<Approval[]> {
  const oldest = oldestOpen(nowMs);
  const open: Approval[] = [];
  for (const id of await approvalIds(vault)) {
    if (id < oldest) break;
    try {
      const one = await readApproval(vault, id, nowMs);
      if (one.state === 'waiting' || one.state === 'approved') open.push(one);
    } catch (error) {
      if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
    }
  }
  return open;
}

export type Asked = Omit<ApprovalRequest, 'version' | 'id' | 'at' | 'expiresAt'> & { readonly expiresHours: number };

/** Draws an id that sorts by time. */
export const drawApprovalId = (nowMs: number): string => `${iso(nowMs).replace(/[-:.]/g, '').toLowerCase()}-${randomBytes(3).toString('hex')}`;

/** The one that waits for the very same, asked by the same person: asking twice is asking once. Throws APPROVALS_FULL. */
export async function findSame(vault: VaultAccess, asked: Asked, nowMs: number): Promise<ApprovalRequest | undefined> {
  const open = await openApprovals(vault, nowMs);
  const same = open.find(({ request }) => request.askedBy.id === asked.askedBy.id && request.fingerprint === asked.fingerprint && isDeepStrictEqual(request.call, asked.call));
  if (same) return same.request;
  if (open.length >= MOST_WAITING) throw new HoldfastError('APPROVALS_FULL', `${open.length} approvals wait already`);
  return undefined;
}

export async function createRequest(vault: VaultAccess, id: string, { expiresHours, ...asked }: Asked, nowMs: number): Promise<ApprovalRequest> {
  const request: ApprovalRequest = { version: 1, id, at: iso(nowMs), expiresAt: iso(nowMs + expiresHours * 3_600_000), ...asked };
  await createDocument(vault, nameOf(id, 'request'), requestSchema.parse(request));
  return request;
}

const ended = ({ request, state }: Approval): HoldfastError => new HoldfastError('APPROVAL_ENDED', `The approval ${request.id} is ${state} already`, { data: { id: request.id, state } });

/** Another person agrees, and no program: nobody knows in whose hand it is. The same one again: nothing happens. Throws APPROVAL_OWN, APPROVAL_ENDED. Answers when it is due. */
export async function approve(vault: VaultAccess, id: string, by: Person, nowMs: number): Promise<string> {
  const one = await readApproval(vault, id, nowMs);
  if (by.kind !== 'user') throw new HoldfastError('APPROVAL_OWN', `${by.name.slice(0, 100)} is a program, and whoever asked may own it: it takes a person who signs in`, { data: { id } });
  if (one.request.askedBy.id === by.id) throw new HoldfastError('APPROVAL_OWN', `${by.name.slice(0, 100)} asked for it, so somebody else has to agree`, { data: { id } });
  if (one.approval && one.approval.by.id === by.id && (one.state === 'approved' || one.state === 'running' || one.end)) return one.approval.dueAt;
  if (one.state !== 'waiting') throw ended(one);
  const approval = { version: 1 as const, at: iso(nowMs), by, dueAt: iso(nowMs + one.request.delayMinutes * 60_000) };
  await createDocument(vault, nameOf(id, 'approval'), approvalSchema.parse(approval));
  const now = await readApproval(vault, id, nowMs);
  // Somebody rejected it at the same moment, or somebody else agreed first.
  if (now.state !== 'approved' || now.approval?.by.id !== by.id) throw ended(now);
  return now.approval.dueAt;
}

/** Whoever creates the verdict first decides. Answers the one that counts. */
export async function decideApproval(vault: VaultAccess, id: string, verdict: Verdict['verdict'], by: Person | null, nowMs: number): Promise<Verdict> {
  await createDocument(vault, nameOf(id, 'verdict'), { version: 1, at: iso(nowMs), verdict, by } satisfies Verdict);
  const decided = await findDocument(vault, nameOf(id, 'verdict'), verdictSchema);
  if (!decided) throw new HoldfastError('STORE_FAILED', `The verdict of the approval ${id} was stored and is not there`);
  return decided;
}

/** Stops it while it waits, or before it is due: `cancelled` by who asked, `rejected` by anybody else. Throws APPROVAL_ENDED, APPROVAL_OWN. */
export async function stopApproval(vault: VaultAccess, id: string, verdict: 'rejected' | 'cancelled', by: Person, nowMs: number): Promise<void> {
  const one = await readApproval(vault, id, nowMs);
  if ((one.request.askedBy.id === by.id) !== (verdict === 'cancelled')) {
    throw new HoldfastError('APPROVAL_OWN', verdict === 'cancelled' ? `${one.request.askedBy.name.slice(0, 100)} asked for it and may cancel it; anybody else rejects it` : 'Who asked for it cancels it; to reject it takes somebody else', { data: { id } });
  }
  if (one.verdict?.verdict === verdict) return;
  if (one.state !== 'waiting' && one.state !== 'approved') throw ended(one);
  const decided = await decideApproval(vault, id, verdict, by, nowMs);
  if (decided.verdict !== verdict) throw ended(await readApproval(vault, id, nowMs));
}

/** The first end counts. */
export async function endApproval(vault: VaultAccess, id: string, end: Omit<ApprovalEnd, 'version' | 'at'>, nowMs: number): Promise<'created' | 'exists'> {
  return createDocument(vault, nameOf(id, 'end'), { version: 1, at: iso(nowMs), ...end, message: end.message?.slice(0, 1000) ?? null } satisfies ApprovalEnd);
}
