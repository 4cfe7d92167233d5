import { HoldfastError, isHoldfastError, messageOf } from '../../errors/holdfast-error';
import { findDocument } from '../format/documents';
import { PackKind } from '../format/format';
import { extendAll, heldUntilMs, PARALLEL_EXTENSIONS } from './lock';
import { type Extension, lockFloorMs, lockNeedMs, lockTargetMs, type LockTimes } from './lock-plan';
import { diskTree, type Manifest } from '../format/manifest';
import { packName } from '../format/pack-names';
import { recordSchema, referencesFolder } from './references';
import { runFolder } from '../run';
import type { ObjectRetention } from '../store/store';
import { loadRoot, regionsOf, type VaultAccess } from '../format/tree';

/** Packs that one commit holds by itself at most: a TiB of a disk in half-minutes of work. Beyond, maintenance is the way. */
export const MOST_AT_COMMIT = 5_000;

/**
 * Before a recovery point is committed: everything that it refers to must be held for `keepMs` from now (threat 2). Nearly always nothing is to be done: the packs that it took over were held
 * by maintenance, whose ledger says until when, and the ones that its run wrote have the container's default, which the run's first record shows. Only where one of these
 * does not suffice are packs touched, one by one. Answers warnings for the manifest: a recovery point that is held for too short is better than none.
 */
export async function lockForCommit(vault: VaultAccess, manifest: Manifest, keepMs: number): Promise<readonly string[]> {
  const { retention } = vault.store;
  if (!retention) return [`HOLDFAST_LOCK_DAYS is set, and ${vault.store.description} cannot hold single objects against deletion`];
  const times: LockTimes = { nowMs: await vault.store.serverTimeMs(), keepMs };
  try {
    const isOldHeld = await heldUntilMs(vault) >= lockNeedMs(times);
    const isNewHeld = await isHeldSince(retention, `${runFolder(manifest.itemId, manifest.sequence)}/open`, lockFloorMs(times));
    if (isOldHeld && isNewHeld) return [];
    const { names, isAll } = isOldHeld ? { names: await takenPacks(vault, manifest), isAll: true } : await treePacks(vault, manifest);
    await holdPacks(retention, names.slice(0, MOST_AT_COMMIT), times);
    if (isAll && names.length <= MOST_AT_COMMIT) return [];
    return [`Only the first ${MOST_AT_COMMIT} packs of this recovery point were held against deletion for ${Math.round(keepMs / 86_400_000)} days: run \`holdfast lock\`, which holds them all`];
  } catch (error) {
    // What may be gone in a minute is tried again by whoever retries the step; what stays is said, and the backup is made all the same.
    if (!isHoldfastError(error, 'STORE_ACCESS_DENIED') && !isHoldfastError(error, 'STORE_READ_ONLY')) throw error;
    return [`What this recovery point needs could not be held against deletion: ${messageOf(error)}`];
  }
}

async function isHeldSince(retention: ObjectRetention, name: string, untilMs: number): Promise<boolean> {
  return (await retention.until(name) ?? 0) >= untilMs;
}

async function holdPacks(retention: ObjectRetention, names: readonly string[], times: LockTimes): Promise<void> {
  const short: Extension[] = [];
  const queue = names.values();
  await Promise.all(Array.from({ length: Math.min(PARALLEL_EXTENSIONS, names.length) }, async () => {
    for (const name of queue) {
      const fromMs = await retention.until(name);
      if ((fromMs ?? 0) < lockFloorMs(times)) short.push({ name, fromMs, toMs: lockTargetMs(times) });
    }
  }));
  await extendAll(retention, short);
}

/** The packs that the recovery point took up: those its run wrote, and those of other recovery points. */
async function takenPacks(vault: VaultAccess, manifest: Manifest): Promise<string[]> {
  const names = new Set<string>();
  for (const { tree } of manifest.disks) {
    const folder = `${referencesFolder(manifest, 0).replace(/\/[^/]+$/, '')}/${tree.references}`;
    for (const { name, references } of tree.records) {
      const found = references ?? await findDocument(vault, `${folder}/${name}`, recordSchema);
      if (!found) throw new HoldfastError('VAULT_DAMAGED', `The record ${folder}/${name} is not there`, { data: { name: `${folder}/${name}` } });
      for (const pack of found.data.taken) names.add(packName(PackKind.data, pack));
      for (const pack of found.meta.taken) names.add(packName(PackKind.meta, pack));
    }
  }
  return [...names];
}

/** Every pack of the recovery point, from its roots and regions, which name them all. Stops when there are more than a commit holds. */
async function treePacks(vault: VaultAccess, manifest: Manifest): Promise<{ names: string[]; isAll: boolean }> {
  const names = new Set<string>();
  for (const disk of manifest.disks) {
    const tree = diskTree(disk);
    if (tree.root) names.add(packName(PackKind.meta, tree.root.pack));
    for (const { pack } of (await loadRoot(vault, tree))?.children.values() ?? []) names.add(packName(PackKind.meta, pack));
    for await (const region of regionsOf(vault, tree)) {
      for (const pack of region.usage.keys()) names.add(packName(PackKind.data, pack));
      for (const { pack } of region.children.values()) names.add(packName(PackKind.meta, pack));
      if (region.hooks) names.add(packName(PackKind.meta, region.hooks.pack));
      if (names.size > MOST_AT_COMMIT) return { names: [...names], isAll: false };
    }
  }
  return { names: [...names], isAll: true };
}
