import { z } from 'zod';
import { HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import { createDocument, findDocument } from '../format/documents';
import { parseRecoveryPointId, recoveryPointId, stampOrder } from '../format/manifest';
import type { VaultAccess } from '../format/tree';

/** Damage of one recovery point that is listed: enough to see what is wrong. */
export const MAX_LISTED_DAMAGE = 100;

const proofSchema = z.object({
  version: z.literal(1), recoveryPoint: z.string(), at: z.string(), by: z.enum(['check', 'scrub']), cycle: z.string().nullable(), state: z.enum(['part', 'whole', 'damaged']),
  cursor: z.object({ disk: z.int().min(0), window: z.int().min(0) }).nullable(), against: z.string().nullable(),
  chunks: z.number(), plainBytes: z.number(), storedBytes: z.number(),
  damage: z.array(z.object({ code: z.string(), message: z.string(), pack: z.string().nullable(), disk: z.string().nullable(), windows: z.number() })),
});
/** What was read back of a recovery point and proved (format §11). */
export type Proof = z.infer<typeof proofSchema>;
export type ProvedDamage = Proof['damage'][number];

const PREFIX = 'proofs/';
const NAME = /^proofs\/([^/]+)\/([^/]+)\/(\d{8}T\d{9}Z)(\.part)?$/;

/** The instant as the name of a proof says it: always with milliseconds, so that names are in order of time. */
export const proofTime = (ms: number): string => new Date(ms).toISOString().replace(/[-:.]/g, '');

const msOf = (time: string): number =>
  Date.parse(`${time.slice(0, 4)}-${time.slice(4, 6)}-${time.slice(6, 8)}T${time.slice(9, 11)}:${time.slice(11, 13)}:${time.slice(13, 15)}.${time.slice(15, 18)}Z`);

/** Stores a proof. Of two that were made in one millisecond the second takes the next. */
export async function recordProof(vault: VaultAccess, proof: Omit<Proof, 'version' | 'at'>, nowMs: number): Promise<void> {
  const { itemId, stamp } = parseRecoveryPointId(proof.recoveryPoint);
  for (let ms = nowMs; ms < nowMs + 1_000; ms++) {
    const name = `${PREFIX}${itemId}/${stamp}/${proofTime(ms)}${proof.state === 'part' ? '.part' : ''}`;
    if (await createDocument(vault, name, { version: 1, at: new Date(ms).toISOString(), ...proof } satisfies Proof) === 'created') return;
  }
  throw new HoldfastError('INTERNAL', `A thousand proofs of ${proof.recoveryPoint} have the time ${new Date(nowMs).toISOString()}`);
}

/** When a recovery point was proved, as names tell it: milliseconds since 1970, each ascending. */
export interface ProofTimes { readonly finishedMs: number[]; readonly partsMs: number[] }

/** A proof by its name, and when it was stored by the clock of the store's server. */
interface ProofName { readonly name: string; readonly id: string; readonly ms: number; readonly part: boolean; readonly modifiedAtMs: number }

/** The names of all proofs, of the vault or of one item: one recovery point after another, each in order of time. */
export async function* proofNames(vault: VaultAccess, itemId?: string): AsyncGenerator<ProofName> {
  for await (const { name, modifiedAtMs } of vault.store.list(itemId === undefined ? PREFIX : `${PREFIX}${itemId}/`)) {
    const [, item, stamp, time, part] = NAME.exec(name) ?? [];
    if (item !== undefined && stamp !== undefined && time !== undefined) yield { name, id: recoveryPointId(item, stamp), ms: msOf(time), part: part !== undefined, modifiedAtMs };
  }
}

/** The times of all proofs, by recovery point, of the vault or of one item. From names alone: nothing is opened. */
export async function proofTimes(vault: VaultAccess, itemId?: string): Promise<Map<string, ProofTimes>> {
  const times = new Map<string, ProofTimes>();
  for await (const { id, ms, part } of proofNames(vault, itemId)) {
    const row = times.get(id) ?? { finishedMs: [], partsMs: [] };
    (part ? row.partsMs : row.finishedMs).push(ms);
    times.set(id, row);
  }
  return times;
}

/** A proof by its time, or undefined when it is gone or does not open: then it proves nothing. */
export async function readProof(vault: VaultAccess, id: string, ms: number, part = false): Promise<Proof | undefined> {
  const { itemId, stamp } = parseRecoveryPointId(id);
  try {
    return await findDocument(vault, `${PREFIX}${itemId}/${stamp}/${proofTime(ms)}${part ? '.part' : ''}`, proofSchema);
  } catch (error) {
    if (isHoldfastError(error, 'DOCUMENT_DAMAGED')) return undefined;
    throw error;
  }
}

/** What people are shown of the last proof. */
export interface LastProof {
  readonly recoveryPoint: string;
  readonly at: string;
  readonly ok: boolean;
  readonly by: Proof['by'];
  readonly damage: readonly ProvedDamage[];
}

/** The last finished proof of a recovery point, or null: it was never proved. */
export async function lastProofOf(vault: VaultAccess, id: string, times: ProofTimes | undefined): Promise<LastProof | null> {
  for (const ms of [...times?.finishedMs ?? []].reverse()) {
    const proof = await readProof(vault, id, ms);
    if (proof && proof.state !== 'part') return { recoveryPoint: id, at: proof.at, ok: proof.state === 'whole', by: proof.by, damage: proof.damage };
  }
  return null;
}

/** The last finished proof of each recovery point that was proved since then, of the vault or of one item. Opens only those. */
export async function* proofsSince(vault: VaultAccess, sinceMs: number, itemId?: string): AsyncGenerator<LastProof> {
  for (const [id, times] of await proofTimes(vault, itemId)) {
    const proof = (times.finishedMs.at(-1) ?? -1) >= sinceMs ? await lastProofOf(vault, id, times) : null;
    if (proof) yield proof;
  }
}

/** A recovery point's id so that text order is order in time: a stamp leaves its milliseconds out where they are zero. */
function orderOf(id: string): string {
  const { itemId, stamp } = parseRecoveryPointId(id);
  return `${itemId}.${stampOrder(stamp)}`;
}

/** For each item that was ever proved: the last proof of the newest recovery point of `wanted` (ids) that has one. */
export async function lastProvedItems(vault: VaultAccess, wanted: (id: string) => boolean): Promise<Map<string, LastProof>> {
  const times = await proofTimes(vault);
  const found = new Map<string, LastProof>();
  // Taken apart once for each and not at each comparison: of a hundred thousand that held up the whole process for seconds.
  const newestFirst = [...times].map(([id, row]) => ({ id, row, order: orderOf(id) })).sort((a, b) => (a.order < b.order ? 1 : -1));
  for (const { id, row } of newestFirst) {
    const { itemId } = parseRecoveryPointId(id);
    if (found.has(itemId) || !wanted(id)) continue;
    const proof = await lastProofOf(vault, id, row);
    if (proof) found.set(itemId, proof);
  }
  return found;
}
