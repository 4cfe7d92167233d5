import { z } from 'zod';
import { type ErrorReport, HoldfastError } from '../errors/holdfast-error';
import { createDocument, findDocument } from '../vault/format/documents';
import { blobRefSchema, statsSchema } from '../vault/format/manifest';
import { recordEntrySchema } from '../vault/points/references';
import { type RunRef, workFolder } from '../vault/run';
import type { VaultAccess } from '../vault/format/tree';
import { SNAPSHOT_KINDS } from './cloud';
import type { DiskInput, RegionInput, RunInput } from './types';

/**
 * What a run keeps in the vault between its steps (format §9): the plan, the snapshot, and what each slice, region and disk became.
 * Histories carry counts only; these records carry the references. Every record is create-only: a step that runs again, or twice
 * at once, finds the first result and returns that.
 */
const handleSchema = z.object({ kind: z.enum(SNAPSHOT_KINDS), id: z.string() });
const restorePointSchema = z.object({ subscriptionId: z.string(), resourceGroup: z.string(), collection: z.string(), name: z.string() });

export const DRIVERS = ['restorePoint', 'diskSnapshot', 'vmSnapshotExtension'] as const;

const plannedDiskSchema = z.object({
  disk: z.int(), name: z.string(), lun: z.string(), id: z.string(), uniqueId: z.string(), sizeBytes: z.number(), logicalSectorBytes: z.number(),
  sku: z.string(), caching: z.string(), hyperVGeneration: z.string().nullable(),
  /** The snapshot that this run makes of the disk; for a restore point it is known only afterwards. */
  snapshotId: z.string().nullable(),
});

/** Where a snapshot lies that some run made: what is needed to delete it. */
const madeSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('restorePoint'), ref: restorePointSchema }),
  z.object({ kind: z.literal('snapshots'), ids: z.array(z.string()) }),
  /** Found by their tags on these blobs: the service chooses their names. */
  z.object({ kind: z.literal('blobSnapshots'), blobs: z.array(z.string()) }),
]);
export type MadeSnapshot = z.infer<typeof madeSchema>;

const scriptsSchema = z.object({ pre: z.string(), post: z.string(), timeoutSeconds: z.number(), onFailure: z.enum(['accept', 'fail']) });

export const planSchema = z.object({
  version: z.literal(1),
  vmId: z.string(), vmName: z.string(), location: z.string(), osType: z.string(), model: z.record(z.string(), z.unknown()),
  slot: z.string().nullable(), policy: z.string().nullable(), startedAt: z.string(),
  driver: z.enum(DRIVERS),
  crashConsistent: z.boolean(), failOnWeaker: z.boolean(), keepBase: z.enum(['newest', 'none']),
  bandwidthMiBPerSecond: z.number().nullable(),
  disks: z.array(plannedDiskSchema).min(1),
  /** Run in the guest around the snapshot; null where the policy has none, or they do not apply. */
  scripts: scriptsSchema.nullable().default(null),
  excludedDiskIds: z.array(z.string()),
  makes: madeSchema,
  warnings: z.array(z.string()),
  parent: z.object({ id: z.string(), stamp: z.string(), sequence: z.int(), digest: z.string() }).nullable(),
});
export type RunPlan = z.infer<typeof planSchema>;

export const snapshotSchema = z.object({
  version: z.literal(1),
  consistency: z.enum(['application', 'file-system', 'crash', 'crash-per-disk']),
  createdAt: z.string(),
  disks: z.array(z.object({ disk: z.int(), handle: handleSchema, familyId: z.string().nullable(), sourceUniqueId: z.string().nullable() })),
  /** What a person should know of how it came about. */
  notes: z.array(z.string()).optional(),
});
export type RunSnapshot = z.infer<typeof snapshotSchema>;

/** When the guest was first asked for its snapshots. */
export const guestAskedSchema = z.object({ version: z.literal(1), askedAtMs: z.number() });
/** Why the guest could not be made consistent. */
export const guestFailedSchema = z.object({ version: z.literal(1), failure: z.custom<ErrorReport>((value) => typeof value === 'object' && value !== null && 'code' in value && 'message' in value) });

/** When a script began, or the snapshot was seen to be taken while the pre-script held. */
export const scriptMomentSchema = z.object({ version: z.literal(1), atMs: z.number() });
/** How a script ended; null when it succeeded. */
export const scriptDoneSchema = z.object({ version: z.literal(1), why: z.string().nullable() });

export const diskPlanSchema = z.object({
  version: z.literal(1),
  mode: z.enum(['full', 'incremental', 'compared']), why: z.string(), sizeBytes: z.number(), regions: z.string(),
  handle: handleSchema, base: handleSchema.nullable(),
  parent: z.object({ root: blobRefSchema.nullable(), sizeBytes: z.number(), sequence: z.int(), lineage: z.string() }).nullable(),
  champions: z.array(z.object({ id: z.string(), root: blobRefSchema, diskBytes: z.number() })),
  /** Damaged packs, from which nothing is taken over; sparse packs, which are copied forward; items whose chunks the tree has taken over. */
  avoid: z.array(z.string()).default([]), forward: z.array(z.string()).default([]), lenders: z.array(z.string()).default([]),
  /** True when the audit of the first pass found that ranges were left out: then no list is believed, and every window is read. */
  readAll: z.boolean().default(false),
});
export type DiskPlan = z.infer<typeof diskPlanSchema>;

