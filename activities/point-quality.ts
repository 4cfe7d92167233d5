import type { PlannedPoint } from '../policy/retention-plan';
import { listDamage } from '../vault/proof/damage-ledger';
import { lastProofOf, proofTimes } from '../vault/proof/proofs';
import type { VaultAccess } from '../vault/format/tree';

/** How much is known of each recovery point; one that is not named is neither proved nor known to be damaged. */
export type Qualities = ReadonlyMap<string, PlannedPoint['quality']>;

/** So many good ones are looked for: the last good one, and the one that would be it if that were deleted. */
const GOOD_ONES = 2;

/**
 * What the damage ledger and the last proofs say of an item's recovery points. A point that a damaged pack touches is damaged, unless it was proved whole after
 * that was found. Proofs are opened from the newest point on, until two good ones are found, and for each that the ledger names: nothing depends on more.
 * Only those of `live` are looked at: one in the bin is not the last good one, however well it was proved.
 */
export async function pointQualities(vault: VaultAccess, itemId: string, live: ReadonlySet<string>): Promise<Qualities> {
  const foundAt = new Map<string, string>();
  for (const entry of await listDamage(vault)) {
    for (const id of entry.recoveryPoints) if (live.has(id) && entry.foundAt > (foundAt.get(id) ?? '')) foundAt.set(id, entry.foundAt);
  }
  const qualities = new Map<string, PlannedPoint['quality']>([...foundAt.keys()].map((id) => [id, 'damaged']));
  const times = await proofTimes(vault, itemId);
  let good = 0;
  for (const id of [...times.keys()].filter((one) => live.has(one)).sort().reverse()) {
    const damagedAt = foundAt.get(id);
    if (good >= GOOD_ONES && damagedAt === undefined) continue;
    const proof = await lastProofOf(vault, id, times.get(id));
    if (!proof) continue;
    if (!proof.ok) qualities.set(id, 'damaged');
    else if (damagedAt === undefined || proof.at > damagedAt) {
      qualities.set(id, 'good');
      good++;
    }
  }
  return qualities;
}
