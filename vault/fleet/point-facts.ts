import { z } from 'zod';
import type { Manifest } from '../format/manifest';
import { statsSchema } from '../format/manifest';

/** Warnings of a recovery point that lists show, and characters of each; its manifest has all. */
const MAX_WARNINGS = 8;
const MAX_WARNING_CHARS = 300;

const diskFactsSchema = z.object({ name: z.string(), lun: z.string(), sizeBytes: z.number(), mode: z.enum(['full', 'incremental', 'compared']) });

/** What lists, sums and charts need of a manifest. It never changes, since the manifest does not. */
export const pointFactsSchema = z.object({
  stamp: z.string(), sequence: z.int(), slot: z.string().nullable(), startedAt: z.string(), createdAt: z.string(), policy: z.string().nullable(),
  consistency: z.enum(['application', 'file-system', 'crash', 'crash-per-disk']), kind: z.enum(['azure-vm', 'image']), name: z.string(), resourceId: z.string().nullable(),
  /** True when it goes on from another recovery point. */
  incremental: z.boolean(),
  disks: z.array(diskFactsSchema).readonly(), warnings: z.array(z.string()).readonly(), stats: statsSchema,
});
export type PointFacts = Readonly<z.infer<typeof pointFactsSchema>>;

/**
 * Equal parts kept once: a hundred thousand recovery points have few policies, names and sets of disks. It only grows by what differs, and is
 * as long-lived as what uses it.
 */
export class Shared {
  private readonly texts = new Map<string, string>();
  private readonly lists = new Map<string, PointFacts['disks']>();

  text<T extends string | null>(value: T): T {
    if (value === null) return value;
    const known = this.texts.get(value);
    if (known !== undefined) return known as T;
    this.texts.set(value, value);
    return value;
  }

  /** The same facts, made of shared parts. */
  facts(facts: PointFacts): PointFacts {
    const key = JSON.stringify(facts.disks);
    let disks = this.lists.get(key);
    if (!disks) this.lists.set(key, (disks = facts.disks.map(({ name, lun, sizeBytes, mode }) => ({ name: this.text(name), lun: this.text(lun), sizeBytes, mode: this.text(mode) }))));
    const { stats } = facts;
    return {
      stamp: facts.stamp, sequence: facts.sequence, slot: facts.slot === facts.createdAt ? facts.createdAt : facts.slot, startedAt: facts.startedAt === facts.createdAt ? facts.createdAt : facts.startedAt,
      createdAt: facts.createdAt, policy: this.text(facts.policy), consistency: this.text(facts.consistency), kind: this.text(facts.kind), name: this.text(facts.name), resourceId: this.text(facts.resourceId),
      incremental: facts.incremental, disks, warnings: facts.warnings.length === 0 ? NONE : facts.warnings.map((line) => this.text(line)),
      stats: {
        windows: stats.windows, readBytes: stats.readBytes, changedBytes: stats.changedBytes, newChunks: stats.newChunks, newBytes: stats.newBytes, reusedChunks: stats.reusedChunks,
        reusedBytes: stats.reusedBytes, storedBytes: stats.storedBytes, healedWindows: stats.healedWindows, forwardedChunks: stats.forwardedChunks, forwardedBytes: stats.forwardedBytes,
      },
    };
  }
}

const NONE: readonly string[] = [];

export const factsOf = ({ stamp, sequence, slot, startedAt, createdAt, policy, consistency, source, parent, disks, warnings, stats }: Manifest): PointFacts => ({
  stamp, sequence, slot, startedAt, createdAt, policy, consistency, kind: source.kind, name: source.name, resourceId: source.resourceId, incremental: parent !== null,
  disks: disks.map(({ name, lun, sizeBytes, mode }) => ({ name, lun, sizeBytes, mode })), warnings: warnings.slice(0, MAX_WARNINGS).map((line) => line.slice(0, MAX_WARNING_CHARS)), stats,
});
