import { type ErrorReport, HoldfastError } from '../../errors/holdfast-error';
import { createDocument, findDocument, isUnreadable } from '../format/documents';
import { ITEM_ID, manifestName, parseRecoveryPointId, recoveryPointId, STAMP } from '../format/manifest';
import { MARGINS } from './margins';
import { foldMark, type Mark, type MarkState, markSchema, type Tombstone, UNMARKED } from './mark-fold';
import type { VaultAccess } from '../format/tree';
import { listNames } from '../store/list-names';

export type { Hold, Mark, MarkState, Tombstone } from './mark-fold';

const PREFIX = 'marks/';
const NUMBER = /^\d{4}$/;
const MAX_MARKS = 9999;
/** Marks that are fetched at once: enough to hide the time of a round trip, few enough not to be throttled. */
const PARALLEL_READS = 16;

export const markName = (id: string, number: number): string => {
  const { itemId, stamp } = parseRecoveryPointId(id);
  return `${PREFIX}${itemId}/${stamp}/${String(number).padStart(4, '0')}`;
};

/** The marks of many recovery points, by their ids. */
export interface Marks {
  /** What became of a recovery point; live and without holds when nothing was said of it. */
  of(id: string): MarkState;
  /** Ids of those that have marks (of the wanted ones), with what became of them. */
  readonly marked: ReadonlyMap<string, MarkState>;
}

export interface ReadMarksOptions {
  /** Only of this item. */
  readonly itemId?: string | undefined;
  /** Whose marks are read. The marks of others are only listed: those that were purged long ago cost no reads. */
  readonly wanted?: (id: string) => boolean;
  /** Told every name below marks/ (of the item) as it is listed. */
  readonly onName?: (name: string) => void;
}

/**
 * The marks of a vault or an item: one list, and one read for each mark of a wanted recovery point. A mark that does not open
 * makes its recovery point live and held, with the report in `damaged`; what the store itself throws is thrown.
 */
export async function readMarks(vault: VaultAccess, { itemId, wanted = () => true, onName }: ReadMarksOptions = {}): Promise<Marks> {
  const names = new Map<string, string[]>();
  for await (const name of listNames(vault.store, itemId === undefined ? PREFIX : `${PREFIX}${itemId}/`)) {
    onName?.(name);
    const [item = '', stamp = '', ...rest] = name.slice(PREFIX.length).split('/');
    if (!ITEM_ID.test(item) || !STAMP.test(stamp)) continue;
    const id = recoveryPointId(item, stamp);
    if (!wanted(id)) continue;
    names.set(id, [...(names.get(id) ?? []), rest.join('/')]);
  }
  const marked = new Map<string, MarkState>();
  const queue = names.entries();
  await Promise.all(Array.from({ length: Math.min(PARALLEL_READS, names.size) }, async () => {
    for (const [id, numbers] of queue) marked.set(id, await readNumberedMarks(vault, id, numbers));
  }));
  return { marked, of: (id) => marked.get(id) ?? UNMARKED };
}

/** What became of one recovery point: one list, and one read for each of its marks. Throws RECOVERY_POINT_NOT_FOUND for what is no id. */
export async function readMarksOf(vault: VaultAccess, id: string): Promise<MarkState> {
  const folder = markName(id, 0).slice(0, -4);
  const numbers: string[] = [];
  for await (const name of listNames(vault.store, folder)) numbers.push(name.slice(folder.length));
  return readNumberedMarks(vault, id, numbers);
}

/** What became of a recovery point whose marks were listed as these (what stands below `marks/ITEM/STAMP/`, in order). */
export async function readNumberedMarks(vault: VaultAccess, id: string, numbers: readonly string[]): Promise<MarkState> {
  let state = UNMARKED;
  for (const [index, number] of numbers.entries()) {
    const name = markName(id, index + 1);
    if (!NUMBER.test(number) || Number(number) !== index + 1) return spoiled(state, new HoldfastError('DOCUMENT_DAMAGED', `${name.slice(0, -4)}${number} stands where ${name} should be`, { data: { name } }));
    try {
      const mark = await findDocument(vault, name, markSchema);
      if (!mark) throw new HoldfastError('DOCUMENT_DAMAGED', `The mark ${name} was listed and is not there`, { data: { name } });
      const next = foldMark(state, mark);
      if (typeof next === 'string') throw new HoldfastError('DOCUMENT_DAMAGED', `The mark ${name} says "${mark.kind}", and ${id} is ${next}`, { data: { name } });
      state = next;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return spoiled(state, error);
    }
  }
  return state;
}

