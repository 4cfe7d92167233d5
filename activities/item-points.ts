import type { PlannedPoint } from '../policy/retention-plan';
import { parseStamp } from '../policy/slot';
import { type ListedPoint, pickRecoveryPoints } from '../vault/catalog';
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
  const { points, damaged } = await pickRecoveryPoints(vault, itemId, {}, pointOf);
  const known = qualities ?? await pointQualities(vault, itemId, new Set(points.map(({ id }) => id)));
  return {
    points: points.map((point) => ({ ...point, quality: known.get(point.id) ?? 'unproven' })),
    unreadable: damaged.filter(({ marks }) => marks.state === 'live').map(({ id }) => id),
  };
}

const pointOf = ({ manifest, marks }: ListedPoint): Omit<PlannedPoint, 'quality'> =>
  ({ id: manifest.id, ...timesOf(manifest), scheduled: manifest.slot !== null, held: marks.held, undeleted: marks.wasDeleted, policy: manifest.policy });

/** The stamp is part of the name and always an instant; the manifest's own time counts beside it where it is one. */
function timesOf({ stamp, createdAt }: Manifest): { atMs: number; createdAtMs: number } {
  const createdAtMs = Date.parse(createdAt);
  const atMs = parseStamp(stamp) ?? createdAtMs;
  return { atMs, createdAtMs: Number.isNaN(createdAtMs) ? atMs : createdAtMs };
}
