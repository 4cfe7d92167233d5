import { HoldfastError, type ErrorReport, isHoldfastError } from '../errors/holdfast-error';
import { findManifest, type Manifest, type ManifestDisk, recoveryPointId } from '../vault/format/manifest';
import { lockForCommit } from '../vault/points/lock-commit';
import { abandonRun, commitRun, runEnd, sealRun } from '../vault/run';
import { addStats, emptyStats } from '../vault/transfer/transfer-types';
import type { VaultAccess } from '../vault/format/tree';
import { treeHistory } from '../vault/points/references';
import { healingWarnings } from '../vault/proof/healing-warnings';
import type { ActivityDeps } from './deps';
import { placeOf } from './finish';
import { activity } from './outcome';
import { TREE_DAMAGED } from './plan-disk';
import type { CommitRunResult, RunInput } from './types';
import { auditSchema, diskDoneSchema, diskPlanSchema, planSchema, recall, records, snapshotSchema } from './work';
import { findDocument } from '../vault/format/documents';

export interface CommitRunInput extends RunInput { readonly warnings: readonly string[] }

/** Step 5: seals the run with its manifest and makes the recovery point visible. Safe to run again: the first seal counts. */
export const createCommitRun = (deps: ActivityDeps) => activity(async (input: CommitRunInput): Promise<CommitRunResult> => {
  const vault = await deps.vault();
  const run = { itemId: input.itemId, sequence: input.sequence, stamp: input.stamp };
  const manifest = await buildManifest(vault, input);
  const warnings = deps.lockKeepMs === undefined ? [] : await lockForCommit(vault, manifest, deps.lockKeepMs);
  await sealRun(vault, run, { ...manifest, warnings: [...manifest.warnings, ...warnings] });
  return resultOf(await commitRun(vault, run, deps.nowMs()));
});

const resultOf = (manifest: Manifest): CommitRunResult =>
  ({ recoveryPoint: manifest.id, consistency: manifest.consistency, stats: manifest.stats, warnings: manifest.warnings, audit: auditOf(manifest) });

/** The audits of all disks together: places that were compared, and places where the first pass over a disk had missed something. */
function auditOf({ disks }: Manifest): CommitRunResult['audit'] {
  const sum = (key: string): number => disks.reduce((total, { source }) => total + (typeof source[key] === 'number' ? source[key] : 0), 0);
  return { samples: sum('auditSamples'), mismatches: sum('auditMismatches') };
}

async function buildManifest(vault: VaultAccess, input: CommitRunInput): Promise<Manifest> {
  const plan = await recall(vault, records.plan(input), planSchema);
  const snapshot = await recall(vault, records.snapshot(input), snapshotSchema);
  const disks: ManifestDisk[] = [];
  const champions = new Set<string>();
  const healing: string[] = [];
  for (const planned of plan.disks) {
    // A second pass over a disk stands above the first, which the audit refused.
    const pass = await findDocument(vault, records.diskDone({ ...input, disk: planned.disk, pass: 1 }), diskDoneSchema) ? 1 : 0;
    const disk = { ...input, disk: planned.disk, pass };
    const done = await recall(vault, records.diskDone(disk), diskDoneSchema);
    const audit = await findDocument(vault, records.audit(disk), auditSchema);
    const first = await findDocument(vault, records.audit({ ...disk, pass: 0 }), auditSchema);
    if ((audit?.mismatches ?? 0) > 0) throw new HoldfastError('INTERNAL', `Disk ${planned.name} failed its audit although all of it was read`);
    const made = snapshot.disks.find((candidate) => candidate.disk === planned.disk);
    const diskPlan = await recall(vault, records.diskPlan(disk), diskPlanSchema);
    for (const { id } of diskPlan.champions) champions.add(id);
    healing.push(...healingWarnings(planned.name, done.stats, diskPlan.why === TREE_DAMAGED));
    disks.push({
      name: planned.name, lun: planned.lun, sizeBytes: diskPlan.sizeBytes, logicalSectorBytes: planned.logicalSectorBytes,
      root: done.root, tree: treeHistory(placeOf(disk, diskPlan), done.records), mode: done.mode, stats: done.stats, ...(diskPlan.lenders.length > 0 ? { lenders: diskPlan.lenders } : {}),
      source: {
        kind: made?.handle.kind ?? null, snapshotId: made?.handle.id ?? null, familyId: made?.familyId ?? null, uniqueId: planned.uniqueId, diskId: planned.id,
        sku: planned.sku, caching: planned.caching, hyperVGeneration: planned.hyperVGeneration, auditSamples: audit?.samples ?? 0, auditMismatches: first?.mismatches ?? 0, auditSeed: audit?.seed ?? null, modeBecause: diskPlan.why, keepBase: plan.keepBase, made: plan.makes,
      },
    });
  }
  return {
    format: 'holdfast-recovery-point', version: 1, id: recoveryPointId(input.itemId, input.stamp), itemId: input.itemId, stamp: input.stamp, sequence: input.sequence,
    slot: plan.slot, startedAt: plan.startedAt, createdAt: snapshot.createdAt, policy: plan.policy, consistency: snapshot.consistency, warnings: [...input.warnings, ...healing],
    source: { kind: 'azure-vm', name: plan.vmName, resourceId: plan.vmId, model: plan.model }, disks,
    parent: plan.parent && { id: plan.parent.id, sequence: plan.parent.sequence, digest: plan.parent.digest }, champions: [...champions],
    stats: disks.reduce((sum, { stats }) => addStats(sum, stats), emptyStats()),
  };
}

export interface AbandonRunInput extends RunInput { readonly reason: ErrorReport }
export interface AbandonRunResult {
  /** Set when the run turns out to be sealed: its recovery point exists then, whatever failed after the seal. */
  readonly committed: CommitRunResult | null;
  readonly error: ErrorReport | null;
}

/** Closes a run that failed, with its cause. When someone gave the run up before (a cancel), their reason is the one that counts. */
export const createAbandonRun = (deps: ActivityDeps) => activity(async (input: AbandonRunInput): Promise<AbandonRunResult> => {
  const vault = await deps.vault();
  const run = { itemId: input.itemId, sequence: input.sequence, stamp: input.stamp };
  const outcome = await abandonRun(vault, run, input.reason, deps.nowMs());
  if (outcome === 'committed') {
    const manifest = await commitRun(vault, run, deps.nowMs());
    try {
      await findManifest(vault, input.itemId, manifest.stamp);
    } catch (error) {
      // What was made and does not open is no success.
      if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
      return { committed: null, error: error.toJSON() };
    }
    return { committed: resultOf(manifest), error: null };
  }
  return { committed: null, error: (await runEnd(vault, run))?.error as ErrorReport | null ?? input.reason };
});
