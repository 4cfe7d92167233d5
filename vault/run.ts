import { z } from 'zod';
import { type ErrorReport, HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { createDocument, findDocument } from './format/documents';
import { readMarksOf } from './points/marks';
import { findManifest, type LoadedManifest, type Manifest, manifestName, manifestSchema, recoveryPointId } from './format/manifest';
import type { VaultAccess } from './format/tree';
import { listNames } from './store/list-names';

const openSchema = z.object({
  version: z.literal(1), itemId: z.string(), sequence: z.int(), stamp: z.string(), slot: z.string().nullable(),
  owner: z.string(), app: z.string().nullish(), policy: z.string().nullable(), startedAt: z.string(), deadline: z.string(),
});
export type RunOpen = z.infer<typeof openSchema>;

const verdictSchema = z.discriminatedUnion('verdict', [
  z.object({ version: z.literal(1), verdict: z.literal('sealed'), manifest: manifestSchema }),
  z.object({ version: z.literal(1), verdict: z.literal('abandoned'), reason: z.object({ code: z.string(), message: z.string() }).loose() }),
]);

const endSchema = z.object({
  version: z.literal(1), outcome: z.enum(['committed', 'abandoned']), recoveryPoint: z.string().nullable(), at: z.string(),
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string().optional() }).loose().nullable(),
});

/** A run of an item: the item and the run's number in its sequence. Everything else is in the vault. */
export interface RunRef {
  readonly itemId: string;
  readonly sequence: number;
  readonly stamp: string;
}

export interface OpenRunRequest {
  readonly itemId: string;
  readonly stamp: string;
  readonly slot: string | null;
  /** Who runs it: the same owner asking again gets the same run. */
  readonly owner: string;
  /** The name of the app that runs it, if one does. */
  readonly app?: string;
  readonly policy: string | null;
  readonly nowMs: number;
  /** After this the run may be given up by a successor. */
  readonly maxRunMs: number;
  /** True when an owner certainly runs no more, so that its run need not be waited for. */
  readonly isOwnerGone?: (owner: string) => boolean | Promise<boolean>;
}

const SEQUENCE = /^\d{10}$/;
export const runFolder = (itemId: string, sequence: number): string => `runs/${itemId}/${String(sequence).padStart(10, '0')}`;
export const workFolder = (run: RunRef): string => `work/${run.itemId}/${String(run.sequence).padStart(10, '0')}`;

/**
 * Takes the item's next sequence number. Runs of an item never overlap: while an earlier one has not ended this throws
 * RUN_IN_PROGRESS; a run whose time is over, or whose owner is gone, is given up first. SLOT_TAKEN when the stamp has its recovery point.
 */
export async function openRun(vault: VaultAccess, request: OpenRunRequest): Promise<RunRef> {
  const { itemId, stamp } = request;
  for (;;) {
    const last = await lastRun(vault, itemId);
    if (last) {
      const open = await readOpen(vault, itemId, last.sequence);
      if (open.owner === request.owner && open.stamp === stamp) return { itemId, sequence: last.sequence, stamp };
      if (!last.ended) await settle(vault, open, request);
    }
    // A deleted one keeps its slot: what was said about it would be said about the new one.
    if ((await readMarksOf(vault, recoveryPointId(itemId, stamp))).state === 'purged') throw slotTaken(itemId, stamp, 'existed, and was deleted');
    const taken = await readManifest(vault, request);
    if (taken === 'damaged') throw slotTaken(itemId, stamp, 'exists already, and its manifest does not open');
    if (taken) {
      // The same owner, twice at once: the other one was faster.
      const { sequence } = taken.manifest;
      const open = await findDocument(vault, `${runFolder(itemId, sequence)}/open`, openSchema);
      if (open?.owner === request.owner) return { itemId, sequence, stamp };
      throw slotTaken(itemId, stamp, 'exists already');
    }
    const sequence = (last?.sequence ?? 0) + 1;
    const open: RunOpen = {
      version: 1, itemId, sequence, stamp, slot: request.slot, owner: request.owner, ...(request.app === undefined ? {} : { app: request.app }), policy: request.policy,
      startedAt: new Date(request.nowMs).toISOString(), deadline: new Date(request.nowMs + request.maxRunMs).toISOString(),
    };
    if (await createDocument(vault, `${runFolder(itemId, sequence)}/open`, open) === 'created') return { itemId, sequence, stamp };
  }
}

