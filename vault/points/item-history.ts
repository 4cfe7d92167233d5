import { type ErrorReport, HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import { doubt, type HistoryPoint, type ReadRecord } from './alive';
import { findDocument } from '../format/documents';
import { findManifest, type Manifest, manifestName, recoveryPointId, STAMP } from '../format/manifest';
import { MARGINS } from './margins';
import { namesDigest } from './names-digest';
import { isPurgeDue, markName, type Marks, type MarkState, markPurged, readMarks, type Tombstone } from './marks';
import { recordSchema, referencesFolder, type TreeHistory } from './references';
import { findVerdict, runEnd } from '../run';
import { type EndedRun, runTimes, type SurveyedRun } from './run-survey';
import type { VaultAccess } from '../format/tree';
import { listNames } from '../store/list-names';
import { compareNames } from '../store/object-names';

export interface HistoryContext {
  /** By the clock of the store's server. */
  readonly serverNowMs: number;
  /** What was purged since still counts as needed: a run that is open may have taken it over. See vault/collect.ts. */
  readonly horizonMs: number;
  readonly by: string;
  /** Nothing is purged; what would be is told. */
  readonly dryRun: boolean;
}

/** What collection knows of one item. */
export interface ItemHistory {
  readonly points: readonly HistoryPoint[];
  readonly live: number;
  readonly binned: readonly { readonly id: string; readonly binUntil: string; readonly held: boolean }[];
  /** Recovery points whose time in the bin was over, and that are gone now (in a dry run: would be). */
  readonly purged: readonly string[];
  /** Recovery points that were purged at any time before. Their manifests may be there still. */
  readonly tombs: readonly string[];
  /** Runs that ended without a recovery point. */
  readonly abandoned: readonly EndedRun[];
  readonly problems: readonly ErrorReport[];
  /** What the names of its manifests and marks come to after this, so that a later look can tell whether anything else was decided: see namesDigest. */
  readonly names: string;
}

/** Manifests that are fetched at once, as in catalog.ts. */
const PARALLEL_READS = 16;

/** Recovery points that are purged at once: most of the time is the store's, until each mark is durable. */
const PARALLEL_PURGES = 8;

/** A recovery point in the few fields that collection needs: a thousand manifests of large machines would fill memory. */
interface Point {
  readonly id: string;
  readonly stamp: string;
  readonly sequence: number;
  readonly parent: Manifest['parent'];
  /** null when only the run's verdict still says what the manifest was. */
  readonly digest: string | null;
  readonly trees: readonly TreeHistory[];
  readonly rootPacks: readonly (string | null)[];
}

/**
 * Reads the recovery points of an item, purges those whose time in the bin is over, and checks that it is the whole of the item's history: every run that ended made a
 * recovery point that is there, or that a mark says was purged, or says itself that it made none. `runs` must have been listed before. Throws COLLECTION_REFUSED for
 * what does not fit, and whatever the store throws.
 */
export async function readItemHistory(vault: VaultAccess, itemId: string, runs: readonly SurveyedRun[], context: HistoryContext): Promise<ItemHistory> {
  // Manifests before marks: one that is purged in between then has its tombstone.
  const names = { manifests: new Set<string>(), marks: new Set<string>() };
  const { points, damaged } = await readManifests(vault, itemId, names.manifests);
  const marks = await readMarks(vault, { itemId, onName: (name) => void names.marks.add(name) });
  const tombs = [...marks.marked].flatMap(([id, { tombstone }]) => (tombstone ? [{ id, tombstone }] : []));
  const known = new Set([...points.map(({ sequence }) => sequence), ...tombs.map(({ tombstone }) => tombstone.sequence)]);
  const { abandoned, found } = await explainRuns(vault, itemId, runs.filter(({ sequence, ended }) => ended && !known.has(sequence)), new Set(damaged.map(({ id }) => id)));
  for (const { id } of damaged) if (!found.some((point) => point.id === id) && marks.of(id).state !== 'purged') throw doubt(`the manifest of ${id} does not open, and no run tells what it was`, { id });
  const all = [...points, ...found];
  await assertRunsKnown(vault, itemId, runs, all, context.serverNowMs);
  assertChain(all, tombs);
  const settled = await settlePoints(vault, all, tombs, marks, context, names);
  return {
    ...settled, tombs: tombs.map(({ id }) => id), abandoned, problems: [...damaged.map(({ error }) => error), ...[...marks.marked.values()].flatMap((state) => state.damaged ?? [])],
    names: namesDigest(names.manifests, names.marks),
  };
}

/** Names of an item's manifests and marks. */
interface Names { readonly manifests: Set<string>; readonly marks: Set<string> }

async function readManifests(vault: VaultAccess, itemId: string, names: Set<string>): Promise<{ points: Point[]; damaged: { id: string; error: ErrorReport }[] }> {
  const prefix = `recovery-points/${itemId}/`;
  const stamps: string[] = [];
  for await (const name of listNames(vault.store, prefix)) {
    names.add(name);
    if (STAMP.test(name.slice(prefix.length))) stamps.push(name.slice(prefix.length));
  }
  const points: Point[] = [];
  const damaged: { id: string; error: ErrorReport }[] = [];
  const queue = stamps.values();
  await Promise.all(Array.from({ length: Math.min(PARALLEL_READS, stamps.length) }, async () => {
    for (const stamp of queue) {
      try {
        const loaded = await findManifest(vault, itemId, stamp);
        // Gone since it was listed: its mark, or the run that made it, will say why.
        if (loaded) points.push(pointOf(loaded.manifest, loaded.digest));
      } catch (error) {
        if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
        damaged.push({ id: recoveryPointId(itemId, stamp), error: error.toJSON() });
      }
    }
  }));
  return { points, damaged };
}

const pointOf = ({ id, stamp, sequence, parent, disks }: Manifest, digest: string | null): Point =>
  ({ id, stamp, sequence, parent, digest, trees: disks.map(({ tree }) => tree), rootPacks: disks.map(({ root }) => root?.pack ?? null) });

/** What became of runs that ended and have neither manifest nor tombstone. One that made a recovery point whose manifest does not open still has it in its verdict. */
async function explainRuns(vault: VaultAccess, itemId: string, runs: readonly SurveyedRun[], damaged: ReadonlySet<string>): Promise<{ abandoned: EndedRun[]; found: Point[] }> {
  const abandoned: EndedRun[] = [];
  const found: Point[] = [];
  const queue = runs.values();
  await Promise.all(Array.from({ length: Math.min(PARALLEL_READS, runs.length) }, async () => {
    for (const run of queue) {
      const end = await runEnd(vault, { itemId, sequence: run.sequence, stamp: '' });
      if (!end) throw doubt(`the end of run ${run.sequence} of ${itemId} was listed and is not there`, { itemId });
      if (end.outcome === 'abandoned') {
        abandoned.push({ sequence: run.sequence, ...await runTimes(vault, itemId, run.sequence) });
        continue;
      }
      if (end.recoveryPoint === null || !damaged.has(end.recoveryPoint)) {
        throw doubt(`the recovery point ${end.recoveryPoint} of run ${run.sequence} of ${itemId} is not in the vault, and no mark says that it was deleted`, { itemId, recoveryPoint: end.recoveryPoint });
      }
      const verdict = await findVerdict(vault, itemId, run.sequence);
      if (verdict?.verdict !== 'sealed') throw doubt(`the manifest of ${end.recoveryPoint} does not open, and its run does not have it either`, { id: end.recoveryPoint });
      found.push(pointOf(verdict.manifest, null));
    }
  }));
  return { abandoned: abandoned.sort((a, b) => a.sequence - b.sequence), found };
}

/** A recovery point's run was in the list of runs, unless it began after that: otherwise the list was not whole, and an open run may be missing in it. */
async function assertRunsKnown(vault: VaultAccess, itemId: string, runs: readonly SurveyedRun[], points: readonly Point[], surveyedAtMs: number): Promise<void> {
  const listed = new Set(runs.map(({ sequence }) => sequence));
  for (const { id, sequence } of points) {
    if (listed.has(sequence)) continue;
    const open = await vault.store.stat(`runs/${itemId}/${String(sequence).padStart(10, '0')}/open`);
    if (!open || open.modifiedAtMs < surveyedAtMs - MARGINS.clockToleranceMs) throw doubt(`the run ${sequence} of ${itemId}, which made ${id}, was not in the list of runs`, { id });
  }
}

/** The digest that each recovery point names of the one before is that of the manifest that is, or was, there (fault 38). */
function assertChain(points: readonly Point[], tombs: readonly { readonly tombstone: Tombstone }[]): void {
  const digests = new Map<number, string | null>([...tombs.map(({ tombstone }) => [tombstone.sequence, tombstone.digest] as const), ...points.map(({ sequence, digest }) => [sequence, digest] as const)]);
  for (const { id, parent } of points) {
    const digest = parent && digests.get(parent.sequence);
    if (parent && digest && digest !== parent.digest) throw doubt(`the recovery point that ${id} was made from, ${parent.id}, is not the one that is there`, { id });
  }
}

type Settled = Pick<ItemHistory, 'points' | 'live' | 'binned' | 'purged'>;

async function settlePoints(vault: VaultAccess, points: readonly Point[], tombs: readonly { readonly id: string; readonly tombstone: Tombstone & { readonly at: string } }[], marks: Marks, context: HistoryContext, names: Names): Promise<Settled> {
  const history = tombs.map(({ tombstone }): HistoryPoint => ({ ...tombstone, rootPacks: null, needed: Date.parse(tombstone.at) >= context.horizonMs }));
  const binned: ItemHistory['binned'][number][] = [];
  const due: Point[] = [];
  let live = 0;
  for (const point of points) {
    const state = marks.of(point.id);
    if (state.state === 'purged') {
      // Who purged it was cut off before the manifest went.
      if (!context.dryRun) await deleteManifest(vault, point, names);
      continue;
    }
    // One that is purged only now is needed all the same: a run that began before may have taken it over.
    history.push({ sequence: point.sequence, parentSequence: point.parent?.sequence ?? null, trees: point.trees, rootPacks: point.rootPacks, needed: true });
    if (state.state === 'live') live++;
    else if (isPurgeDue(state, context.serverNowMs)) due.push(point);
    else binned.push(binnedOf(point, state));
  }
  const purged = context.dryRun ? new Set(due) : await purgeAll(vault, due, context, names);
  for (const point of due) if (!purged.has(point)) binned.push(binnedOf(point, marks.of(point.id)));
  return { points: history, live, binned: binned.sort((a, b) => (a.binUntil < b.binUntil ? -1 : 1)), purged: [...purged].map(({ id }) => id).sort(compareNames) };
}

const binnedOf = ({ id }: Point, { binUntil, held }: MarkState): ItemHistory['binned'][number] => ({ id, binUntil: binUntil ?? '', held });

/** Purges a few at once, and answers which are gone now. Throws the first failure after those under way have ended. */
async function purgeAll(vault: VaultAccess, due: readonly Point[], context: HistoryContext, names: Names): Promise<Set<Point>> {
  const purged = new Set<Point>();
  const failures: unknown[] = [];
  const queue = due.values();
  await Promise.all(Array.from({ length: Math.min(PARALLEL_PURGES, due.length) }, async () => {
    for (const point of queue) {
      if (failures.length > 0) return;
      try {
        if (await purge(vault, point, context, names)) purged.add(point);
      } catch (error) {
        failures.push(error);
      }
    }
  }));
  if (failures.length > 0) throw failures[0];
  return purged;
}

/** The mark decides: an undelete or a hold that comes first wins, and then nothing happens. */
async function purge(vault: VaultAccess, point: Point, { by, serverNowMs }: HistoryContext, names: Names): Promise<boolean> {
  let state: MarkState;
  try {
    state = await markPurged(vault, point.id, { by, serverNowMs }, { sequence: point.sequence, parentSequence: point.parent?.sequence ?? null, digest: point.digest, trees: point.trees });
  } catch (error) {
    if (isHoldfastError(error, 'RECOVERY_POINT_NOT_DUE') || isHoldfastError(error, 'RECOVERY_POINT_HELD')) return false;
    throw error;
  }
  if (state.state !== 'purged') throw new HoldfastError('INTERNAL', `${point.id} was purged and is ${state.state}`);
  names.marks.add(markName(point.id, state.count));
  await deleteManifest(vault, point, names);
  return true;
}

/** What a WORM policy holds goes with a later collection; the mark says already that the recovery point is gone. */
async function deleteManifest(vault: VaultAccess, { id, stamp }: Point, names: Names): Promise<void> {
  const name = manifestName(id.slice(0, -stamp.length - 1), stamp);
  try {
    await vault.store.delete(name);
    names.manifests.delete(name);
  } catch (error) {
    if (!isHoldfastError(error, 'STORE_IMMUTABLE')) throw error;
  }
}

/** Reads a record that is too large for the manifest, and checks that it is of this point. */
export const recordReader = (vault: VaultAccess, itemId: string): ReadRecord => async (point, tree, { name }) => {
  const [disk, pass] = tree.references.split('-').map(Number);
  const path = `${referencesFolder({ itemId, sequence: point.sequence }, disk as number, pass)}/${name}`;
  let record;
  try {
    record = await findDocument(vault, path, recordSchema);
  } catch (error) {
    if (isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw doubt(`the record ${path} does not open`, { name: path });
    throw error;
  }
  if (!record) throw doubt(`the record ${path} is not there`, { name: path });
  const parent = tree.lineage.startsWith(`${point.sequence}.`) ? null : point.parentSequence;
  if (record.lineage !== tree.lineage || record.parentSequence !== parent) throw doubt(`the record ${path} is of another lineage`, { name: path });
  return record;
};