/** Whatever the mark says that does not open, it may be a hold or an undelete: so the recovery point is live and stays, unless it is gone already. */
const spoiled = (state: MarkState, error: HoldfastError): MarkState =>
  (state.state === 'purged' ? { ...state, damaged: error.toJSON() } : { ...state, state: 'live', binUntil: null, binnedBy: null, held: true, damaged: error.toJSON() });

/** Who decides, and when by the clock of the store's server (server-clock.ts). */
export interface Decider {
  /** For people: who asked, up to 200 characters. */
  readonly by: string;
  readonly serverNowMs: number;
  /** Only if the recovery point has so many marks: what was decided about it since was not known to whoever decided this. */
  readonly onlyAt?: number | undefined;
}

type Decision = (state: MarkState) => Mark | null | Promise<Mark | null>;

/**
 * Reads the marks of a recovery point, lets `decide` say the next one (null: nothing is left to do) and takes its number. Where somebody else took that first,
 * it looks again. Answers what became of the recovery point.
 */
async function decide(vault: VaultAccess, id: string, { onlyAt }: Decider, decision: Decision): Promise<MarkState> {
  const { itemId, stamp } = parseRecoveryPointId(id);
  for (;;) {
    const state = await readMarksOf(vault, id);
    if (state.damaged) throw new HoldfastError('DOCUMENT_DAMAGED', `Nothing can be decided about ${id}, it stays as it is: ${state.damaged.message}`, { data: { id } });
    if (state.count === 0 && !await vault.store.stat(manifestName(itemId, stamp))) throw new HoldfastError('RECOVERY_POINT_NOT_FOUND', `There is no recovery point ${id} in ${vault.store.description}`, { data: { id } });
    const mark = await decision(state);
    if (onlyAt !== undefined && mark !== null && state.count !== onlyAt) throw new HoldfastError('APPROVAL_STALE', `Something was decided about ${id} since this was asked for: it has ${state.count} marks, and had ${onlyAt}`, { data: { id } });
    if (mark === null) return state;
    if (state.count >= MAX_MARKS) throw new HoldfastError('REQUEST_INVALID', `${id} has ${state.count} marks, and there are no more numbers`, { data: { id } });
    const next = foldMark(state, mark);
    if (typeof next === 'string') throw new HoldfastError('INTERNAL', `"${mark.kind}" was decided about ${id}, which is ${next}`);
    if (await createDocument(vault, markName(id, state.count + 1), markSchema.parse(mark)) === 'created') return next;
  }
}

/**
 * Puts a recovery point into the bin, where it stays for `binMs`, 14 days at least. Done already: nothing happens. Throws RECOVERY_POINT_HELD,
 * RECOVERY_POINT_DELETED when it is gone for good, RECOVERY_POINT_NOT_FOUND. It knows one recovery point alone: that the last good one of
 * an item stays is the caller's to see to (vault/bin.ts).
 */
export function markDeleted(vault: VaultAccess, id: string, decider: Decider, why: { readonly reason: 'retention' | 'asked'; readonly policy: string | null }, binMs: number = MARGINS.binMs): Promise<MarkState> {
  if (binMs < MARGINS.binMs) throw new HoldfastError('INTERNAL', `A bin of ${binMs} ms is shorter than ${MARGINS.binMs}`);
  return decide(vault, id, decider, (state) => {
    refuseGone(id, state);
    if (state.state === 'binned') return null;
    if (state.held) throw heldError(id, state);
    return { version: 1, kind: 'deleted', ...stamped(decider), binUntil: iso(decider.serverNowMs + binMs), ...why };
  });
}

/** Takes a recovery point out of the bin. Not in it: nothing happens. Throws RECOVERY_POINT_DELETED when it is gone for good. */
export const markUndeleted = (vault: VaultAccess, id: string, decider: Decider): Promise<MarkState> => decide(vault, id, decider, (state) => {
  refuseGone(id, state);
  return state.state === 'binned' ? { version: 1, kind: 'undeleted', ...stamped(decider) } : null;
});

/** Puts a hold with a label on a recovery point, in the bin too. Has it already: nothing happens. Throws RECOVERY_POINT_DELETED when it is gone for good. */
export const markHeld = (vault: VaultAccess, id: string, decider: Decider, label: string): Promise<MarkState> => decide(vault, id, decider, (state) => {
  refuseGone(id, state);
  return state.holds.some((hold) => hold.label === label) ? null : { version: 1, kind: 'held', ...stamped(decider), label: checkedLabel(label) };
});