const slotTaken = (itemId: string, stamp: string, how: string): HoldfastError =>
  new HoldfastError('SLOT_TAKEN', `The recovery point ${recoveryPointId(itemId, stamp)} ${how}`, { data: { recoveryPoint: recoveryPointId(itemId, stamp) } });

/**
 * Brings an item's last run to its end when its time is over or its owner is gone: what is sealed is committed, anything else given up. 'alive' when it
 * may still be at work, 'none' when there is nothing to close.
 */
export async function closeLostRun(vault: VaultAccess, itemId: string, isOwnerGone: (open: RunOpen) => Promise<boolean>, nowMs: number): Promise<{ state: 'none' | 'alive' } | { state: 'closed'; run: RunRef; outcome: 'committed' | 'abandoned' }> {
  const last = await lastRun(vault, itemId);
  if (!last || last.ended) return { state: 'none' };
  const open = await readOpen(vault, itemId, last.sequence);
  try {
    await settle(vault, open, { nowMs, isOwnerGone: () => isOwnerGone(open) });
  } catch (error) {
    if (isHoldfastError(error, 'RUN_IN_PROGRESS')) return { state: 'alive' };
    throw error;
  }
  const run: RunRef = { itemId, sequence: open.sequence, stamp: open.stamp };
  return { state: 'closed', run, outcome: (await runEnd(vault, run))?.outcome ?? 'abandoned' };
}

/** Brings an earlier run to its end, or throws RUN_IN_PROGRESS when it may still be alive. */
async function settle(vault: VaultAccess, open: RunOpen, request: Pick<OpenRunRequest, 'nowMs' | 'isOwnerGone'>): Promise<void> {
  const run: RunRef = open;
  const verdict = await readVerdict(vault, run);
  if (verdict?.verdict === 'sealed') {
    try {
      await commitRun(vault, run, request.nowMs);
    } catch (error) {
      // The next run says so, when it passes that recovery point over.
      if (!isHoldfastError(error, 'DOCUMENT_DAMAGED') || !await runEnd(vault, run)) throw error;
    }
    return;
  }
  const over = request.nowMs > Date.parse(open.deadline);
  if (!verdict && !over && !(await request.isOwnerGone?.(open.owner))) {
    throw new HoldfastError('RUN_IN_PROGRESS', `${open.itemId} is being backed up since ${open.startedAt} by ${open.owner}`,
      { data: { itemId: open.itemId, owner: open.owner, startedAt: open.startedAt, deadline: open.deadline } });
  }
  const why = over ? `its time was over at ${open.deadline}` : 'its owner is gone';
  await abandonRun(vault, run, new HoldfastError('RUN_ABANDONED', `The run was given up: ${why}`).toJSON(), request.nowMs);
}

/**
 * Decides that the run will be committed with this manifest. From here on its packs are needed. The first verdict counts:
 * sealing twice is fine, and a run that was given up throws RUN_ABANDONED.
 */
export async function sealRun(vault: VaultAccess, run: RunRef, manifest: Manifest): Promise<void> {
  if (manifest.itemId !== run.itemId || manifest.sequence !== run.sequence || manifest.stamp !== run.stamp) {
    throw new HoldfastError('INTERNAL', `The manifest ${manifest.id} of run ${manifest.sequence} is not of run ${run.sequence} of ${run.itemId}`);
  }
  const name = `${runFolder(run.itemId, run.sequence)}/verdict`;
  if (await createDocument(vault, name, { version: 1, verdict: 'sealed', manifest: manifestSchema.parse(manifest) }) === 'created') return;
  const verdict = await readVerdict(vault, run);
  if (verdict?.verdict !== 'sealed') throw abandonedError(run, verdict?.reason.message);
}

/**
 * Makes a sealed run's recovery point visible: the one create-only write of its manifest. Safe to run any number of times, by anyone. Throws DOCUMENT_DAMAGED where the manifest
 * turns out to be there and not to open; the run has ended then all the same, so that it holds nothing up.
 */
