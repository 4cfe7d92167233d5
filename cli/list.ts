import { diskBytes, itemIdOf, listRecoveryPoints, requireItem } from '../vault/catalog';
import type { CommonOptions } from './command-options';
import { withVault } from './open-vault';
import type { Output } from './output';
import { showBytes, table } from './sizes';

export interface ListOptions extends CommonOptions {
  readonly item?: string;
}

/** Lists recovery points, the newest of an item last. 4 when one of them cannot be read: it is named on stderr. */
export async function runList(options: ListOptions, out: Output): Promise<number> {
  const { points, damaged } = await withVault(options, 'read', async ({ vault }) => {
    const item = options.item === undefined ? undefined : await itemIdOf(vault, options.item);
    if (item !== undefined) await requireItem(vault, item);
    return listRecoveryPoints(vault, item);
  });
  const manifests = points.map(({ manifest }) => manifest);
  const value = manifests.map(({ id, itemId, createdAt, consistency, sequence, slot, policy, disks, warnings, stats }) => ({
    id, itemId, createdAt, consistency, sequence, slot, policy, disks: disks.map(({ name, lun, sizeBytes, mode }) => ({ name, lun, sizeBytes, mode })), warnings, stats,
  }));
  out.answer(value, () => (manifests.length === 0 ? ['The vault has no recovery point yet.'] : table([
    ['RECOVERY POINT', 'CREATED', 'CONSISTENCY', 'SIZE', 'STORED', 'DISKS'],
    ...manifests.map((one) => [one.id, one.createdAt, one.consistency, showBytes(diskBytes(one)), showBytes(one.stats.storedBytes), one.disks.map(({ name }) => name).join(', ')]),
  ])));
  for (const { id, error } of damaged) out.warn(`the recovery point ${id} cannot be read: ${error.message}`);
  return damaged.length > 0 ? 4 : 0;
}
