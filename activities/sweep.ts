import { isHoldfastError, messageOf } from '../errors/holdfast-error';
import { itemIdOfResource } from '../policy/item-id';
import type { PolicyDocument } from '../policy/schema';
import { selectItems } from '../policy/select';
import { findDocument } from '../vault/format/documents';
import { findManifest, ITEM_ID, type Manifest, type ManifestDisk } from '../vault/format/manifest';
import { findRunOpen, latestCommitted, listRuns, runEnd } from '../vault/run';
import type { VaultAccess } from '../vault/format/tree';
import type { VmSummary } from './cloud';
import type { ActivityDeps } from './deps';
import { activity, isTransient } from './outcome';
import { madeNames, vaultTagOf } from './plan-backup';
import { listPolicies } from './policy-store';
import { releaseRun, removeMade } from './release-snapshots';
import type { OwnedResource } from './restore-cloud';
import { ITEM_TAG, RUN_TAG, VAULT_TAG } from './snapshot';
import { type DiskEntry, diskFacts, planDisks } from './sweep-disks';
import { type ItemFacts, planSweep, SWEEP_MARGIN_MS, type SweepEntry, type SweepPlan, type Tagged } from './sweep-plan';
import { type MadeSnapshot, records, releasedSchema } from './work';

/** Items of one call: with a few requests for each, a call stays far below the limit of a step. */
const PAGE = 100;
/** What a result shows by name; the counts tell the rest. Durable history keeps it. */
export const MAX_SHOWN = 40;

export interface SweepInput { readonly dryRun: boolean; readonly after: string | null }

export interface SweepCounts {
  /** Snapshots and restore points that nobody needed: 0 when every run cleaned up after itself. */
  readonly orphans: number;
  readonly accessEnded: number;
  readonly kept: number;
  /** Carry this vault's tag, but no record of it knows them. Left alone. */
  readonly unknown: number;
  readonly failed: number;
}

export interface SweepResult extends SweepCounts {
  /** Deletions that are under way. */
  readonly pending: number;
  readonly next: string | null;
  readonly shown: readonly (Omit<SweepEntry, 'kind'> & { readonly action: 'remove' | 'end access' | 'unknown' | 'failed' })[];
}

/**
 * One page of a sweep: looks at everything in the subscriptions that carries this vault's tag, plans, and unless it is a dry run executes the plan.
 * Plans anew each time it runs, so that nothing is deleted on old knowledge. An error while looking stops it with nothing deleted (fault 13).
 * `restores` has the clouds of restores, whose identity is the one that may delete the disks and snapshots that they made.
 */
export const createSweep = (deps: ActivityDeps, restores: Pick<ActivityDeps, 'cloud' | 'restoreCloud'>) => activity(async ({ dryRun, after }: SweepInput): Promise<SweepResult> => {
  const vault = await deps.vault();
  const found = await lookAround(deps, vault);
  const items = [...found.byItem.keys()].sort().filter((itemId) => after === null || itemId > after);
  const page = items.slice(0, PAGE);
  const result = newTally();
  for (const itemId of page) {
    const facts = await factsOf(vault, itemId, found);
    const plan = planSweep(facts.item, await taggedOf(deps, vault, facts, found.byItem.get(itemId) ?? []), deps.nowMs());
    if (!dryRun) await releaseLast(deps, vault, facts, result);
    await execute(deps, plan, dryRun, result);
  }
  // What restores made is little: all of it with the first page.
  if (after === null) await sweepDisks({ ...deps, cloud: restores.cloud, restoreCloud: restores.restoreCloud }, vault, dryRun, result);
  if (result.orphans > 0 || result.unknown > 0) deps.log('The sweep found what was left behind', { orphans: result.orphans, unknown: result.unknown, failed: result.failed, dryRun });
  return { ...result, shown: result.shown.slice(0, MAX_SHOWN), next: items.length > PAGE ? page.at(-1) ?? null : null };
});

/** What says whether a base is needed: the machines that there are, and the policies. */
interface Machines {
  readonly vms: ReadonlyMap<string, VmSummary>;
  readonly policies: readonly PolicyDocument[];
  /** A policy that cannot be read may be one that keeps bases. */
  readonly policiesInDoubt: boolean;
}

