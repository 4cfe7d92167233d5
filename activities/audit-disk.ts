import { createHash } from 'node:crypto';
import { auditUnchanged } from '../vault/audit';
import { notingDamage } from '../vault/damage-ledger';
import { REGION_WINDOWS } from '../vault/format';
import { fromBitmap } from '../orchestrations/bitmap';
import { refFromJson } from '../vault/ref-json';
import type { VaultAccess } from '../vault/tree';
import type { BlockSource } from '../vault/block-source';
import type { AccessUrl } from './cloud';
import type { ActivityDeps } from './deps';
import { ACCESS_SECONDS } from './disk-access';
import { activity } from './outcome';
import type { AuditDiskResult, DiskInput } from './types';
import { assertRunOpen, auditSchema, diskDoneSchema, type DiskPlan, diskPlanSchema, recall, records, regionPlanSchema, remember } from './work';

/** 32 places on each run: a diff that misses a tenth of the disk escapes once in thirty runs or less. */
const AUDITED_WINDOWS = 16;
const PIECES_PER_WINDOW = 2;

/**
 * Step 5: reads a seeded sample of what the diff calls unchanged from the new snapshot and compares it with the parent's content (fault 25).
 * Windows that were read whole need no audit, so disks that were compared or are new have none.
 */
export const createAuditDisk = (deps: ActivityDeps) => activity(async (input: DiskInput): Promise<AuditDiskResult> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, input, deps.nowMs());
  const disk = await recall(vault, records.diskPlan(input), diskPlanSchema);
  if (disk.mode !== 'incremental') return { samples: 0, mismatches: 0 };
  const audit = await notingDamage(vault, deps.nowMs, () => remember(vault, records.audit(input), auditSchema, async () => {
    const grant = (): Promise<AccessUrl> => deps.cloud.grantRead(disk.handle, ACCESS_SECONDS);
    const source = deps.openSnapshotSource(await grant(), grant);
    try {
      return { version: 1 as const, ...await compareSamples(vault, input, disk, source) };
    } finally {
      await source.close();
    }
  }));
  if (audit.mismatches > 0) deps.log('The audit found changes that the diff had missed', { item: input.itemId, disk: input.disk, mismatches: audit.mismatches });
  return { samples: audit.samples, mismatches: audit.mismatches };
});

async function compareSamples(vault: VaultAccess, input: DiskInput, disk: DiskPlan, source: BlockSource): Promise<{ samples: number; mismatches: number }> {
  const done = await recall(vault, records.diskDone(input), diskDoneSchema);
  const changed = await changedWindows(vault, input, disk);
  const { samples, mismatches } = await auditUnchanged(vault, source, {
    tree: { root: done.root && refFromJson(done.root), sizeBytes: disk.sizeBytes },
    changedIn: (window, blocks) => (changed.has(window) ? [{ start: 0, end: blocks }] : []),
    random: seededRandom(`${vault.keys.vaultId.toString('hex')}:${input.itemId}:${input.stamp}:${input.disk}`),
    windows: AUDITED_WINDOWS, piecesPerWindow: PIECES_PER_WINDOW,
  });
  return { samples, mismatches };
}

async function changedWindows(vault: VaultAccess, input: DiskInput, disk: DiskPlan): Promise<Set<number>> {
  const changed = new Set<number>();
  for (const region of fromBitmap(disk.regions)) {
    const plan = await recall(vault, records.regionPlan({ ...input, region }), regionPlanSchema);
    for (const window of fromBitmap(plan.windows)) changed.add(region * REGION_WINDOWS + window);
  }
  return changed;
}

/** Whole numbers below a bound that follow from the seed: the same sample when the step runs again. */
function seededRandom(seed: string): (below: number) => number {
  let counter = 0;
  return (below) => Math.floor((createHash('sha256').update(`${seed}:${counter++}`).digest().readUInt32LE(0) / 2 ** 32) * below);
}
