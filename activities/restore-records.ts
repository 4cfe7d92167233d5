import { z } from 'zod';
import { type ErrorReport, HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { createDocument, findDocument } from '../vault/format/documents';
import type { VaultAccess } from '../vault/format/tree';
import { THE_APP } from '../vault/trail/record';
import { appendRecord } from '../vault/trail/trail';
import { restoreTargetSchema } from './restore-request';
import { VAULT_TAG } from './snapshot';
import { recall } from './work';

/**
 * What a restore keeps in the vault between its steps (format §11), sealed and create-only: what was asked, the plan with every name of what
 * is made, what each slice and disk became, and the verdict that decides once whether it is done or given up.
 */
export interface RestoreInput { readonly restoreId: string }
export interface RestoreDiskInput extends RestoreInput { readonly disk: number }
export interface RestoreRegionInput extends RestoreDiskInput { readonly region: number }

/** How far something is that is called again until it is ready. */
export interface TargetStatus { readonly state: 'running' | 'ready' }

export const requestSchema = z.object({
  version: z.literal(1), restoreId: z.string(), recoveryPoint: z.string(), target: restoreTargetSchema, requestedAt: z.string(),
});
export type RestoreRequest = z.infer<typeof requestSchema>;

const tags = z.record(z.string(), z.string());
/** What a machine has in the place of a disk that is restored by difference. */
const present = z.object({ diskId: z.string(), uniqueId: z.string(), /** Made by the restore, for the time that it takes. */ snapshotId: z.string() });
export type PresentDisk = z.infer<typeof present>;
const uploadDisk = z.object({
  kind: z.literal('disk'), id: z.string(), location: z.string(), zone: z.string().nullable(), sku: z.string(), sizeBytes: z.int(),
  osType: z.enum(['Windows', 'Linux']).nullable(), hyperVGeneration: z.enum(['V1', 'V2']).nullable(), logicalSectorBytes: z.int().nullable(),
  securityType: z.literal('TrustedLaunch').nullable(), tags,
  /** Out of it the service copies what is equal; null where all comes from the vault. */
  present: present.nullable().default(null),
});
const pageBlob = z.object({
  kind: z.literal('pageBlob'), account: z.string(), container: z.string(), blob: z.string(), sizeBytes: z.int(), metadata: tags,
  /** It was there before and is written where it differs; else the restore makes it. */
  differential: z.boolean(),
});
const plannedDisk = z.object({
  /** Its place among the recovery point's disks. */
  disk: z.int(), name: z.string(), lun: z.string(), sizeBytes: z.int(), target: z.discriminatedUnion('kind', [uploadDisk, pageBlob]),
});
export type PlannedRestoreDisk = z.infer<typeof plannedDisk>;

const dataDisk = z.object({ lun: z.int(), diskId: z.string(), caching: z.string(), writeAccelerated: z.boolean() });
const vmCreate = z.object({
  id: z.string(), location: z.string(), zone: z.string().nullable(), availabilitySetId: z.string().nullable(), size: z.string(), osType: z.enum(['Windows', 'Linux']),
  osDisk: z.object({ diskId: z.string(), caching: z.string(), writeAccelerated: z.boolean() }), dataDisks: z.array(dataDisk),
  network: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('existing'), nicIds: z.array(z.string()) }),
    z.object({ kind: z.literal('new'), nicName: z.string(), subnetId: z.string(), securityGroupId: z.string().nullable() }),
  ]),
  security: z.object({ type: z.literal('TrustedLaunch'), secureBoot: z.boolean(), vTpm: z.boolean() }).nullable(),
  diskController: z.enum(['SCSI', 'NVMe']).nullable(), licenseType: z.string().nullable(),
  plan: z.object({ name: z.string(), publisher: z.string(), product: z.string() }).nullable(), ultraDisks: z.boolean(), tags,
});
const swap = z.object({
  vmId: z.string(),
  /** Whether it ran when the restore was planned: it is started again only then. */
  wasRunning: z.boolean(),
  os: z.object({ newDiskId: z.string(), oldDiskId: z.string() }).nullable(),
  data: z.array(dataDisk.extend({ oldDiskId: z.string() })),
  keepOldDisks: z.boolean(),
});
export type SwapPlan = z.infer<typeof swap>;

export const restorePlanSchema = z.object({
  version: z.literal(1), restoreId: z.string(), recoveryPoint: z.string(), itemId: z.string(), stamp: z.string(), kind: z.enum(['disk', 'vm', 'in-place', 'page-blob']),
  plannedAt: z.string(), deadline: z.string(), disks: z.array(plannedDisk).min(1), vm: vmCreate.nullable(), swap: swap.nullable(), warnings: z.array(z.string()),
});
export type RestorePlan = z.infer<typeof restorePlanSchema>;

export const restoreSliceSchema = z.object({ version: z.literal(1), windows: z.int(), writtenBytes: z.int(), copiedBytes: z.int().default(0), refusedBytes: z.int().default(0) });
export const restoreStepSchema = z.object({ version: z.literal(1), at: z.string() });
const reportSchema = z.object({ code: z.string(), message: z.string(), remedy: z.string(), data: z.record(z.string(), z.unknown()) });
export const restoreVerdictSchema = z.discriminatedUnion('verdict', [
  z.object({ version: z.literal(1), verdict: z.literal('restored'), at: z.string() }),
  z.object({ version: z.literal(1), verdict: z.literal('abandoned'), at: z.string(), reason: reportSchema }),
]);
export type RestoreVerdict = z.infer<typeof restoreVerdictSchema>;