interface Around extends Machines {
  readonly byItem: ReadonlyMap<string, readonly OwnedResource[]>;
}

async function lookAround(deps: ActivityDeps, vault: VaultAccess): Promise<Around> {
  const ours = vault.keys.vaultId.toString('hex');
  const byItem = new Map<string, OwnedResource[]>();
  for (const kind of ['snapshot', 'restorePointCollection'] as const) {
    for (const resource of await deps.restoreCloud.listOwned(kind, VAULT_TAG)) {
      const itemId = tag(resource, ITEM_TAG);
      if (tag(resource, VAULT_TAG) === ours && ITEM_ID.test(itemId)) byItem.set(itemId, [...byItem.get(itemId) ?? [], resource]);
    }
  }
  return { byItem, ...await lookAtMachines(deps, vault) };
}

export async function lookAtMachines(deps: ActivityDeps, vault: VaultAccess): Promise<Machines> {
  let policiesInDoubt = false;
  const policies = (await listPolicies(vault.store, () => { policiesInDoubt = true; })).map(({ document }) => document);
  return { vms: new Map((await deps.cloud.listVms()).map((vm) => [itemIdOfResource(vm.id), vm])), policies, policiesInDoubt };
}

/** Azure keeps the case of a tag's name as it was written first, and compares without it. */
const tag = ({ tags }: OwnedResource, wanted: string): string => Object.entries(tags).find(([name]) => name.toLowerCase() === wanted)?.[1] ?? '';

interface Facts { readonly item: ItemFacts; readonly lastEnded: { readonly sequence: number; readonly stamp: string; readonly endedAtMs: number } | null }

export async function factsOf(vault: VaultAccess, itemId: string, around: Machines): Promise<Facts> {
  const runs = await listRuns(vault, itemId);
  const newest = await latestCommitted(vault, itemId);
  const last = Math.max(0, ...runs.keys());
  const end = last === 0 ? undefined : await runEnd(vault, { itemId, sequence: last, stamp: '' });
  const open = last === 0 ? undefined : await findRunOpen(vault, itemId, last);
  return {
    item: {
      itemId, hasOpenRun: [...runs.values()].some(({ ended }) => !ended),
      base: (newest?.manifest.disks ?? []).flatMap(({ source }) => idsOf(source)),
      hasMachine: around.vms.has(itemId),
      baseIsIdleBecause: newest ? whyIdle(newest.manifest, around.vms.get(itemId), around) : null,
    },
    lastEnded: end && open ? { sequence: last, stamp: open.stamp, endedAtMs: Date.parse(end.at) } : null,
  };
}

/** keepBase as it is now, not as it was when the base was made: a policy may have been changed or deleted since. Null while the base is needed. */
function whyIdle(newest: Manifest, vm: VmSummary | undefined, { policies, policiesInDoubt }: Machines): string | null {
  if (!vm) return 'the machine is gone';
  if (policiesInDoubt) return null;
  const covering = policies.filter((policy) => policy.name === newest.policy || selectItems(policy, [vm]).length > 0);
  if (covering.some(({ keepBase }) => keepBase === 'newest')) return null;
  if (covering.length > 0) return 'the policy keeps none';
  // On demand and never by a policy: the defaults keep the newest.
  return newest.policy === null ? null : 'no policy covers the machine any more';
}

const pointId = ({ subscriptionId, resourceGroup, collection, name }: Extract<MadeSnapshot, { kind: 'restorePoint' }>['ref']): string =>
  `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/restorePointCollections/${collection}/restorePoints/${name}`;

/** What a disk of a recovery point was read from. Of a page blob it is the snapshot itself that the recovery point names. */
function idsOf({ made: recorded, snapshotId }: ManifestDisk['source']): readonly string[] {
  const made = recorded as MadeSnapshot | undefined;
  if (made === undefined) return [];
  if (made.kind === 'blobSnapshots') return typeof snapshotId === 'string' ? [snapshotId] : [];
  return made.kind === 'snapshots' ? made.ids : [pointId(made.ref)];
}

