import { findDocument } from '../vault/format/documents';
import type { VaultAccess } from '../vault/format/tree';
import type { OwnedKind, OwnedResource, RestoreCloud } from './restore-cloud';
import { findRestoreVerdict, RESTORE_TAG, restorePlanSchema, restoreRecords, restoreStepSchema } from './restore-records';
import { SWEEP_MARGIN_MS } from './sweep-plan';

/** A disk that a restore made, or a snapshot of a present one that it made for its own time. */
export interface DiskEntry { readonly kind: OwnedKind; readonly id: string; readonly itemId: string; readonly why: string }
export interface DiskSweepPlan { readonly remove: readonly DiskEntry[]; readonly keep: readonly DiskEntry[]; readonly unknown: readonly DiskEntry[] }

/** What the vault says of the restore whose tag a disk or snapshot carries. */
export interface DiskFacts {
  readonly disk: Pick<OwnedResource, 'kind' | 'id' | 'createdAt' | 'managedBy'>;
  /** null where no restore of the vault planned one of this id. */
  readonly restore: { readonly itemId: string; readonly verdict: 'open' | 'restored' | 'abandoned'; readonly decidedAtMs: number; readonly hasEnded: boolean } | null;
}

/**
 * Pure: what becomes of the disks and snapshots that carry this vault's tag and that of a restore. Of disks only those of a restore that was given up and cleaned up
 * after go: what a restore brought back belongs to its owner, and a disk that is attached to a machine is somebody's. A snapshot is of no use once its restore is over.
 */
export function planDisks(facts: readonly DiskFacts[], nowMs: number): DiskSweepPlan {
  const plan = { remove: [] as DiskEntry[], keep: [] as DiskEntry[], unknown: [] as DiskEntry[] };
  for (const { disk, restore } of facts) {
    const entry = (why: string): DiskEntry => ({ kind: disk.kind, id: disk.id, itemId: restore?.itemId ?? '', why });
    if (!restore) plan.unknown.push(entry(`no restore in the vault planned a ${disk.kind} of this id`));
    else if (restore.verdict === 'restored' && disk.kind === 'disk') plan.keep.push(entry('brought back by a restore'));
    else if (restore.verdict === 'open' || !restore.hasEnded) plan.keep.push(entry('its restore, or the clean-up after it, has not ended'));
    else if (disk.managedBy !== null) plan.keep.push(entry(`attached to ${disk.managedBy}`));
    else if (nowMs - Math.max(restore.decidedAtMs, disk.createdAt === null ? 0 : Date.parse(disk.createdAt)) < SWEEP_MARGIN_MS) plan.keep.push(entry('its restore, or it itself, is too young'));
    else plan.remove.push(entry(restore.verdict === 'restored' ? 'left behind by a restore that is over' : 'left behind by a restore that was given up'));
  }
  return plan;
}

/** The disks and snapshots that carry both tags, each with what the vault's records say of it. */
export async function diskFacts(deps: { readonly restoreCloud: Pick<RestoreCloud, 'listOwned'> }, vault: VaultAccess, vaultTagName: string, tag: (resource: OwnedResource, name: string) => string): Promise<DiskFacts[]> {
  const ours = vault.keys.vaultId.toString('hex');
  const facts: DiskFacts[] = [];
  const owned = [...await deps.restoreCloud.listOwned('disk', RESTORE_TAG), ...await deps.restoreCloud.listOwned('snapshot', RESTORE_TAG)];
  for (const disk of owned) {
    const restoreId = tag(disk, RESTORE_TAG);
    if (tag(disk, vaultTagName) !== ours || !/^[a-z0-9][a-z0-9-]*$/.test(restoreId)) continue;
    const plan = await findDocument(vault, restoreRecords.plan({ restoreId }), restorePlanSchema);
    const isPlanned = plan?.disks.some(({ target }) => target.kind === 'disk' && (disk.kind === 'disk' ? target.id : target.present?.snapshotId)?.toLowerCase() === disk.id.toLowerCase()) ?? false;
    const verdict = await findRestoreVerdict(vault, { restoreId });
    const end = await findDocument(vault, restoreRecords.end({ restoreId }), restoreStepSchema);
    facts.push({ disk, restore: plan && isPlanned ? { itemId: plan.itemId, verdict: verdict?.verdict ?? 'open', decidedAtMs: Date.parse(verdict?.at ?? plan.plannedAt), hasEnded: end !== undefined } : null });
  }
  return facts;
}
