import { isDamage } from '../vault/proof/damage';
import { diskTree, loadManifest, type Manifest, type ManifestDisk } from '../vault/format/manifest';
import { latestCommitted } from '../vault/run';
import type { VaultAccess } from '../vault/format/tree';
import { differingBytes } from '../vault/transfer/tree-difference';
import { presentOf } from './restore-present';
import type { PlannedRestoreDisk, RestorePlan } from './restore-records';

/** What a restore would move, as far as it can be told before anything is made. */
export interface RestoreEstimate {
  /** Of the recovery point's disks: so much is read back and compared at the end. */
  readonly dataBytes: number;
  /** Read from the vault and written. Of a differential restore in place this goes by `goingBy`: what changed on the disks since then adds to it. Of one to a page blob it is the most. */
  readonly fromVaultBytes: number;
  /** Copied by Azure out of the present disks, after they were compared. */
  readonly copiedBytes: number;
  /** The newest recovery point of the item, which stands for what the disks hold; null where that tells nothing of them, or nothing is copied. */
  readonly goingBy: string | null;
}

/** `dataBytes` are those of each disk of the plan. Reads nodes of the vault alone. */
export async function estimateRestore(vault: VaultAccess, plan: RestorePlan, dataBytes: readonly number[]): Promise<RestoreEstimate> {
  const { manifest } = await loadManifest(vault, plan.recoveryPoint);
  const newest = plan.disks.some(presentOf) ? (await latestCommitted(vault, plan.itemId))?.manifest : undefined;
  const sum = { dataBytes: 0, fromVaultBytes: 0, copiedBytes: 0, goingBy: null as string | null };
  for (const [index, disk] of plan.disks.entries()) {
    const bytes = dataBytes[index] ?? 0;
    const differing = newest ? await differenceOf(vault, manifest, newest, disk) : null;
    if (differing !== null) sum.goingBy = newest?.id ?? null;
    sum.dataBytes += bytes;
    sum.fromVaultBytes += differing ?? bytes;
    sum.copiedBytes += bytes - (differing ?? bytes);
  }
  return sum;
}

/** Null where the newest recovery point does not tell what the present disk holds: it is of another disk, or its tree is damaged. */
async function differenceOf(vault: VaultAccess, manifest: Manifest, newest: Manifest, planned: PlannedRestoreDisk): Promise<number | null> {
  const uniqueId = presentOf(planned)?.uniqueId;
  const same = uniqueId ? newest.disks.find(({ source }) => source['uniqueId'] === uniqueId) : undefined;
  if (!same) return null;
  try {
    return await differingBytes(vault, diskTree(manifest.disks[planned.disk] as ManifestDisk), diskTree(same));
  } catch (error) {
    if (isDamage(error)) return null;
    throw error;
  }
}
