import { z } from 'zod';
import { isHoldfastError } from '../../errors/holdfast-error';
import { createDocument, findDocument } from '../format/documents';
import { parseRecoveryPointId, recoveryPointId } from '../format/manifest';
import type { VaultAccess } from '../format/tree';
import { newestPoint, type NewestPoint } from '../run';
import type { DamageFinder } from './damage-ledger';

/** A recovery point that a backup could not go on from, because its manifest did not open or was not there (format §12). */
const entrySchema = z.object({
  version: z.literal(1), recoveryPoint: z.string(), code: z.string(), message: z.string(), foundAt: z.string(), foundBy: z.enum(['check', 'scrub', 'backup']),
});
export type DamagedPoint = z.infer<typeof entrySchema>;

const PREFIX = 'damage/recovery-points/';
const NAME = /^damage\/recovery-points\/([^/]+)\/([^/]+)$/;

const nameOf = (id: string): string => {
  const { itemId, stamp } = parseRecoveryPointId(id);
  return `${PREFIX}${itemId}/${stamp}`;
};

/** The entries, of the vault or of one item. One that does not open is left out: whoever meets the recovery point again sees for themselves. */
export async function listDamagedPoints(vault: VaultAccess, itemId?: string): Promise<DamagedPoint[]> {
  const entries: DamagedPoint[] = [];
  for await (const { name } of vault.store.list(itemId === undefined ? PREFIX : `${PREFIX}${itemId}/`)) {
    const [, item, stamp] = NAME.exec(name) ?? [];
    if (item === undefined || stamp === undefined) continue;
    try {
      const entry = await findDocument(vault, name, entrySchema);
      if (entry?.recoveryPoint === recoveryPointId(item, stamp)) entries.push(entry);
    } catch (error) {
      if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
    }
  }
  return entries;
}

export interface FoundParent extends NewestPoint {
  /** What the job and the new recovery point have to say of it. */
  readonly warnings: readonly string[];
}

/**
 * What an item's next run goes on from: the newest recovery point that can be used. Newer ones that are damaged are entered in the ledger and told; they stay what they are, for
 * retention and collection too.
 */
export async function findParent(vault: VaultAccess, itemId: string, { by, nowMs }: DamageFinder): Promise<FoundParent> {
  const newest = await newestPoint(vault, itemId);
  const from = newest.point ? `this backup goes on from ${newest.point.manifest.id}` : 'this backup starts anew, since no other one can be read';
  const warnings: string[] = [];
  for (const { id, damage } of newest.passedOver) {
    if (!damage) continue;
    const entry: DamagedPoint = { version: 1, recoveryPoint: id, code: damage.code, message: damage.message, foundAt: new Date(nowMs).toISOString(), foundBy: by };
    await createDocument(vault, nameOf(id), entry);
    warnings.push(`The recovery point ${id} is damaged and cannot be restored (${damage.code}: ${damage.message}); ${from}. See \`holdfast check\``);
  }
  return { ...newest, warnings };
}
