import type { CheckedRecoveryPoint, CheckReport } from './check';
import { damageOfReport } from './damage';
import { recordDamage } from './damage-ledger';
import { recoveryPointsNeeding } from './damage-reach';
import { MAX_LISTED_DAMAGE, type ProvedDamage, recordProof } from './proofs';
import type { VaultAccess } from '../format/tree';

/** Writes down what a check proved, and enters the packs that it found damaged in the ledger, so that the next backup heals them. */
export async function recordCheck(vault: VaultAccess, report: Pick<CheckReport, 'recoveryPoints'>, nowMs: number): Promise<void> {
  for (const point of report.recoveryPoints) {
    const damage = damageOf(point);
    const { id, chunks, plainBytes, storedBytes } = point;
    await recordProof(vault, { recoveryPoint: id, by: 'check', cycle: null, state: point.ok ? 'whole' : 'damaged', cursor: null, against: null, chunks, plainBytes, storedBytes, damage: damage.slice(0, MAX_LISTED_DAMAGE) }, nowMs);
  }
  for (const itemId of new Set(report.recoveryPoints.filter(({ ok }) => !ok).map((point) => point.itemId))) {
    const found = report.recoveryPoints.filter((point) => point.itemId === itemId).flatMap(({ disks }) => disks).flatMap(({ damage }) => damage)
      .flatMap(({ code, message, pack }) => damageOfReport({ code, message, remedy: '', data: pack ? { pack } : {} }) ?? []);
    const reach = await recoveryPointsNeeding(vault, new Set(found.map(({ pack }) => pack)), itemId);
    await recordDamage(vault, found, { by: 'check', nowMs }, (pack) => reach.get(pack) ?? []);
  }
}

const damageOf = ({ problems, disks }: CheckedRecoveryPoint): ProvedDamage[] => [
  ...problems.map(({ code, message }) => ({ code, message, pack: null, disk: null, windows: 0 })),
  ...disks.flatMap(({ name, damage }) => damage.map(({ code, message, pack, windows }) => ({ code, message, pack, disk: name, windows }))),
];
