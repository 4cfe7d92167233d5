import type { PlannedPoint } from '../policy/retention-plan';
import { parseStamp } from '../policy/slot';
import { listRecoveryPoints, type RecoveryPointList } from '../vault/catalog';
import type { VaultAccess } from '../vault/tree';
import { pointQualities, type Qualities } from './point-quality';

export interface ItemPoints {
  /** Live ones, as retention sees them. */
  readonly points: readonly PlannedPoint[];
  /** Ids of live ones whose manifest does not open: what they are is not known, so nothing is decided about them but by a person. */
  readonly unreadable: readonly string[];
}

/** The live recovery points of an item. What is known of their quality is read from the vault unless it is given. */
export async function itemPoints(vault: VaultAccess, itemId: string, qualities?: Qualities): Promise<ItemPoints> {
  const list = await listRecoveryPoints(vault, itemId);
  return pointsOf(list, qualities ?? await pointQualities(vault));
}

const pointsOf = ({ points, damaged }: RecoveryPointList, qualities: Qualities): ItemPoints => ({
  points: points.filter(({ marks }) => marks.state === 'live').map(({ manifest, marks }): PlannedPoint => ({
    id: manifest.id, atMs: parseStamp(manifest.stamp) ?? Date.parse(manifest.createdAt), createdAtMs: Date.parse(manifest.createdAt), scheduled: manifest.slot !== null,
    quality: qualities.get(manifest.id) ?? 'unproven', held: marks.held, undeleted: marks.wasDeleted, policy: manifest.policy,
  })),
  unreadable: damaged.filter(({ marks }) => marks.state === 'live').map(({ id }) => id),
});
