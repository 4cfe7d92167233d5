import { createHash } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError } from '../../errors/holdfast-error';
import { parseDocument, readObject } from './documents';
import { MAX_DISK_BYTES } from './format';
import { refFromJson } from './ref-json';
import { blobRefSchema } from './ref-schema';
import { treeSchema } from '../points/references';
import type { DiskTree, VaultAccess } from './tree';

export const ITEM_ID = /^[a-z0-9][a-z0-9-]{0,47}$/;
export const STAMP = /^\d{8}T\d{6}(\d{3})?Z$/;
/** A stamp so that text order is order in time: its milliseconds are left out where they are zero. */
export const stampOrder = (stamp: string): string => stamp.slice(0, 15) + (stamp.slice(15, -1) || '000');

export { blobRefSchema } from './ref-schema';

export const statsSchema = z.object({
  windows: z.number(), readBytes: z.number(), changedBytes: z.number(), newChunks: z.number(), newBytes: z.number(),
  reusedChunks: z.number(), reusedBytes: z.number(), storedBytes: z.number(),
  healedWindows: z.number().default(0), forwardedChunks: z.number().default(0), forwardedBytes: z.number().default(0),
});

const diskSchema = z.object({
  name: z.string(),
  lun: z.string(),
  sizeBytes: z.int().min(1).max(MAX_DISK_BYTES),
  logicalSectorBytes: z.int(),
  root: blobRefSchema.nullable(),
  tree: treeSchema,
  source: z.record(z.string(), z.unknown()),
  mode: z.enum(['full', 'incremental', 'compared']),
  /** Items whose chunks the tree has taken over, this run or an earlier one of its lineage. */
  lenders: z.array(z.string()).optional(),
  stats: statsSchema,
});

/** The manifest of a recovery point (format §8). */
export const manifestSchema = z.object({
  format: z.literal('holdfast-recovery-point'),
  version: z.literal(1),
  id: z.string(),
  itemId: z.string().regex(ITEM_ID),
  stamp: z.string().regex(STAMP),
  sequence: z.int().min(1),
  slot: z.string().nullable(),
  startedAt: z.string(),
  createdAt: z.string(),
  policy: z.string().nullable(),
  consistency: z.enum(['application', 'file-system', 'crash', 'crash-per-disk']),
  warnings: z.array(z.string()),
  source: z.object({ kind: z.enum(['azure-vm', 'image']), name: z.string(), resourceId: z.string().nullable(), model: z.record(z.string(), z.unknown()).nullable() }),
  disks: z.array(diskSchema).min(1),
  parent: z.object({ id: z.string(), sequence: z.int().min(1), digest: z.string().regex(/^[0-9a-f]{64}$/) }).nullable(),
  champions: z.array(z.string()),
  stats: statsSchema,
});

export type Manifest = z.infer<typeof manifestSchema>;
export type ManifestDisk = Manifest['disks'][number];
export type Consistency = Manifest['consistency'];

export const manifestName = (itemId: string, stamp: string): string => `recovery-points/${itemId}/${stamp}`;
export const recoveryPointId = (itemId: string, stamp: string): string => `${itemId}.${stamp}`;

/** Splits a recovery point's id. Throws RECOVERY_POINT_NOT_FOUND for anything that cannot be one. */
export function parseRecoveryPointId(id: string): { itemId: string; stamp: string } {
  const dot = id.lastIndexOf('.');
  const [itemId, stamp] = [id.slice(0, Math.max(dot, 0)), id.slice(dot + 1)];
  if (!ITEM_ID.test(itemId) || !STAMP.test(stamp)) {
    throw new HoldfastError('RECOVERY_POINT_NOT_FOUND', `"${id.slice(0, 120)}" is not the id of a recovery point: those read ITEM.20261123T010000Z`);
  }
  return { itemId, stamp };
}

export interface LoadedManifest {
  readonly manifest: Manifest;
  /** SHA-256 of the object's bytes, for the chain. */
  readonly digest: string;
}

export async function findManifest(vault: VaultAccess, itemId: string, stamp: string): Promise<LoadedManifest | undefined> {
  const name = manifestName(itemId, stamp);
  const bytes = await readObject(vault, name);
  if (!bytes) return undefined;
  const manifest = parseDocument(vault, name, bytes, manifestSchema);
  if (manifest.itemId !== itemId || manifest.stamp !== stamp || manifest.id !== recoveryPointId(itemId, stamp)) {
    throw new HoldfastError('DOCUMENT_DAMAGED', `The manifest ${name} says it is ${manifest.id}`, { data: { name } });
  }
  return { manifest, digest: createHash('sha256').update(bytes).digest('hex') };
}

export async function loadManifest(vault: VaultAccess, id: string): Promise<LoadedManifest> {
  const { itemId, stamp } = parseRecoveryPointId(id);
  const found = await findManifest(vault, itemId, stamp);
  if (!found) throw new HoldfastError('RECOVERY_POINT_NOT_FOUND', `There is no recovery point ${id} in ${vault.store.description}`, { data: { id } });
  return found;
}

export const diskTree = (disk: ManifestDisk): DiskTree => ({ root: disk.root && refFromJson(disk.root), sizeBytes: disk.sizeBytes });
