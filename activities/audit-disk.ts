import type { z } from 'zod';
import { auditUnchanged, seededRandom } from '../vault/proof/audit';
import { notingDamage } from '../vault/proof/damage-ledger';
import { refFromJson } from '../vault/format/ref-json';
import type { VaultAccess } from '../vault/format/tree';
import type { BlockSource } from '../vault/transfer/block-source';
import type { AccessUrl } from './cloud';
import type { ActivityDeps } from './deps';
import { ACCESS_SECONDS } from './disk-access';
import { activity } from './outcome';
import type { AuditDiskResult, DiskInput } from './types';
import { assertRunOpen, auditSchema, diskDoneSchema, type DiskPlan, diskPlanSchema, recall, records, remember } from './work';
import { windowCount } from '../vault/transfer/window-blocks';

/** 32 places on each run: a diff that misses a tenth of the disk escapes once in thirty runs or less. */
const AUDITED_WINDOWS = 16;
const AUDITED_PIECES = 32;

/**
 * Step 5: reads a seeded sample of the disk from the new snapshot and compares it with the tree that is about to be committed (fault 25): what a diff calls unchanged, what a list of
 * ranges calls empty, and what was read alike. A diff may have lost changes, and so may a list of what holds data: so there is an audit in every mode.
 */
export const createAuditDisk = (deps: ActivityDeps) => activity(async (input: DiskInput): Promise<AuditDiskResult> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, input, deps.nowMs());
  const disk = await recall(vault, records.diskPlan(input), diskPlanSchema);
  const audit = await notingDamage(vault, deps.nowMs, () => remember(vault, records.audit(input), auditSchema, async () => {
    const grant = (): Promise<AccessUrl> => deps.cloud.grantRead(disk.handle, ACCESS_SECONDS);
    const source = deps.openSnapshotSource(await grant(), grant);
    try {
      return { version: 1 as const, ...await compareSamples(vault, input, disk, source) };
    } finally {
      await source.close();
    }
  }));
  if (audit.mismatches > 0) deps.log('The audit found content that is not in the tree: ranges were left out', { item: input.itemId, disk: input.disk, mismatches: audit.mismatches });
  return { samples: audit.samples, mismatches: audit.mismatches };
});

async function compareSamples(vault: VaultAccess, input: DiskInput, disk: DiskPlan, source: BlockSource): Promise<Pick<z.infer<typeof auditSchema>, 'seed' | 'samples' | 'mismatches'>> {
  const done = await recall(vault, records.diskDone(input), diskDoneSchema);
  const seed = `${vault.keys.vaultId.toString('hex')}:${input.itemId}:${input.stamp}:${input.disk}:${input.pass}`;
  const windows = Math.min(AUDITED_WINDOWS, windowCount(disk.sizeBytes));
  const { samples, mismatches } = await auditUnchanged(vault, source, {
    tree: { root: done.root && refFromJson(done.root), sizeBytes: disk.sizeBytes },
    // The tree is the new one: it has to be the disk everywhere, also where a change is known and other changes beside it may have been left out.
    changedIn: () => [],
    random: seededRandom(seed), windows, piecesPerWindow: Math.ceil(AUDITED_PIECES / windows),
  });
  return { seed, samples, mismatches };
}
