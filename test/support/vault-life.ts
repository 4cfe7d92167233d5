import assert from 'node:assert/strict';
import { HoldfastError, toReport } from '../../errors/holdfast-error';
import { collect, type CollectOptions, type CollectReport } from '../../vault/points/collect';
import { PackKind } from '../../vault/format/format';
import { lockForCommit } from '../../vault/points/lock-commit';
import { diskTree, type Manifest, type ManifestDisk, recoveryPointId } from '../../vault/format/manifest';
import { MARGINS } from '../../vault/points/margins';
import { markDeleted, markUndeleted, readMarks } from '../../vault/points/marks';
import { packName } from '../../vault/format/pack-names';
import { refToJson } from '../../vault/format/ref-json';
import { referencesFolder } from '../../vault/points/references';
import { abandonRun, commitRun, latestCommitted, openRun, type RunRef, sealRun } from '../../vault/run';
import { createMemoryStore } from '../../vault/store/memory-store';
import type { Store } from '../../vault/store/store';
import { emptyStats } from '../../vault/transfer/transfer-types';
import { type DiskTree, leafRefs, loadLeaf, loadRegion, loadRoot, type VaultAccess } from '../../vault/format/tree';
import { listRecoveryPoints } from '../../vault/catalog';
import type { SparseDisk} from './vault-kit';
import { assertRestores, backUp, START_MS, testKeys } from './vault-kit';

export const DAY_MS = 24 * 3_600_000;
/** After so long, what nothing needs may go. */
export const OLD_MS = MARGINS.longestRunMs + MARGINS.afterRunMs + DAY_MS;

/** Every pack that a tree refers to, by name of object, found by walking all of it. */
export async function walkPacks(vault: VaultAccess, tree: DiskTree, into = new Set<string>()): Promise<Set<string>> {
  const root = await loadRoot(vault, tree);
  if (tree.root) into.add(packName(PackKind.meta, tree.root.pack));
  for (const [index, ref] of root?.children ?? []) {
    into.add(packName(PackKind.meta, ref.pack));
    const region = await loadRegion(vault, ref, index, tree.sizeBytes);
    if (region.hooks) into.add(packName(PackKind.meta, region.hooks.pack));
    for (const [window, leaf] of leafRefs(region)) {
      into.add(packName(PackKind.meta, leaf.pack));
      for (const { chunk } of (await loadLeaf(vault, leaf, window, tree.sizeBytes)).entries) if (chunk) into.add(packName(PackKind.data, chunk.pack));
    }
  }
  return into;
}

/** The packs that the live and binned recovery points of a vault need, found by walking every tree from scratch. */
export async function walkAll(vault: VaultAccess): Promise<Set<string>> {
  const packs = new Set<string>();
  const { points, damaged } = await listRecoveryPoints(vault, undefined, { deleted: true });
  assert.deepEqual(damaged, []);
  for (const { manifest } of points) for (const disk of manifest.disks) await walkPacks(vault, diskTree(disk), packs);
  return packs;
}

export async function namesOf(store: Store, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list(prefix)) names.push(name);
  return names;
}

export interface BackupFate {
  /** What becomes of the run. Cut off: its process is gone before it sealed; sealed: before it committed. */
  readonly end?: 'committed' | 'abandoned' | 'cut off' | 'sealed';
  readonly full?: boolean;
  /** Every disk is done twice, and the second pass counts. */
  readonly secondPass?: boolean;
}

/** A vault in memory with items whose disks change, and a clock that is the store's and everybody's. */
export class VaultLife {
  nowMs = START_MS;
  readonly store: Store;
  readonly vault: VaultAccess;
  readonly items = new Map<string, Map<string, SparseDisk>>();
  /** What each committed recovery point must restore to, disk by disk. */
  readonly contents = new Map<string, Map<string, SparseDisk>>();
  private owners = 0;

  /** `wrap` puts the store under other rules, such as a WORM policy; `lockKeepMs` is what commits hold objects for. */
  constructor(wrap: (plain: Store, clock: () => number) => Store = (plain) => plain, private readonly lockKeepMs?: number) {
    this.store = wrap(createMemoryStore({ clock: () => this.nowMs }), () => this.nowMs);
    this.vault = { store: this.store, keys: testKeys() };
  }

  disksOf(itemId: string): Map<string, SparseDisk> {
    const disks = this.items.get(itemId) ?? new Map<string, SparseDisk>();
    this.items.set(itemId, disks);
    return disks;
  }