export const regionPlanSchema = z.object({ version: z.literal(1), windows: z.string() });

const usageSchema = z.tuple([z.string(), z.number(), z.number()]).readonly();
export const sliceSchema = z.object({
  version: z.literal(1), stats: statsSchema,
  windows: z.array(z.object({
    window: z.int(), leaf: z.union([blobRefSchema, z.literal('same'), z.null()]), usage: z.array(usageSchema), hooks: z.array(z.string()), stats: statsSchema, parentLost: z.boolean().optional(),
  })),
});

export const regionDoneSchema = z.object({ version: z.literal(1), ref: z.union([blobRefSchema, z.literal('same'), z.null()]), record: recordEntrySchema.nullable(), stats: statsSchema });

export const diskDoneSchema = z.object({ version: z.literal(1), root: blobRefSchema.nullable(), mode: z.enum(['full', 'incremental', 'compared']), records: z.array(recordEntrySchema), stats: statsSchema });

/** `seed` gives the same sample again. */
export const auditSchema = z.object({ version: z.literal(1), seed: z.string().default(''), samples: z.int(), mismatches: z.int() });

const four = (number: number): string => String(number).padStart(4, '0');

export const releasedSchema = z.object({ version: z.literal(1), at: z.string() });

/** Names of the records. */
export const records = {
  plan: (run: RunInput): string => `${workFolder(run)}/plan`,
  guestAsked: (run: RunInput): string => `${workFolder(run)}/guest-asked`,
  guestFailed: (run: RunInput): string => `${workFolder(run)}/guest-failed`,
  scriptBegun: (run: RunInput, which: 'pre' | 'post'): string => `${workFolder(run)}/script-${which}-begun`,
  scriptTurn: (run: RunInput, which: 'pre' | 'post', turn: number): string => `${workFolder(run)}/script-${which}-turn-${turn}`,
  scriptDone: (run: RunInput, which: 'pre' | 'post'): string => `${workFolder(run)}/script-${which}-done`,
  scriptsHeld: (run: RunInput): string => `${workFolder(run)}/scripts-held`,
  snapshot: (run: RunInput): string => `${workFolder(run)}/snapshot`,
  diskFolder: (disk: DiskInput): string => `${workFolder(disk)}/d${disk.disk}-${disk.pass}`,
  diskPlan: (disk: DiskInput): string => `${records.diskFolder(disk)}/plan`,
  diskDone: (disk: DiskInput): string => `${records.diskFolder(disk)}/done`,
  audit: (disk: DiskInput): string => `${records.diskFolder(disk)}/audit`,
  regionFolder: (region: RegionInput): string => `${records.diskFolder(region)}/r${four(region.region)}`,
  regionPlan: (region: RegionInput): string => `${records.regionFolder(region)}/plan`,
  slice: (region: RegionInput, firstWindow: number): string => `${records.regionFolder(region)}/s${four(firstWindow)}`,
  regionDone: (region: RegionInput): string => `${records.regionFolder(region)}/done`,
  /** Nothing is left in the cloud that this run, or one before it, made: but the base that was to be kept. */
  released: (run: RunInput): string => `${workFolder(run)}/released`,
};

/** The record of a step: what is there already, or what `make` gives now. Of two that make it at once the first counts for both. */
export async function remember<T>(vault: VaultAccess, name: string, schema: z.ZodType<T>, make: () => Promise<T>): Promise<T> {
  const before = await findDocument(vault, name, schema);
  if (before) return before;
  const made = await make();
  if (await createDocument(vault, name, made) === 'created') return made;
  return recall(vault, name, schema);
}

/** A record that an earlier step must have left. */
export async function recall<T>(vault: VaultAccess, name: string, schema: z.ZodType<T>): Promise<T> {
  const found = await findDocument(vault, name, schema);
  if (!found) throw new HoldfastError('VAULT_DAMAGED', `The run's record ${name} is not there`, { data: { name } });
  return found;
}

const openSchema = z.object({ version: z.literal(1), deadline: z.string() });

/**
 * Throws RUN_ABANDONED when the run was given up or cancelled, or its time is over: a step that is started late, or again, then does nothing,
 * and a run that takes longer than its policy allows stops at its next step.
 */
export async function assertRunOpen(vault: VaultAccess, run: RunRef, nowMs: number): Promise<void> {
  const folder = `runs/${run.itemId}/${String(run.sequence).padStart(10, '0')}`;
  if (await vault.store.stat(`${folder}/verdict`)) throw new HoldfastError('RUN_ABANDONED', `Run ${run.sequence} of ${run.itemId} is decided already; this step does nothing more`);
  const { deadline } = await recall(vault, `${folder}/open`, openSchema);
  if (nowMs > Date.parse(deadline)) throw new HoldfastError('RUN_ABANDONED', `Run ${run.sequence} of ${run.itemId} was given up: its time was over at ${deadline}`);
}