/** Takes the hold of that very label away. Throws HOLD_NOT_FOUND, RECOVERY_POINT_DELETED. */
export const markReleased = (vault: VaultAccess, id: string, decider: Decider, label: string): Promise<MarkState> => decide(vault, id, decider, (state) => {
  refuseGone(id, state);
  if (!state.holds.some((hold) => hold.label === label)) {
    const held = state.holds.map((hold) => JSON.stringify(hold.label)).join(', ') || 'none';
    throw new HoldfastError('HOLD_NOT_FOUND', `${id} has no hold ${JSON.stringify(label.slice(0, 100))}; its holds: ${held}`, { data: { id, holds: state.holds.map((hold) => hold.label) } });
  }
  return { version: 1, kind: 'released', ...stamped(decider), label };
});

/**
 * Decides that a recovery point is gone: afterwards the caller deletes its manifest. Only from the bin, when its time there is over by the server's
 * clock and no hold is on it. Done already: nothing happens. Throws RECOVERY_POINT_HELD, or RECOVERY_POINT_NOT_DUE when it is not in the bin (any more) or not long enough.
 */
export const markPurged = (vault: VaultAccess, id: string, decider: Decider, tombstone: Tombstone): Promise<MarkState> => decide(vault, id, decider, async (state) => {
  if (state.state === 'purged') return null;
  if (state.held) throw heldError(id, state);
  const due = isPurgeDue(state, decider.serverNowMs) && await isLongInBin(vault, id, state, decider.serverNowMs);
  if (!due) {
    throw new HoldfastError('RECOVERY_POINT_NOT_DUE', `${id} ${state.binUntil === null ? 'is not in the bin' : `stays in the bin until ${state.binUntil}`}`, { data: { id, binUntil: state.binUntil } });
  }
  return { version: 1, kind: 'purged', ...stamped(decider), ...tombstone, trees: [...tombstone.trees] };
});

/**
 * False when the mark that put it into the bin came to be there so much later than it says that its time is not over: who wrote it slept in between, and nobody could see the mark before. By the store's own
 * time of the mark; what the mark's time says stays what people are told.
 */
async function isLongInBin(vault: VaultAccess, id: string, { binnedBy, binUntil, deleted }: MarkState, serverNowMs: number): Promise<boolean> {
  if (binnedBy === null || binUntil === null || deleted === null) return false;
  const written = await vault.store.stat(markName(id, binnedBy));
  return written !== undefined && serverNowMs >= written.modifiedAtMs - MARGINS.clockToleranceMs + Date.parse(binUntil) - Date.parse(deleted.at);
}

/** True when the bin has nothing more to wait for: its time is over by the server's clock and nothing holds it. */
export const isPurgeDue = (state: MarkState, serverNowMs: number): boolean =>
  state.state === 'binned' && !state.held && state.binUntil !== null && serverNowMs >= Date.parse(state.binUntil);

const LABEL = /^[\p{L}\p{N}][\p{L}\p{N} ._:#/@()+-]{0,79}$/u;

/** A hold's label, for instance the number of a case. Throws REQUEST_INVALID. */
export function checkedLabel(label: string): string {
  if (LABEL.test(label)) return label;
  throw new HoldfastError('REQUEST_INVALID', `A hold's label is 1 to 80 letters, digits, spaces and ._:#/@()+-, beginning with a letter or digit; received ${JSON.stringify(label.slice(0, 100))}`);
}

/** Throws RECOVERY_POINT_DELETED when the recovery point is gone for good. */
export function refuseGone(id: string, state: MarkState): void {
  if (state.state === 'purged') throw new HoldfastError('RECOVERY_POINT_DELETED', `${id} was deleted for good at ${state.tombstone?.at ?? 'an unknown time'}`, { data: { id } });
}

export const heldError = (id: string, { holds, damaged }: MarkState): HoldfastError => new HoldfastError('RECOVERY_POINT_HELD',
  damaged ? `${id} is held because one of its marks does not open: ${damaged.message}` : `${id} is held: ${holds.map(({ label, by }) => `${JSON.stringify(label)} (by ${by})`).join(', ')}`,
  { data: { id, holds: holds.map(({ label }) => label) } });

const stamped = ({ by, serverNowMs }: Decider): { at: string; by: string } => ({ at: iso(serverNowMs), by: by.slice(0, 200) });
const iso = (ms: number): string => new Date(ms).toISOString();

/** The reports of marks that do not open, for those who look after the vault. */
export const damagedMarks = (marks: Marks): ErrorReport[] => [...marks.marked.values()].flatMap(({ damaged }) => (damaged ? [damaged] : []));
