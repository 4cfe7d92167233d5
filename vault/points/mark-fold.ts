import { z } from 'zod';
import type { ErrorReport } from '../../errors/holdfast-error';
import { type TreeHistory, treeSchema } from './references';

const instant = z.iso.datetime();
const common = { version: z.literal(1), at: instant, by: z.string() };

/** A mark of a recovery point (format §10). */
export const markSchema = z.discriminatedUnion('kind', [
  z.object({ ...common, kind: z.literal('deleted'), binUntil: instant, reason: z.enum(['retention', 'asked']), policy: z.string().nullable() }),
  z.object({ ...common, kind: z.literal('undeleted') }),
  z.object({ ...common, kind: z.literal('held'), label: z.string() }),
  z.object({ ...common, kind: z.literal('released'), label: z.string() }),
  z.object({
    ...common, kind: z.literal('purged'), sequence: z.int().min(1), parentSequence: z.int().min(1).nullable(),
    digest: z.string().regex(/^[0-9a-f]{64}$/).nullable(), trees: z.array(treeSchema.nullable()),
  }),
]);
export type Mark = z.infer<typeof markSchema>;

/** What is still known of a recovery point after it is gone. */
export interface Tombstone {
  readonly sequence: number;
  readonly parentSequence: number | null;
  /** SHA-256 of the manifest object, so that the chain of those after it can still be followed; null when it did not open. */
  readonly digest: string | null;
  /** For each disk, in the manifest's order, what the manifest said of its tree (format §8.3). */
  readonly trees: readonly (TreeHistory | null)[];
}

export interface Hold {
  readonly label: string;
  readonly by: string;
  readonly at: string;
}

/** What became of a recovery point: the fold over its marks. */
export interface MarkState {
  readonly state: 'live' | 'binned' | 'purged';
  /** True when a hold is on it, or a mark does not open and may be one. */
  readonly held: boolean;
  readonly holds: readonly Hold[];
  /** When it was put into the bin, by whom and why; null unless it is in the bin or gone. */
  readonly deleted: { readonly at: string; readonly by: string; readonly reason: 'retention' | 'asked'; readonly policy: string | null } | null;
  /** ISO 8601; null unless it is in the bin. */
  readonly binUntil: string | null;
  /** The number of the mark that put it into the bin; null unless it is in the bin. */
  readonly binnedBy: number | null;
  /** True when it was in the bin at any time: then the chain of its item may pass it over. */
  readonly wasDeleted: boolean;
  readonly tombstone: (Tombstone & { readonly at: string }) | null;
  /** Why its marks cannot be trusted. It counts as live and held then. */
  readonly damaged: ErrorReport | null;
  /** Marks that were read: the next one has the number after it. */
  readonly count: number;
}

export const UNMARKED: MarkState = { state: 'live', held: false, holds: [], deleted: null, binUntil: null, binnedBy: null, wasDeleted: false, tombstone: null, damaged: null, count: 0 };

/** The state after a mark, or in words what the recovery point is that the mark is not allowed for. Pure. */
export function foldMark(before: MarkState, mark: Mark): MarkState | string {
  const next = { ...before, count: before.count + 1 };
  if (before.state === 'purged') return 'gone for good';
  switch (mark.kind) {
    case 'deleted':
      if (before.state === 'binned') return 'in the bin already';
      if (before.held) return 'held';
      return { ...next, state: 'binned', binUntil: mark.binUntil, binnedBy: next.count, wasDeleted: true, deleted: { at: mark.at, by: mark.by, reason: mark.reason, policy: mark.policy } };
    case 'undeleted':
      if (before.state !== 'binned') return 'not in the bin';
      return { ...next, state: 'live', binUntil: null, binnedBy: null, deleted: null };
    case 'held':
      if (before.holds.some(({ label }) => label === mark.label)) return 'held with this label already';
      return { ...next, held: true, holds: [...before.holds, { label: mark.label, by: mark.by, at: mark.at }] };
    case 'released': {
      const holds = before.holds.filter(({ label }) => label !== mark.label);
      if (holds.length === before.holds.length) return 'not held with this label';
      return { ...next, holds, held: holds.length > 0 };
    }
    case 'purged':
      if (before.state !== 'binned') return 'not in the bin';
      if (before.held) return 'held';
      if (before.binUntil === null || Date.parse(mark.at) < Date.parse(before.binUntil)) return `in the bin until ${before.binUntil}`;
      return { ...next, state: 'purged', binUntil: null, binnedBy: null, tombstone: { at: mark.at, sequence: mark.sequence, parentSequence: mark.parentSequence, digest: mark.digest, trees: mark.trees } };
  }
}