export async function commitRun(vault: VaultAccess, run: RunRef, nowMs: number): Promise<Manifest> {
  const verdict = await readVerdict(vault, run);
  if (verdict?.verdict !== 'sealed') throw abandonedError(run, verdict?.reason.message ?? 'it was never sealed');
  const { manifest } = verdict;
  // A run that has ended is never committed anew: its recovery point may have been deleted since, and its packs with it.
  if (await runEnd(vault, run)) return manifest;
  const name = manifestName(manifest.itemId, manifest.stamp);
  // One that wakes after the recovery point was made and deleted again only writes the end down.
  const isGone = (await readMarksOf(vault, manifest.id)).state === 'purged';
  const exists = !isGone && await createDocument(vault, name, manifest) === 'exists';
  const there = exists ? await readManifest(vault, manifest) : undefined;
  if (exists && there !== 'damaged' && there?.manifest.sequence !== run.sequence) {
    throw new HoldfastError('SLOT_TAKEN', `The recovery point ${manifest.id} was made by another run`, { data: { recoveryPoint: manifest.id } });
  }
  await endRun(vault, run, { outcome: 'committed', recoveryPoint: manifest.id, error: null }, nowMs);
  if (there === 'damaged') throw new HoldfastError('DOCUMENT_DAMAGED', `The recovery point ${manifest.id} was made, and its manifest does not open`, { data: { name } });
  return manifest;
}

/** A manifest by its place. One that is damaged still shows that a run was committed there, and keeps its stamp. */
async function readManifest(vault: VaultAccess, { itemId, stamp }: Pick<RunRef, 'itemId' | 'stamp'>): Promise<LoadedManifest | 'damaged' | undefined> {
  try {
    return await findManifest(vault, itemId, stamp);
  } catch (error) {
    if (isHoldfastError(error, 'DOCUMENT_DAMAGED')) return 'damaged';
    throw error;
  }
}

/**
 * Gives a run up, with the reason. If it was sealed before, it is committed instead: what is sealed will exist.
 * Returns what became of the run.
 */
export async function abandonRun(vault: VaultAccess, run: RunRef, reason: ErrorReport, nowMs: number): Promise<'committed' | 'abandoned'> {
  const name = `${runFolder(run.itemId, run.sequence)}/verdict`;
  let error: RunEnd['error'] = reason;
  if (await createDocument(vault, name, { version: 1, verdict: 'abandoned', reason }) === 'exists') {
    const verdict = await readVerdict(vault, run);
    if (verdict?.verdict === 'sealed') {
      await commitRun(vault, run, nowMs);
      return 'committed';
    }
    // The reason that decided is the one that is told.
    error = verdict?.reason ?? reason;
  }
  await endRun(vault, run, { outcome: 'abandoned', recoveryPoint: null, error }, nowMs);
  return 'abandoned';
}

interface RunEnd { readonly outcome: 'committed' | 'abandoned'; readonly recoveryPoint: string | null; readonly error: Pick<ErrorReport, 'message'> | null }

async function endRun(vault: VaultAccess, run: RunRef, end: RunEnd, nowMs: number): Promise<void> {
  await createDocument(vault, `${runFolder(run.itemId, run.sequence)}/end`, { version: 1, ...end, at: new Date(nowMs).toISOString() });
}

/** A recovery point that is newer than the one a run goes on from. */
export interface PassedOver {
  readonly id: string;
  /** Why it cannot be used: its manifest does not open or is not there. Null for one that was deleted. */
  readonly damage: ErrorReport | null;
}

export interface NewestPoint {
  readonly point: LoadedManifest | undefined;
  /** Newest first. */
  readonly passedOver: readonly PassedOver[];
}

/**
 * The item's newest recovery point by sequence that is not deleted and that opens: the parent of the next run. One in the bin is passed over, because it could be gone
 * before that run ends (format §10); one that is damaged, because a damaged recovery point is no reason to have no newer one. Both are told: what a caller knows
 * to have changed "since the last backup" may have changed since one of those.
 */
export async function newestPoint(vault: VaultAccess, itemId: string): Promise<NewestPoint> {
  const sequences = [...(await runStates(vault, itemId)).entries()].filter(([, state]) => state.has('end')).map(([sequence]) => sequence);
  const passedOver: PassedOver[] = [];
  for (const sequence of sequences.sort((a, b) => b - a)) {
    const id = await pointOfRun(vault, itemId, sequence);
    if (id === null) continue;
    const found = (await readMarksOf(vault, id)).state === 'live' ? await usablePoint(vault, itemId, id, sequence) : null;
    if (found && 'manifest' in found) return { point: found, passedOver };
    passedOver.push({ id, damage: found });
  }
  return { point: undefined, passedOver };
}

/** The point of newestPoint, for those whom it does not concern what was passed over. */
export const latestCommitted = async (vault: VaultAccess, itemId: string): Promise<LoadedManifest | undefined> => (await newestPoint(vault, itemId)).point;

