import { HoldfastError } from '../errors/holdfast-error';
import type { Consistency } from '../vault/format/manifest';
import type { VaultAccess } from '../vault/format/tree';
import { lookAtBlobSnapshots, startBlobSnapshots } from './blob-snapshots';
import type { RestorePointRef, RestorePointStatus, SnapshotStatus } from './cloud';
import type { ActivityDeps } from './deps';
import { noteHeld, owesPostScript, withScripts } from './scripts';
import { activity } from './outcome';
import type { RunInput, SnapshotStatusResult } from './types';
import { assertRunOpen, planSchema, recall, records, remember, type RunPlan, type RunSnapshot, snapshotSchema } from './work';

export const VAULT_TAG = 'holdfast-vault';
export const ITEM_TAG = 'holdfast-item';
export const RUN_TAG = 'holdfast-run';

/** Tags that let the sweep tell ours from others'. */
export const tagsOf = (vault: VaultAccess, run: RunInput): Record<string, string> => ({
  [VAULT_TAG]: vault.keys.vaultId.toString('hex'), [ITEM_TAG]: run.itemId, [RUN_TAG]: String(run.sequence),
});

/** Step 3a: asks for the snapshots. Their names are in the run's plan, written before, so running it again adopts what is there. */
export const createStartSnapshot = (deps: ActivityDeps) => activity(async (run: RunInput): Promise<null> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, run, deps.nowMs());
  const plan = await recall(vault, records.plan(run), planSchema);
  const tags = tagsOf(vault, run);
  if (plan.makes.kind === 'restorePoint') {
    await deps.cloud.startRestorePoint({ ...plan.makes.ref, vmId: plan.vmId, location: plan.location, excludeDiskIds: plan.excludedDiskIds, crashConsistent: plan.crashConsistent, tags });
  } else if (plan.makes.kind === 'blobSnapshots') {
    await startBlobSnapshots(deps, vault, run, plan);
  } else {
    for (const { snapshotId, id } of plan.disks) await deps.cloud.startSnapshot({ id: snapshotId ?? '', diskId: id, location: plan.location, tags });
  }
  return null;
});

export interface SnapshotStatusInput extends RunInput {
  /** True when the time is over: not ready is then a failure. */
  readonly last: boolean;
}

/** Step 3b: how far the snapshots are; when they are ready, records what they are. */
export const createSnapshotStatus = (deps: ActivityDeps) => activity(async (input: SnapshotStatusInput): Promise<SnapshotStatusResult> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, input, deps.nowMs());
  const plan = await recall(vault, records.plan(input), planSchema);
  const { makes } = plan;
  const look = makes.kind === 'restorePoint' ? await lookAtRestorePoint(deps, plan, makes.ref)
    : makes.kind === 'blobSnapshots' ? { taken: false, percent: 0, snapshot: await lookAtBlobSnapshots(deps, vault, input, plan) } : await lookAtSnapshots(deps, plan);
  if (look.taken && plan.scripts) await noteHeld(vault, input, deps.nowMs());
  if (look.snapshot === null || (plan.scripts && await owesPostScript(vault, input))) {
    if (input.last) throw new HoldfastError('SNAPSHOT_TIMEOUT', `The snapshot of ${plan.vmName} is at ${look.percent} % and its time is over`);
    return { state: 'running', taken: look.taken, percent: look.percent, consistency: null, warnings: [] };
  }
  const snapshot = await remember(vault, records.snapshot(input), snapshotSchema, () => withScripts(vault, input, plan, look.snapshot as RunSnapshot));
  return { state: 'ready', taken: true, percent: 100, consistency: snapshot.consistency, warnings: [...(snapshot.notes ?? []), ...weaker(plan, snapshot.consistency)] };
});

interface Look { readonly taken: boolean; readonly percent: number; readonly snapshot: RunSnapshot | null }

