import { itemIdOf, listRecoveryPoints, requireItem } from '../vault/catalog';
import { appNamed } from './app-client';
import { type PointList, pointsOfApp } from './app-vault';
import type { CommonOptions } from './command-options';
import { marksView, stateText } from './marks-view';
import { withVault } from './open-vault';
import type { Output } from './output';
import { showBytes, table } from './sizes';

export interface ListOptions extends CommonOptions {
  readonly item?: string;
  readonly deleted?: boolean;
}

/** Lists recovery points, the newest of an item last. 4 when one of them cannot be read: it is named on stderr. */
export async function runList(options: ListOptions, out: Output): Promise<number> {
  const app = appNamed(options);
  const { points, damaged }: PointList = app ? await pointsOfApp(app, options.item, options.deleted === true) : await withVault(options, 'read', async ({ vault }) => {
    const item = options.item === undefined ? undefined : await itemIdOf(vault, options.item);
    if (item !== undefined) await requireItem(vault, item);
    return listRecoveryPoints(vault, item, { deleted: options.deleted === true });
  });
  const value = points.map(({ manifest: { id, itemId, createdAt, consistency, sequence, slot, policy, disks, warnings, stats }, marks }) => ({
    id, itemId, createdAt, consistency, sequence, slot, policy, ...marksView(marks), disks: disks.map(({ name, lun, sizeBytes, mode }) => ({ name, lun, sizeBytes, mode })), warnings, stats,
  }));
  out.answer(value, () => (points.length === 0 ? ['The vault has no recovery point yet.'] : table([
    ['RECOVERY POINT', 'CREATED', 'CONSISTENCY', 'SIZE', 'STORED', ...(options.deleted === true ? ['STATE'] : []), 'DISKS'],
    ...points.map(({ manifest: one, marks }) => [
      one.id, one.createdAt, one.consistency, showBytes(one.disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)), showBytes(one.stats.storedBytes), ...(options.deleted === true ? [stateText(marks)] : []), one.disks.map(({ name }) => name).join(', '),
    ]),
  ])));
  for (const { manifest: { id }, marks } of points) if (marks.damaged) out.warn(`a mark of ${id} does not open, so it is held: ${marks.damaged.message}`);
  for (const { id, error } of damaged) out.warn(`the recovery point ${id} cannot be read: ${error.message}`);
  return damaged.length > 0 ? 4 : 0;
}