  /** One run of the item as it is now, by the steps that every backup has. */
  async backup(itemId: string, fate: BackupFate = {}, vault = this.vault): Promise<RunRef> {
    const stamp = new Date(this.nowMs).toISOString().replace(/[-:]/g, '').replace('.000', '').replace('.', '');
    const run = await openRun(vault, { itemId, stamp, slot: null, owner: `owner ${++this.owners}`, policy: null, nowMs: this.nowMs, maxRunMs: 3_600_000, isOwnerGone: () => true });
    const manifest = await this.transfer(run, fate, vault);
    this.nowMs += 1000;
    if (fate.end === 'cut off') return run;
    if (fate.end === 'abandoned') {
      await abandonRun(vault, run, toReport(new HoldfastError('CANCELLED', 'The test gave it up')), this.nowMs);
      return run;
    }
    const warnings = this.lockKeepMs === undefined ? [] : await lockForCommit(vault, manifest, this.lockKeepMs);
    await sealRun(vault, run, { ...manifest, warnings: [...warnings] });
    this.contents.set(manifest.id, new Map([...this.disksOf(itemId)].map(([name, disk]) => [name, disk.snapshot()])));
    if (fate.end !== 'sealed') await commitRun(vault, run, this.nowMs);
    return run;
  }

  private async transfer(run: RunRef, { full = false, secondPass = false }: BackupFate, vault: VaultAccess): Promise<Manifest> {
    const parent = await latestCommitted(vault, run.itemId);
    const other = [...this.items.keys()].find((item) => item !== run.itemId);
    const champion = other === undefined ? undefined : (await latestCommitted(vault, other))?.manifest;
    const disks: ManifestDisk[] = [];
    for (const [index, [name, disk]] of [...this.disksOf(run.itemId)].entries()) {
      const before = full ? undefined : parent?.manifest.disks.find((one) => one.name === name);
      const options = {
        parent: before ? diskTree(before) : null, champions: before || full ? [] : (champion?.disks ?? []).map(diskTree),
        ...(parent && before ? { from: { sequence: parent.manifest.sequence, lineage: before.tree.lineage } } : { from: undefined }),
      };
      const place = (pass: number): string => referencesFolder(run, index, pass);
      let made = await backUp(vault, disk, { ...options, folder: place(0), lineage: `${run.sequence}.${index}` });
      if (secondPass) made = await backUp(vault, disk, { ...options, folder: place(1), lineage: `${run.sequence}.${index}` });
      disks.push({ name, lun: name, sizeBytes: disk.sizeBytes, logicalSectorBytes: 512, root: made.root && refToJson(made.root), tree: made.history, source: {}, mode: made.mode, stats: made.stats });
    }
    const at = new Date(this.nowMs).toISOString();
    return {
      format: 'holdfast-recovery-point', version: 1, id: recoveryPointId(run.itemId, run.stamp), itemId: run.itemId, stamp: run.stamp, sequence: run.sequence, slot: null, startedAt: at, createdAt: at,
      policy: null, consistency: 'crash', warnings: [], source: { kind: 'image', name: run.itemId, resourceId: null, model: null }, disks,
      parent: parent ? { id: parent.manifest.id, sequence: parent.manifest.sequence, digest: parent.digest } : null, champions: champion ? [champion.id] : [], stats: emptyStats(),
    };
  }

  async delete(id: string): Promise<void> {
    await markDeleted(this.vault, id, { by: 'test', serverNowMs: this.nowMs }, { reason: 'asked', policy: null });
  }

  async undelete(id: string): Promise<void> {
    await markUndeleted(this.vault, id, { by: 'test', serverNowMs: this.nowMs });
  }

  collect(options: Partial<CollectOptions> = {}, vault = this.vault): Promise<CollectReport> {
    return collect(vault, { localNowMs: () => this.nowMs, by: 'test', ...options });
  }

  /** I1: every live or binned recovery point restores to what was backed up. Purged ones are gone. */
  async assertWhole(what = ''): Promise<void> {
    const { points, damaged } = await listRecoveryPoints(this.vault, undefined, { deleted: true });
    assert.deepEqual(damaged, []);
    for (const { manifest } of points) {
      for (const disk of manifest.disks) await assertRestores(this.vault, diskTree(disk), this.contents.get(manifest.id)?.get(disk.name) as SparseDisk, `${what} ${manifest.id} ${disk.name}`);
    }
    const shown = new Set(points.map(({ manifest }) => manifest.id));
    const marks = await readMarks(this.vault);
    for (const [id, { state }] of marks.marked) assert.equal(shown.has(id), state !== 'purged', `${id} is ${state}`);
  }

  /** Every pack that is needed is there, and (unless told otherwise) no other. */
  async assertExact(what = '', exact = true): Promise<void> {
    const needed = [...await walkAll(this.vault)].sort();
    const there = await namesOf(this.store, 'packs/');
    if (exact) assert.deepEqual(there.sort(), needed, what);
    else assert.deepEqual(needed.filter((name) => !there.includes(name)), [], what);
  }
}