/** The recovery point that an ended run made, or null. Where its end does not open, its verdict says the same: what was sealed was committed. */
async function pointOfRun(vault: VaultAccess, itemId: string, sequence: number): Promise<string | null> {
  try {
    return (await findDocument(vault, `${runFolder(itemId, sequence)}/end`, endSchema))?.recoveryPoint ?? null;
  } catch (error) {
    if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
    const verdict = await findVerdict(vault, itemId, sequence);
    return verdict?.verdict === 'sealed' ? verdict.manifest.id : null;
  }
}

/** A recovery point that should be there, or what is wrong with it; null when it was deleted meanwhile. A newer format is no damage: who cannot read it must not write either. */
async function usablePoint(vault: VaultAccess, itemId: string, id: string, sequence: number): Promise<LoadedManifest | ErrorReport | null> {
  try {
    const found = await findManifest(vault, itemId, id.slice(itemId.length + 1));
    if (found) return found;
  } catch (error) {
    if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
    return error.toJSON();
  }
  if ((await readMarksOf(vault, id)).state !== 'live') return null;
  return new HoldfastError('HISTORY_BROKEN', `Run ${sequence} of ${itemId} made the recovery point ${id}, which is no longer in the vault`, { data: { id } }).toJSON();
}

/** How a run ended, or undefined while it has not. */
export const runEnd = (vault: VaultAccess, run: RunRef): Promise<z.infer<typeof endSchema> | undefined> =>
  findDocument(vault, `${runFolder(run.itemId, run.sequence)}/end`, endSchema);

/** When a run's time is over: after it the run may be given up by anyone. */
export const runDeadlineMs = async (vault: VaultAccess, run: RunRef): Promise<number> => Date.parse((await readOpen(vault, run.itemId, run.sequence)).deadline);

async function lastRun(vault: VaultAccess, itemId: string): Promise<{ sequence: number; ended: boolean } | undefined> {
  const states = await runStates(vault, itemId);
  let sequence = 0;
  for (const number of states.keys()) sequence = Math.max(sequence, number);
  return sequence === 0 ? undefined : { sequence, ended: states.get(sequence)?.has('end') ?? false };
}

/** The runs of an item by number, and which of them have ended. */
export async function listRuns(vault: VaultAccess, itemId: string): Promise<ReadonlyMap<number, { readonly ended: boolean }>> {
  return new Map([...await runStates(vault, itemId)].map(([sequence, state]) => [sequence, { ended: state.has('end') }]));
}

/** How a run was opened, or undefined when there is no such run. */
export const findRunOpen = (vault: VaultAccess, itemId: string, sequence: number): Promise<RunOpen | undefined> =>
  findDocument(vault, `${runFolder(itemId, sequence)}/open`, openSchema);

async function runStates(vault: VaultAccess, itemId: string): Promise<Map<number, Set<string>>> {
  const states = new Map<number, Set<string>>();
  for await (const name of listNames(vault.store, `runs/${itemId}/`)) {
    const [sequence, state] = name.slice(`runs/${itemId}/`.length).split('/');
    if (!sequence || !SEQUENCE.test(sequence)) continue;
    const number = Number(sequence);
    states.set(number, (states.get(number) ?? new Set()).add(state ?? ''));
  }
  return states;
}

async function readOpen(vault: VaultAccess, itemId: string, sequence: number): Promise<RunOpen> {
  const name = `${runFolder(itemId, sequence)}/open`;
  const open = await findRunOpen(vault, itemId, sequence);
  if (!open) throw new HoldfastError('VAULT_DAMAGED', `The run ${itemId}/${sequence} has no ${name}`, { data: { name } });
  return open;
}

/** What was decided about a run, or undefined while nothing was. */
export const findVerdict = (vault: VaultAccess, itemId: string, sequence: number): Promise<z.infer<typeof verdictSchema> | undefined> =>
  findDocument(vault, `${runFolder(itemId, sequence)}/verdict`, verdictSchema);

const readVerdict = (vault: VaultAccess, run: RunRef): ReturnType<typeof findVerdict> => findVerdict(vault, run.itemId, run.sequence);

const abandonedError = (run: RunRef, why: string | undefined): HoldfastError =>
  new HoldfastError('RUN_ABANDONED', `Run ${run.sequence} of ${run.itemId} cannot be committed: ${why ?? 'unknown'}`, { data: { itemId: run.itemId, sequence: run.sequence } });