async function lookAtRestorePoint(deps: ActivityDeps, plan: RunPlan, ref: RestorePointRef): Promise<Look> {
  const status = await deps.cloud.getRestorePoint(ref);
  assertNotFailed(status, `The restore point of ${plan.vmName}`);
  if (status?.state !== 'succeeded') return { taken: false, percent: 0, snapshot: null };
  const percent = Math.min(100, ...status.disks.map(({ completionPercent }) => completionPercent));
  if (percent < 100) return { taken: true, percent, snapshot: null };
  const disks = plan.disks.map(({ disk, lun, name, uniqueId }) => {
    const found = status.disks.find((candidate) => candidate.lun === lun);
    if (!found) throw new HoldfastError('SNAPSHOT_FAILED', `The restore point of ${plan.vmName} has no disk at ${lun} (${name})`);
    assertSameDisk(name, uniqueId, found.sourceUniqueId);
    return { disk, handle: { ...found.handle }, familyId: found.familyId, sourceUniqueId: found.sourceUniqueId };
  });
  return { taken: true, percent: 100, snapshot: { version: 1, consistency: status.consistency ?? 'crash', createdAt: status.createdAt ?? plan.startedAt, disks } };
}

async function lookAtSnapshots(deps: ActivityDeps, plan: RunPlan): Promise<Look> {
  let percent = 100;
  let taken = true;
  const disks: RunSnapshot['disks'] = [];
  const times: string[] = [];
  for (const { disk, name, uniqueId, snapshotId } of plan.disks) {
    const status = await deps.cloud.getSnapshot(snapshotId ?? '');
    assertNotFailed(status, `The snapshot of ${name}`);
    taken &&= status?.state === 'succeeded';
    percent = Math.min(percent, status?.state === 'succeeded' ? status.completionPercent : 0);
    if (!status) continue;
    assertSameDisk(name, uniqueId, status.sourceUniqueId);
    disks.push({ disk, handle: { kind: 'snapshot', id: snapshotId ?? '' }, familyId: status.familyId, sourceUniqueId: status.sourceUniqueId });
    if (status.createdAt) times.push(status.createdAt);
  }
  if (percent < 100) return { taken, percent, snapshot: null };
  // Disks snapshot one after another show different instants; the label says so. The recovery point's time is the earliest.
  const consistency: Consistency = plan.disks.length === 1 ? 'crash' : 'crash-per-disk';
  return { taken, percent: 100, snapshot: { version: 1, consistency, createdAt: times.sort()[0] ?? plan.startedAt, disks } };
}

export function assertNotFailed(status: RestorePointStatus | SnapshotStatus | undefined, what: string): void {
  if (status?.state !== 'failed') return;
  const { serviceCode, message, code } = status.failure ?? { serviceCode: 'unknown', message: 'no reason was given', code: undefined };
  throw new HoldfastError(code ?? 'SNAPSHOT_FAILED', `${what} failed: ${serviceCode}: ${message}`, { data: { serviceCode } });
}

/** Fault 22: another disk under the same name is another disk. */
function assertSameDisk(name: string, planned: string, snapshotOf: string | null): void {
  if (snapshotOf !== null && snapshotOf !== planned) {
    throw new HoldfastError('DISK_REPLACED', `${name} was replaced after the run had begun: the snapshot is of disk ${snapshotOf}, the plan of ${planned}`);
  }
}

/** What a person should know when the snapshot is weaker than wanted; a failure when the policy says so. File-system consistency is the best a Linux guest offers without scripts. */
function weaker(plan: RunPlan, reached: Consistency): string[] {
  if (plan.crashConsistent || reached === 'application' || (reached === 'file-system' && plan.osType === 'Linux' && !plan.scripts)) return [];
  const message = `Consistency is "${reached}", weaker than what was wanted`;
  if (plan.failOnWeaker) throw new HoldfastError('CONSISTENCY_NOT_REACHED', `${plan.vmName}: ${message}`);
  return [message];
}
