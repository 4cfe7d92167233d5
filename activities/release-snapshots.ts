import { findDocument } from '../vault/documents';
import { findManifest, type Manifest } from '../vault/manifest';
import { runEnd } from '../vault/run';
import type { VaultAccess } from '../vault/tree';
import type { Cloud, SnapshotHandle } from './cloud';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import type { ReleaseResult, RunInput } from './types';
import { type MadeSnapshot, planSchema, records, type RunPlan, snapshotSchema } from './work';

/**
 * Step 6: ends access and deletes every snapshot that is not to be kept (I5): after a commit the base before, and this run's own where the
 * policy keeps none; after a failure this run's own. Run again until nothing is pending.
 */
export const createReleaseSnapshots = (deps: ActivityDeps) => activity(async (run: RunInput): Promise<ReleaseResult> => {
  const vault = await deps.vault();
  const plan = await findDocument(vault, records.plan(run), planSchema);
  if (!plan) return { pending: 0 };
  const committed = (await runEnd(vault, run))?.outcome === 'committed';
  const parent = plan.parent && (await findManifest(vault, run.itemId, plan.parent.stamp))?.manifest;
  await endAccess(deps.cloud, vault, run, parent ?? null);
  let pending = 0;
  for (const made of superseded(plan, parent ?? null, committed)) pending += await remove(deps.cloud, made);
  return { pending };
});

/** What this run made and may not stay, and what it replaces as the base. */
function superseded(plan: RunPlan, parent: Manifest | null, committed: boolean): MadeSnapshot[] {
  const own = committed && plan.keepBase === 'newest' ? [] : [plan.makes];
  const before = committed && parent ? parent.disks.map(({ source }) => source.made as MadeSnapshot | undefined).filter((made) => made !== undefined) : [];
  const unique = new Map([...own, ...before].map((made) => [JSON.stringify(made), made]));
  return [...unique.values()];
}

async function endAccess(cloud: Cloud, vault: VaultAccess, run: RunInput, parent: Manifest | null): Promise<void> {
  const snapshot = await findDocument(vault, records.snapshot(run), snapshotSchema);
  const handles: SnapshotHandle[] = snapshot?.disks.map(({ handle }) => handle) ?? [];
  for (const { source } of parent?.disks ?? []) {
    if ((source.kind === 'diskRestorePoint' || source.kind === 'snapshot') && typeof source.snapshotId === 'string') handles.push({ kind: source.kind, id: source.snapshotId });
  }
  for (const handle of handles) await cloud.endAccess(handle);
}

/** Starts the deletion and answers how many are still there. */
async function remove(cloud: Cloud, made: MadeSnapshot): Promise<number> {
  if (made.kind === 'restorePoint') return await cloud.startDeleteRestorePoint(made.ref) === 'absent' ? 0 : 1;
  let left = 0;
  for (const id of made.ids) if (await cloud.startDeleteSnapshot(id) !== 'absent') left++;
  return left;
}