/** Snapshots, and the restore points of collections, each with the run that made it. A name counts only where a run of that name is in the vault. */
async function taggedOf(deps: ActivityDeps, vault: VaultAccess, { item: { itemId }, lastEnded }: Facts, resources: readonly OwnedResource[]): Promise<Tagged[]> {
  const vaultTag = vaultTagOf(vault);
  const tagged: Tagged[] = [];
  for (const resource of resources) {
    if (resource.kind === 'snapshot') {
      const sequence = Number(tag(resource, RUN_TAG));
      const open = Number.isSafeInteger(sequence) && sequence > 0 ? await findRunOpen(vault, itemId, sequence) : undefined;
      const isOurs = open !== undefined && resource.name.toLowerCase().startsWith(madeNames(itemId, open.stamp, vaultTag).snapshotPrefix.toLowerCase());
      tagged.push({
        kind: 'snapshot', id: resource.id, itemId, made: { kind: 'snapshots', ids: [resource.id] }, createdAtMs: timeOf(resource.createdAt),
        isOpen: /^active/i.test(resource.diskState ?? ''), run: isOurs ? await ended(vault, itemId, open.sequence) : null,
      });
      continue;
    }
    const [, , subscriptionId = '', , resourceGroup = ''] = resource.id.split('/');
    const collection = { subscriptionId, resourceGroup, collection: resource.name };
    const isOurs = resource.name.toLowerCase() === madeNames(itemId, '', vaultTag).collection.toLowerCase();
    const points = await deps.cloud.listRestorePoints(collection);
    if (points.length === 0) {
      tagged.push({ kind: 'emptyCollection', id: resource.id, itemId, made: { kind: 'restorePoint', ref: { ...collection, name: '' } }, createdAtMs: null, isOpen: false, run: isOurs ? lastEnded : null });
    }
    for (const { name, createdAt } of points) {
      const ref = { ...collection, name };
      const sequence = isOurs ? await runOfPoint(vault, itemId, name, vaultTag) : null;
      tagged.push({ kind: 'restorePoint', id: pointId(ref), itemId, made: { kind: 'restorePoint', ref }, createdAtMs: timeOf(createdAt), isOpen: false, run: sequence === null ? null : await ended(vault, itemId, sequence) });
    }
  }
  return tagged;
}

const timeOf = (text: string | null): number | null => (text === null ? null : Date.parse(text));

export async function ended(vault: VaultAccess, itemId: string, sequence: number): Promise<Tagged['run']> {
  const end = await runEnd(vault, { itemId, sequence, stamp: '' });
  return { sequence, endedAtMs: end ? Date.parse(end.at) : null };
}

/** Restore points have no tags of their own: the stamp in the name finds the run, by its manifest or among the item's runs, newest first. */
async function runOfPoint(vault: VaultAccess, itemId: string, name: string, vaultTag: string): Promise<number | null> {
  const stamp = /^hf-(\d{8}T\d{6}(?:\d{3})?Z)$/i.exec(name)?.[1]?.toUpperCase();
  if (stamp === undefined || madeNames(itemId, stamp, vaultTag).restorePoint.toLowerCase() !== name.toLowerCase()) return null;
  const manifest = await findManifest(vault, itemId, stamp);
  if (manifest) return manifest.manifest.sequence;
  for (const sequence of [...(await listRuns(vault, itemId)).keys()].sort((a, b) => b - a)) {
    if ((await findRunOpen(vault, itemId, sequence))?.stamp === stamp) return sequence;
  }
  return null;
}

export type Tally = { -readonly [key in keyof SweepCounts]: number } & { pending: number; shown: SweepResult['shown'][number][] };
export const newTally = (): Tally => ({ orphans: 0, accessEnded: 0, kept: 0, unknown: 0, failed: 0, pending: 0, shown: [] });

