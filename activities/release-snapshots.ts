import type { z } from 'zod';
import { createDocument, findDocument } from '../vault/format/documents';
import { findManifest, type Manifest } from '../vault/format/manifest';
import { runEnd } from '../vault/run';
import type { VaultAccess } from '../vault/format/tree';
import { removeBlobSnapshots } from './blob-snapshots';
import { type Cloud, isSnapshotKind, type SnapshotHandle } from './cloud';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { releaseScripts } from './scripts';
import type { ReleaseResult, RunInput } from './types';
import { type MadeSnapshot, planSchema, records, releasedSchema, type RunPlan, snapshotSchema } from './work';

/** Runs that are looked back at for what they could not delete; a run before them was followed by as many that did not either. */
export const MAX_LOOK_BACK = 16;

/**
 * Step 6: ends access and deletes every snapshot that is not to be kept (I5): after a commit the base before, and this run's own where the
 * policy keeps none; after a failure this run's own; and what runs before could not delete. Run again until nothing is pending; then that is
 * recorded, so that the runs after it need not look further back.
 */
export const createReleaseSnapshots = (deps: ActivityDeps) => activity(async (run: RunInput): Promise<ReleaseResult> => releaseRun(deps, await deps.vault(), run));

/** The step itself, for the sweep and the reconciler, which do it for runs that no longer can. */
export async function releaseRun(deps: Pick<ActivityDeps, 'cloud' | 'nowMs'>, vault: VaultAccess, run: RunInput): Promise<ReleaseResult> {
  const plan = await findDocument(vault, records.plan(run), planSchema);
  if (!plan) return { pending: 0 };
  const committed = (await runEnd(vault, run))?.outcome === 'committed';
  const parent = plan.parent && (await findManifest(vault, run.itemId, plan.parent.stamp))?.manifest;
  // What is held still in the guest first: nothing waits for it but people.
  const scripts = await releaseScripts(deps, vault, run);
  const before = await leftBefore(vault, run);
  await endAccess(deps.cloud, [...await handlesOf(vault, run), ...before.handles], parent ?? null);
  let pending = scripts;
  for (const made of superseded(plan, parent ?? null, committed, before.made)) pending += await removeMade(deps.cloud, made);
  // Of blob snapshots each is looked at by itself, since a run may have made more of them than it knows.
  const blobs = [plan.makes, ...madeFor(parent ?? null), ...before.made].flatMap((made) => (made.kind === 'blobSnapshots' ? made.blobs : []));
  const kept = committed ? (plan.keepBase === 'newest' ? await handlesOf(vault, run) : []) : handlesFor(parent ?? null);
  if (blobs.length > 0) await removeBlobSnapshots(deps.cloud, vault, run, blobs, new Set(kept.map(({ id }) => id)));
  if (pending === 0) await createDocument(vault, records.released(run), { version: 1, at: new Date(deps.nowMs()).toISOString() } satisfies z.infer<typeof releasedSchema>);
  return { pending };
}

/** Everything that may be there, but what the next run needs as its base: this run's own when it is committed, else the recovery point's before it. */
function superseded(plan: RunPlan, parent: Manifest | null, committed: boolean, before: readonly MadeSnapshot[]): MadeSnapshot[] {
  const ofParent = madeFor(parent);
  const kept = new Set((committed ? (plan.keepBase === 'newest' ? [plan.makes] : []) : ofParent).map(keyOf));
  const all = new Map([plan.makes, ...ofParent, ...before].map((made) => [keyOf(made), made]));
  return [...all].filter(([key]) => !kept.has(key)).map(([, made]) => made);
}

const madeFor = (parent: Manifest | null): MadeSnapshot[] => (parent?.disks ?? []).map(({ source }) => source.made as MadeSnapshot | undefined).filter((made) => made !== undefined);

const keyOf = (made: MadeSnapshot): string =>
  (made.kind === 'snapshots' ? made.ids.join() : made.kind === 'blobSnapshots' ? made.blobs.join() : [made.ref.subscriptionId, made.ref.resourceGroup, made.ref.collection, made.ref.name].join('/')).toLowerCase();

/** What the runs made, and may have opened, since the last one after which nothing was left, its own base included. */
async function leftBefore(vault: VaultAccess, run: RunInput): Promise<{ made: MadeSnapshot[]; handles: SnapshotHandle[] }> {
  const made: MadeSnapshot[] = [];
  const handles: SnapshotHandle[] = [];
  for (let sequence = run.sequence - 1; sequence >= Math.max(1, run.sequence - MAX_LOOK_BACK); sequence--) {
    const earlier = { ...run, sequence };
    const plan = await findDocument(vault, records.plan(earlier), planSchema);
    if (plan) made.push(plan.makes);
    if (await findDocument(vault, records.released(earlier), releasedSchema)) break;
    handles.push(...await handlesOf(vault, earlier));
  }
  return { made, handles };
}

const handlesOf = async (vault: VaultAccess, run: RunInput): Promise<SnapshotHandle[]> =>
  (await findDocument(vault, records.snapshot(run), snapshotSchema))?.disks.map(({ handle }) => handle) ?? [];

async function endAccess(cloud: Cloud, opened: readonly SnapshotHandle[], parent: Manifest | null): Promise<void> {
  for (const handle of [...opened, ...handlesFor(parent)]) await cloud.endAccess(handle);
}

const handlesFor = (parent: Manifest | null): SnapshotHandle[] =>
  (parent?.disks ?? []).flatMap(({ source }) => (isSnapshotKind(source.kind) && typeof source.snapshotId === 'string' ? [{ kind: source.kind, id: source.snapshotId }] : []));

/** Starts the deletion and answers how many are still there. */
export async function removeMade(cloud: Cloud, made: MadeSnapshot): Promise<number> {
  if (made.kind === 'blobSnapshots') return 0;
  if (made.kind === 'restorePoint') return await cloud.startDeleteRestorePoint(made.ref) === 'absent' ? 0 : 1;
  let left = 0;
  for (const id of made.ids) if (await cloud.startDeleteSnapshot(id) !== 'absent') left++;
  return left;
}
