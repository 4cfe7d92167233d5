import { type HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { findDocument } from '../vault/format/documents';
import { itemIds } from '../vault/items';
import { latestCommitted, listRuns } from '../vault/run';
import type { VaultAccess } from '../vault/format/tree';
import { RUN_TAG, tagsOfItem } from './blob-snapshots';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { MAX_LOOK_BACK } from './release-snapshots';
import { attempt, ended, execute, factsOf, lookAtMachines, MAX_SHOWN, newTally, releaseLast, type SweepInput, type SweepResult, type Tally } from './sweep';
import { planSweep, type Tagged } from './sweep-plan';
import { type MadeSnapshot, planSchema, records } from './work';

/** Items of one call: of most of them only the last run is looked at, and found to be of another kind. */
const PAGE = 100;

/**
 * One page of a sweep of blob snapshots, which no list of the subscriptions shows: they are looked for on the page blobs that the vault's records name, by their metadata. Which accounts are
 * asked follows from the records alone, so none is asked that no backup of this vault has read. What holds for other snapshots holds here (sweep-plan.ts).
 */
export const createSweepBlobs = (deps: ActivityDeps) => activity(async ({ dryRun, after }: SweepInput): Promise<SweepResult> => {
  const vault = await deps.vault();
  const all: string[] = [];
  for await (const itemId of itemIds(vault)) if (after === null || itemId > after) all.push(itemId);
  const page = all.sort().slice(0, PAGE);
  const tally = newTally();
  let machines: Awaited<ReturnType<typeof lookAtMachines>> | undefined;
  for (const itemId of page) {
    const blobs = await blobsOf(vault, itemId);
    const tagged = await taggedOn(deps, vault, itemId, blobs, tally);
    if (tagged.length === 0) continue;
    const facts = await factsOf(vault, itemId, machines ??= await lookAtMachines(deps, vault));
    if (!dryRun) await releaseLast(deps, vault, facts, tally);
    await execute(deps, planSweep(facts.item, tagged, deps.nowMs()), dryRun, tally);
  }
  if (tally.orphans > 0 || tally.unknown > 0) deps.log('The sweep found blob snapshots that were left behind', { orphans: tally.orphans, unknown: tally.unknown, failed: tally.failed, dryRun });
  return { ...tally, shown: tally.shown.slice(0, MAX_SHOWN), next: all.length > PAGE ? page.at(-1) ?? null : null };
});

/** The page blobs that the item's newest recovery point and its last runs speak of. One whose last run and newest recovery point know of none never had any, or its next run cleaned up after them. */
async function blobsOf(vault: VaultAccess, itemId: string): Promise<Set<string>> {
  const made: (MadeSnapshot | undefined)[] = ((await latestCommitted(vault, itemId))?.manifest.disks ?? []).map(({ source }) => source.made as MadeSnapshot | undefined);
  for (const sequence of [...(await listRuns(vault, itemId)).keys()].sort((a, b) => b - a).slice(0, MAX_LOOK_BACK)) {
    const plan = await findDocument(vault, records.plan({ itemId, sequence, stamp: '' }), planSchema);
    if (!plan) continue;
    made.push(plan.makes);
    if (!made.some((one) => one?.kind === 'blobSnapshots')) break;
  }
  return new Set(made.flatMap((one) => (one?.kind === 'blobSnapshots' ? one.blobs : [])));
}

async function taggedOn(deps: ActivityDeps, vault: VaultAccess, itemId: string, blobs: ReadonlySet<string>, tally: Tally): Promise<Tagged[]> {
  const tagged: Tagged[] = [];
  for (const blobUrl of blobs) {
    await attempt(tally, { id: blobUrl, itemId, why: 'a look at its snapshots' }, async () => {
      for (const { id, createdAt, tags } of await snapshotsOf(deps, vault, itemId, blobUrl)) {
        const sequence = Number(tags[RUN_TAG] ?? Number.NaN);
        const isOurs = Number.isSafeInteger(sequence) && sequence > 0 && (await listRuns(vault, itemId)).has(sequence);
        tagged.push({ kind: 'blobSnapshot', id, itemId, made: { kind: 'blobSnapshots', blobs: [blobUrl] }, createdAtMs: Date.parse(createdAt), isOpen: false, run: isOurs ? await ended(vault, itemId, sequence) : null });
      }
    });
  }
  return tagged;
}

async function snapshotsOf(deps: ActivityDeps, vault: VaultAccess, itemId: string, blobUrl: string): ReturnType<ActivityDeps['cloud']['listBlobSnapshots']> {
  try {
    return await deps.cloud.listBlobSnapshots(blobUrl, tagsOfItem(vault, { itemId }));
  } catch (error) {
    if (isHoldfastError(error, 'CLOUD_UNREACHABLE') && isAccountGone(error)) return [];
    throw error;
  }
}

/** The name of a storage account that was deleted is in no directory any more. Only here may that pass for "none": whatever it means, nothing is deleted for it. */
const isAccountGone = ({ data }: HoldfastError): boolean => data.serviceCode === 'ENOTFOUND';
