import type { PlannedPoint } from '../policy/retention-plan';
import { listDamage } from '../vault/damage-ledger';
import type { VaultAccess } from '../vault/tree';

/** How much is known of each recovery point; one that is not named is neither proved nor known to be damaged. */
export type Qualities = ReadonlyMap<string, PlannedPoint['quality']>;

/** What the damage ledger says: those that were seen to need a damaged pack are damaged. */
export async function pointQualities(vault: VaultAccess): Promise<Qualities> {
  return new Map((await listDamage(vault)).flatMap(({ recoveryPoints }) => recoveryPoints.map((id) => [id, 'damaged' as const])));
}