/** What the item's last run could not do itself, access that it left open included: its own clean-up, once more. */
export async function releaseLast(deps: ActivityDeps, vault: VaultAccess, { item, lastEnded }: Facts, tally: Tally): Promise<void> {
  if (item.hasOpenRun || !lastEnded || deps.nowMs() - lastEnded.endedAtMs < SWEEP_MARGIN_MS) return;
  const run = { itemId: item.itemId, sequence: lastEnded.sequence, stamp: lastEnded.stamp };
  if (await findDocument(vault, records.released(run), releasedSchema)) return;
  await attempt(tally, { id: item.itemId, itemId: item.itemId, why: 'clean-up of its last run' }, async () => { tally.pending += (await releaseRun(deps, vault, run)).pending; });
}

export async function execute(deps: ActivityDeps, plan: SweepPlan, dryRun: boolean, tally: Tally): Promise<void> {
  const show = ({ id, itemId, why }: SweepEntry, action: SweepResult['shown'][number]['action']): void => { tally.shown.push({ id, itemId, why, action }); };
  tally.kept += plan.keep.length;
  for (const entry of plan.unknown) { tally.unknown++; show(entry, 'unknown'); }
  for (const entry of plan.endAccess) {
    tally.accessEnded++;
    show(entry, 'end access');
    if (!dryRun) await attempt(tally, entry, () => deps.cloud.endAccess({ kind: 'snapshot', id: entry.id }));
  }
  for (const entry of plan.remove) {
    tally.orphans++;
    show(entry, 'remove');
    if (!dryRun) await attempt(tally, entry, async () => { tally.pending += await removeOne(deps, entry); });
  }
}

async function sweepDisks(deps: Pick<ActivityDeps, 'nowMs' | 'cloud' | 'restoreCloud'>, vault: VaultAccess, dryRun: boolean, tally: Tally): Promise<void> {
  const plan = planDisks(await diskFacts(deps, vault, VAULT_TAG, tag), deps.nowMs());
  tally.kept += plan.keep.length;
  for (const entry of plan.unknown) { tally.unknown++; tally.shown.push({ ...entry, action: 'unknown' }); }
  for (const entry of plan.remove) {
    tally.orphans++;
    tally.shown.push({ ...entry, action: 'remove' });
    if (dryRun) continue;
    await attempt(tally, entry, async () => {
      if (await removeOfRestore(deps, entry) !== 'absent') tally.pending++;
    });
  }
}

async function removeOfRestore(deps: Pick<ActivityDeps, 'cloud' | 'restoreCloud'>, { kind, id }: DiskEntry): Promise<'started' | 'absent'> {
  if (kind === 'snapshot') {
    await deps.cloud.endAccess({ kind, id });
    return deps.cloud.startDeleteSnapshot(id);
  }
  await deps.restoreCloud.endDiskAccess(id);
  return deps.restoreCloud.startDeleteDisk(id);
}

/** Access first: what is open may refuse to be deleted. */
async function removeOne(deps: ActivityDeps, { kind, id, made }: SweepPlan['remove'][number]): Promise<number> {
  if (kind === 'blobSnapshot') {
    await deps.cloud.deleteBlobSnapshot(id);
    return 0;
  }
  if (kind === 'emptyCollection' && made.kind === 'restorePoint') return await deps.cloud.startDeleteEmptyCollection(made.ref) === 'started' ? 1 : 0;
  if (kind === 'snapshot') await deps.cloud.endAccess({ kind: 'snapshot', id });
  else if (made.kind === 'restorePoint') {
    const disks = (await deps.cloud.getRestorePoint(made.ref))?.disks ?? [];
    for (const { handle } of disks) await deps.cloud.endAccess(handle);
  }
  return removeMade(deps.cloud, made);
}

/** One that cannot be deleted does not keep the others from it. What may be gone in a minute is tried again with the next call. */
export async function attempt(tally: Tally, entry: Pick<SweepEntry, 'id' | 'itemId' | 'why'>, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    if (isTransient(error.toJSON())) tally.pending++;
    else {
      tally.failed++;
      tally.shown.push({ id: entry.id, itemId: entry.itemId, why: `${entry.why}; ${messageOf(error).slice(0, 200)}`, action: 'failed' });
    }
  }
}
