import { HoldfastError } from '../errors/holdfast-error';
import type { PlannedPoint } from '../policy/retention-plan';
import { parseRecoveryPointId } from '../vault/format/manifest';
import { type Decider, markDeleted, markUndeleted, type MarkState, readMarksOf, refuseGone, heldError } from '../vault/points/marks';
import type { VaultAccess } from '../vault/format/tree';
import { type ItemPoints, itemPoints } from './item-points';
import type { Qualities } from './point-quality';

/**
 * Why a recovery point cannot be deleted because nothing as good would be left of the item, or null. One that was proved goes only while another one is that was proved,
 * any whole one only while another whole one is, and the very last one never.
 */
export function lastOfItem(id: string, { points, unreadable }: ItemPoints): string | null {
  const own = points.find((point) => point.id === id);
  const others = points.filter((point) => point.id !== id);
  const whole = (point: PlannedPoint): boolean => point.quality !== 'damaged';
  if (own?.quality === 'good' && !others.some(({ quality }) => quality === 'good')) return 'the only one that was proved';
  if (own && whole(own) && !others.some(whole)) return 'the only one that is whole';
  return others.length === 0 && unreadable.every((one) => one === id) ? 'the only one' : null;
}

/**
 * Puts a recovery point into the bin because somebody asked. In the bin already: nothing happens. With `dryRun` it only says whether it could be.
 * Throws LAST_RECOVERY_POINT, RECOVERY_POINT_HELD, RECOVERY_POINT_DELETED, RECOVERY_POINT_NOT_FOUND.
 */
export async function deletePoint(vault: VaultAccess, id: string, decider: Decider, { dryRun = false, qualities }: { readonly dryRun?: boolean; readonly qualities?: Qualities } = {}): Promise<MarkState> {
  const { itemId } = parseRecoveryPointId(id);
  const before = await readMarksOf(vault, id);
  refuseGone(id, before);
  if (before.state === 'binned') return before;
  if (before.held) throw heldError(id, before);
  const live = await itemPoints(vault, itemId, qualities);
  if (!live.points.some((point) => point.id === id) && !live.unreadable.includes(id)) throw new HoldfastError('RECOVERY_POINT_NOT_FOUND', `There is no recovery point ${id} in ${vault.store.description}`, { data: { id } });
  refuseLast(id, live);
  if (dryRun) return before;
  const state = await markDeleted(vault, id, decider, { reason: 'asked', policy: null });
  // Someone else may have deleted the other ones meanwhile. Whoever of the two looks last sees both, and takes its own back.
  const own = live.points.find((point) => point.id === id);
  const left = await itemPoints(vault, itemId, qualities);
  try {
    refuseLast(id, { points: [...left.points.filter((point) => point.id !== id), ...(own ? [own] : [])], unreadable: left.unreadable });
  } catch (error) {
    await markUndeleted(vault, id, { ...decider, onlyAt: undefined });
    throw error;
  }
  return state;
}

function refuseLast(id: string, points: ItemPoints): void {
  const why = lastOfItem(id, points);
  if (why !== null) throw new HoldfastError('LAST_RECOVERY_POINT', `${id} is ${why} of ${parseRecoveryPointId(id).itemId}`, { data: { id } });
}
