import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { type ErrorReport, HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import type { ListedPoint, RecoveryPointList } from '../catalog';
import { listDamagedPoints } from './damaged-points';
import { findDocument } from '../format/documents';
import { type LoadedManifest, type Manifest, manifestSchema } from '../format/manifest';
import { type Marks, readMarks } from '../points/marks';
import type { VaultAccess } from '../format/tree';

export const broken = (message: string, id: string): ErrorReport => new HoldfastError('HISTORY_BROKEN', message, { data: { id } }).toJSON();

/** What is wrong with a recovery point's place in the history of its item (fault 38): its run, its parent, and what is said of it since. */
export const historyProblems = async (vault: VaultAccess, point: ListedPoint, history: History): Promise<ErrorReport[]> =>
  [...await checkRun(vault, point), ...checkParent(point, history), ...(point.marks.damaged ? [point.marks.damaged] : [])];

/** What the vault has besides recovery points, of one item or of all, for `historyProblems`. */
export async function readHistory(vault: VaultAccess, list: RecoveryPointList, itemId?: string): Promise<History> {
  return { ...list, marks: await readMarks(vault, { itemId }), passedOver: new Set((await listDamagedPoints(vault, itemId)).map(({ recoveryPoint }) => recoveryPoint)) };
}

/** What is known of the recovery points of one item, or of all. */
export interface History extends RecoveryPointList {
  readonly marks: Marks;
  /** Ids of recovery points that a backup could not go on from, though they may open again (format §12). */
  readonly passedOver: ReadonlySet<string>;
}

/** The run that made a recovery point sealed this very manifest. */
async function checkRun(vault: VaultAccess, { manifest }: LoadedManifest): Promise<ErrorReport[]> {
  try {
    const sealed = await readSealed(vault, manifest.itemId, manifest.sequence);
    if (isDeepStrictEqual(sealed, manifest)) return [];
    const why = sealed === undefined ? `has no sealed run ${manifest.sequence}` : `is not what its run ${manifest.sequence} sealed`;
    return [broken(`The recovery point ${manifest.id} ${why}`, manifest.id)];
  } catch (error) {
    if (isHoldfastError(error, 'DOCUMENT_DAMAGED')) return [error.toJSON()];
    throw error;
  }
}

/**
 * A recovery point names its item's recovery point before it and the digest of that one's manifest. It may pass over those that were in the bin when it was made, or did not open;
 * of a parent that is gone for good the tombstone still has the digest.
 */
function checkParent({ manifest }: LoadedManifest, { points, damaged, marks, passedOver }: History): ErrorReport[] {
  const { id, parent, itemId, sequence } = manifest;
  const own = points.filter(({ manifest: other }) => other.itemId === itemId);
  const mayPass = (other: ListedPoint): boolean => other.marks.wasDeleted || passedOver.has(other.manifest.id);
  const before = own.filter((other) => other.manifest.sequence < sequence && (!mayPass(other) || other.manifest.id === parent?.id)).at(-1);
  const twin = own.find(({ manifest: other }) => other.sequence === sequence && other.id !== id);
  const problems = twin ? [broken(`${id} and ${twin.manifest.id} have the same sequence number ${sequence}`, id)] : [];
  // Its parent's own entry already says that it does not open.
  if (parent && damaged.some((one) => one.id === parent.id)) return problems;
  const named = parent && own.find(({ manifest: other }) => other.id === parent.id);
  const tombstone = parent ? marks.of(parent.id).tombstone : null;
  if (parent && !named && !tombstone) return [...problems, broken(`The parent of ${id}, ${parent.id}, is not in the vault`, id)];
  const namedSequence = named?.manifest.sequence ?? tombstone?.sequence ?? 0;
  if ((before?.manifest.sequence ?? 0) > namedSequence || namedSequence >= sequence) {
    return [...problems, broken(`The recovery point before ${id} is ${before?.manifest.id ?? 'none'}, and it names ${parent?.id ?? 'none'}`, id)];
  }
  const digest = named?.digest ?? tombstone?.digest;
  if (parent && digest && digest !== parent.digest) return [...problems, broken(`The parent of ${id}, ${parent.id}, was replaced: its digest is not the one that ${id} names`, id)];
  return problems;
}

/** A run that says it made a recovery point. */
interface CommittedRun {
  readonly itemId: string;
  readonly sequence: number;
  readonly recoveryPoint: string;
}

// The same documents that run.ts writes (format §9), read as a reader of history does: what it does not need may be anything.
const endSchema = z.looseObject({ version: z.literal(1), outcome: z.enum(['committed', 'abandoned']), recoveryPoint: z.string().nullable() });
const verdictSchema = z.discriminatedUnion('verdict', [
  z.object({ version: z.literal(1), verdict: z.literal('sealed'), manifest: manifestSchema }),
  z.object({ version: z.literal(1), verdict: z.literal('abandoned') }),
]);

const END = /^runs\/([^/]+)\/(\d{10})\/end$/;

/** The runs of the vault or of one item that ended as committed, and the ends that do not open. */
export async function readRuns(vault: VaultAccess, itemId?: string): Promise<{ committed: CommittedRun[]; damaged: ErrorReport[] }> {
  const committed: CommittedRun[] = [];
  const damaged: ErrorReport[] = [];
  for await (const { name } of vault.store.list(itemId === undefined ? 'runs/' : `runs/${itemId}/`)) {
    const [, item, number] = END.exec(name) ?? [];
    if (item === undefined) continue;
    try {
      const end = await findDocument(vault, name, endSchema);
      if (end?.outcome === 'committed' && end.recoveryPoint !== null) committed.push({ itemId: item, sequence: Number(number), recoveryPoint: end.recoveryPoint });
    } catch (error) {
      if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
      damaged.push(error.toJSON());
    }
  }
  return { committed, damaged };
}

/** The manifest that a run sealed, or undefined when the run is not there or was given up. */
async function readSealed(vault: VaultAccess, itemId: string, sequence: number): Promise<Manifest | undefined> {
  const verdict = await findDocument(vault, `runs/${itemId}/${String(sequence).padStart(10, '0')}/verdict`, verdictSchema);
  return verdict?.verdict === 'sealed' ? verdict.manifest : undefined;
}