const four = (number: number): string => String(number).padStart(4, '0');

export const restoreRecords = {
  request: ({ restoreId }: RestoreInput): string => `restores/${restoreId}/request`,
  plan: ({ restoreId }: RestoreInput): string => `restores/${restoreId}/plan`,
  slice: ({ restoreId, disk, region }: RestoreRegionInput, window: number): string => `restores/${restoreId}/d${disk}/r${four(region)}/s${four(window)}`,
  /** The footer is written: everything before it was read back. */
  footer: ({ restoreId, disk }: RestoreDiskInput): string => `restores/${restoreId}/d${disk}/footer`,
  /** Access is ended: the disk can be used. */
  done: ({ restoreId, disk }: RestoreDiskInput): string => `restores/${restoreId}/d${disk}/done`,
  /** From here on something may have been done to a machine. */
  machine: ({ restoreId }: RestoreInput): string => `restores/${restoreId}/machine`,
  verdict: ({ restoreId }: RestoreInput): string => `restores/${restoreId}/verdict`,
  end: ({ restoreId }: RestoreInput): string => `restores/${restoreId}/end`,
};

export const RESTORE_TAG = 'holdfast-restore';
/** On everything that a restore makes: what tells it from anything else of that name, and a sweeper whose it is. */
export const restoreTags = (vault: VaultAccess, { restoreId }: RestoreInput): Record<string, string> => ({ [VAULT_TAG]: vault.keys.vaultId.toString('hex'), [RESTORE_TAG]: restoreId });

export const loadRestorePlan = (vault: VaultAccess, input: RestoreInput): Promise<RestorePlan> => recall(vault, restoreRecords.plan(input), restorePlanSchema);

export const findRestoreVerdict = (vault: VaultAccess, input: RestoreInput): Promise<RestoreVerdict | undefined> => findDocument(vault, restoreRecords.verdict(input), restoreVerdictSchema);

/**
 * Decides a restore, once: whoever creates the verdict first. Answers the verdict that counts. A restore that was given up is undone; one that
 * is restored can no longer be cancelled.
 */
export async function decideRestore(vault: VaultAccess, input: RestoreInput, decision: { readonly verdict: 'restored' } | { readonly verdict: 'abandoned'; readonly reason: ErrorReport }, nowMs: number): Promise<RestoreVerdict> {
  const wanted = { version: 1 as const, at: new Date(nowMs).toISOString(), ...decision };
  if (await createDocument(vault, restoreRecords.verdict(input), wanted) === 'created') await recordEnd(vault, input, decision);
  return recall(vault, restoreRecords.verdict(input), restoreVerdictSchema);
}

/** Says in the audit trail what came of a restore that somebody started. The verdict says it too, and stands: so a trail that cannot be written to now holds nothing up. */
async function recordEnd(vault: VaultAccess, { restoreId }: RestoreInput, decision: { readonly verdict: 'restored' } | { readonly verdict: 'abandoned'; readonly reason: ErrorReport }): Promise<void> {
  try {
    const request = await findDocument(vault, restoreRecords.request({ restoreId }), requestSchema);
    await appendRecord(vault, {
      who: THE_APP, from: null, action: 'restore.run', target: request?.recoveryPoint ?? null, details: { restoreId, kind: request?.target.kind ?? null },
      ...(decision.verdict === 'restored' ? { outcome: 'done' } : { outcome: 'failed', code: decision.reason.code }),
    });
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
  }
}

/** Throws RESTORE_ABANDONED when it was given up or cancelled, is done, or took too long: a step that is started late, or again, then does nothing. */
export async function assertRestoreOpen(vault: VaultAccess, input: RestoreInput, nowMs: number): Promise<RestorePlan> {
  await assertUndecided(vault, input);
  const plan = await loadRestorePlan(vault, input);
  if (nowMs > Date.parse(plan.deadline)) throw new HoldfastError('RESTORE_ABANDONED', `The restore ${input.restoreId} was given up: its time was over at ${plan.deadline}`);
  return plan;
}

export async function assertUndecided(vault: VaultAccess, input: RestoreInput): Promise<void> {
  if (await vault.store.stat(restoreRecords.verdict(input))) throw new HoldfastError('RESTORE_ABANDONED', `The restore ${input.restoreId} is decided already; this step does nothing more`);
}

/**
 * At the end of a step that makes or changes something in the cloud: throws RESTORE_ABANDONED when the restore was decided meanwhile. One that was given up
 * is taken back by the step that slept (fault 7); of one that is restored nothing is ever taken back: it is somebody's data.
 */
export async function undoIfGivenUp(vault: VaultAccess, input: RestoreInput, undo: () => Promise<unknown>): Promise<void> {
  if ((await findRestoreVerdict(vault, input))?.verdict === 'abandoned') await undo();
  await assertUndecided(vault, input);
}

export function diskOf(plan: RestorePlan, disk: number): PlannedRestoreDisk {
  const found = plan.disks.find((one) => one.disk === disk);
  if (!found) throw new HoldfastError('INTERNAL', `The restore ${plan.restoreId} has no disk ${disk}`);
  return found;
}
