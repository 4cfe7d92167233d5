import { z } from 'zod';
import { isHoldfastError } from '../../errors/holdfast-error';
import { createDocument, findDocument, isUnreadable } from '../format/documents';
import type { VaultAccess } from '../format/tree';
import { anchorSchema } from '../trail/record';

const PREFIX = 'maintenance/';
const STAMP = /^\d{8}T\d{6}(\d{3})?Z$/;
/** So many outcomes are kept: a year of days. */
const KEPT = 400;

const errorSchema = z.object({ code: z.string(), message: z.string(), remedy: z.string() }).loose();

/** What a maintenance does, one apart from the others. */
export const MAINTENANCE_PARTS = ['locks', 'keys', 'retention', 'collection'] as const;

/** What a maintenance of the vault came to (format §14). */
export const maintenanceSchema = z.object({
  version: z.literal(1), stamp: z.string().regex(STAMP), dryRun: z.boolean(), startedAt: z.string(), endedAt: z.string(),
  retention: z.object({ items: z.int(), kept: z.int(), binned: z.int(), refused: z.array(z.object({ itemId: z.string(), error: errorSchema })) }),
  collection: z.object({
    recoveryPoints: z.int(), purged: z.int(), inBin: z.int(), nextBinEndAt: z.string().nullable(),
    allPacks: z.int(), allBytes: z.number(), unneededPacks: z.int(), unneededBytes: z.number(), deletedPacks: z.int(), deletedBytes: z.number(),
    waitingPacks: z.int(), waitingBytes: z.number(), immutablePacks: z.int(), leftPacks: z.int(), records: z.int(),
    missingPacks: z.array(z.string()), problems: z.array(errorSchema), abnormal: z.string().nullable(), token: z.string(),
  }).nullable(),
  /** Absent in outcomes of before there were any. */
  locks: z.object({ dryRun: z.boolean(), at: z.string(), heldUntil: z.string(), needed: z.int(), extended: z.int(), left: z.int(), earliest: z.string().nullable() }).nullable().optional(),
  keys: z.object({ opened: z.array(z.string()), notTried: z.int() }).nullable().optional(),
  /** The last record of the audit trail then, so that one that is cut off is noticed. */
  audit: anchorSchema.nullable().optional(),
  /** The first of the failures. */
  error: errorSchema.nullable(),
  /** Each part that failed; absent in outcomes of before there were any. */
  failures: z.array(z.object({ part: z.enum(MAINTENANCE_PARTS), error: errorSchema })).optional(),
});
export type MaintenanceRecord = z.infer<typeof maintenanceSchema>;

/** Whether the outcome of this stamp is written down already. */
export const isRecorded = async (vault: VaultAccess, stamp: string): Promise<boolean> => await vault.store.stat(`${PREFIX}${stamp}`) !== undefined;

/** Writes an outcome down; the first of a stamp counts. Those beyond what is kept go. */
export async function recordMaintenance(vault: VaultAccess, record: MaintenanceRecord): Promise<void> {
  await createDocument(vault, `${PREFIX}${record.stamp}`, record);
  const names = await maintenanceNames(vault);
  for (const name of names.slice(0, Math.max(0, names.length - KEPT))) {
    await vault.store.delete(name).catch((error: unknown) => {
      // A WORM policy holds it: then a later maintenance removes it.
      if (!isHoldfastError(error, 'STORE_IMMUTABLE')) throw error;
    });
  }
}

/** The outcomes of late, the newest first. */
export async function listMaintenance(vault: VaultAccess, limit: number): Promise<MaintenanceRecord[]> {
  const found: MaintenanceRecord[] = [];
  for (const name of (await maintenanceNames(vault)).slice(-limit).reverse()) {
    const record = await findDocument(vault, name, maintenanceSchema);
    if (record) found.push(record);
  }
  return found;
}

/** Where the audit trail stood at each maintenance that is still known, or at the last `latest` of them. One that does not open says nothing. */
export async function maintenanceAnchors(vault: VaultAccess, latest = KEPT): Promise<(NonNullable<MaintenanceRecord['audit']> & { readonly stamp: string })[]> {
  const anchors = [];
  for (const name of (await maintenanceNames(vault)).slice(-latest)) {
    try {
      const record = await findDocument(vault, name, maintenanceSchema);
      if (record?.audit) anchors.push({ ...record.audit, stamp: record.stamp });
    } catch (error) {
      if (!isUnreadable(error)) throw error;
    }
  }
  return anchors;
}

async function maintenanceNames(vault: VaultAccess): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of vault.store.list(PREFIX)) if (STAMP.test(name.slice(PREFIX.length))) names.push(name);
  return names;
}
