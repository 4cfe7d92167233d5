import type { PlannedPoint } from '../policy/retention-plan';
import { parseStamp } from '../policy/slot';
import { listRecoveryPoints, type RecoveryPointList } from '../vault/catalog';
import type { Manifest } from '../vault/format/manifest';
import type { VaultAccess } from '../vault/format/tree';
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
  return pointsOf(list, qualities ?? await pointQualities(vault, itemId, new Set(list.points.map(({ manifest }) => manifest.id))));
}

const pointsOf = ({ points, damaged }: RecoveryPointList, qualities: Qualities): ItemPoints => ({
  points: points.filter(({ marks }) => marks.state === 'live').map(({ manifest, marks }): PlannedPoint => ({
    id: manifest.id, ...timesOf(manifest), scheduled: manifest.slot !== null,
    quality: qualities.get(manifest.id) ?? 'unproven', held: marks.held, undeleted: marks.wasDeleted, policy: manifest.policy,
  })),
  unreadable: damaged.filter(({ marks }) => marks.state === 'live').map(({ id }) => id),
});

/** The stamp is part of the name and always an instant; the manifest's own time counts beside it where it is one. */
function timesOf({ stamp, createdAt }: Manifest): { atMs: number; createdAtMs: number } {
  const createdAtMs = Date.parse(createdAt);
  const atMs = parseStamp(stamp) ?? createdAtMs;
  return { atMs, createdAtMs: Number.isNaN(createdAtMs) ? atMs : createdAtMs };
}
