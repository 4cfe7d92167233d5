import { type ErrorReport, isHoldfastError } from '../../errors/holdfast-error';
import { type DamagedManifest, listRecoveryPoints, requireItem } from '../catalog';
import { broken, historyProblems, readHistory, readRuns } from './check-history';
import { type Damage, DamageList } from './damage-list';
import { diskTree, loadManifest, type ManifestDisk, parseRecoveryPointId } from '../format/manifest';
import { type BlobRefJson, refToJson } from '../format/ref-json';
import { verifyTrail } from '../trail/verify-trail';
import { runLanes } from '../transfer/transfer';
import type { Lane, LaneReadJob, LaneReadResult } from '../transfer/transfer-lane';
import { leafRefs, loadRegion, loadRoot, type VaultAccess } from '../format/tree';
import { windowBlocks } from '../transfer/window-blocks';

export type CheckScope =
  | { readonly kind: 'all' }
  | { readonly kind: 'item'; readonly itemId: string }
  | { readonly kind: 'recovery-point'; readonly id: string };

export interface CheckedDisk {
  readonly name: string;
  readonly lun: string;
  readonly damage: readonly Damage[];
}

export interface CheckedRecoveryPoint {
  readonly id: string;
  readonly itemId: string;
  readonly ok: boolean;
  readonly disks: readonly CheckedDisk[];
  /** What was read for it and not for another one before. */
  readonly chunks: number;
  readonly plainBytes: number;
  readonly storedBytes: number;
  /** What is wrong with the manifest or its place in the item's history. */
  readonly problems: readonly ErrorReport[];
}

export interface CheckReport {
  readonly ok: boolean;
  readonly recoveryPoints: readonly CheckedRecoveryPoint[];
  /** Recovery points that the vault's runs speak of and that are not there. */
  readonly lost: readonly ErrorReport[];
  /** What is wrong with the vault's audit trail; looked at only where everything is. */
  readonly trail: readonly ErrorReport[];
  readonly chunks: number;
  /** Plain bytes that were read back and proved; what recovery points share is read and counted once. */
  readonly plainBytes: number;
  readonly storedBytes: number;
}

export interface CheckOptions {
  readonly onWindow?: (result: LaneReadResult) => void;
  /** Before each recovery point: its number from 0, how many there are, its id. */
  readonly onRecoveryPoint?: (index: number, count: number, id: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Reads everything that recovery points need and proves it: manifests, their place in the history, every node, every
 * chunk. The lanes must have been opened with `collectDamage`. Damage is collected; anything else (a store that cannot
 * be reached, say) is thrown, because then nothing was proved.
 */
export async function checkVault(vault: VaultAccess, lanes: readonly Lane[], scope: CheckScope, options: CheckOptions = {}): Promise<CheckReport> {
  const itemId = scope.kind === 'item' ? scope.itemId : scope.kind === 'recovery-point' ? parseRecoveryPointId(scope.id).itemId : undefined;
  if (scope.kind === 'item') await requireItem(vault, scope.itemId);
  if (scope.kind === 'recovery-point') await requireRecoveryPoint(vault, scope.id);
  // Runs before manifests: a run that commits in between then shows more recovery points than ends, never fewer.
  const runs = await readRuns(vault, itemId);
  // What lies in the bin may be wanted back, so it is proved like everything else.
  const { points, damaged } = await listRecoveryPoints(vault, itemId, { deleted: true });
  const history = await readHistory(vault, { points, damaged }, itemId);
  const { marks } = history;
  const wanted = scope.kind === 'recovery-point' ? points.filter(({ manifest }) => manifest.id === scope.id) : points;
  const reader = new WindowProver(vault, lanes, options);
  const checked: CheckedRecoveryPoint[] = damaged.filter(({ id }) => scope.kind !== 'recovery-point' || id === scope.id).map(unreadable);
  for (const [index, point] of wanted.entries()) {
    const { manifest } = point;
    options.onRecoveryPoint?.(index, wanted.length, manifest.id);
    const problems = await historyProblems(vault, point, history);
    const before = { ...reader.totals };
    const disks: CheckedDisk[] = [];
    for (const disk of manifest.disks) disks.push({ name: disk.name, lun: disk.lun, damage: await reader.prove(manifest.itemId, disk) });
    const ok = problems.length === 0 && disks.every(({ damage }) => damage.length === 0);
    const { chunks, plainBytes, storedBytes } = reader.totals;
    const read = { chunks: chunks - before.chunks, plainBytes: plainBytes - before.plainBytes, storedBytes: storedBytes - before.storedBytes };
    checked.push({ id: manifest.id, itemId: manifest.itemId, ok, disks, problems, ...read });
  }
  checked.sort((a, b) => (a.id < b.id ? -1 : 1));
  const present = new Set([...points.map(({ manifest }) => manifest.id), ...damaged.map(({ id }) => id)]);
  const lost = [
    ...runs.damaged,
    ...[...marks.marked].flatMap(([id, state]) => (state.damaged && !present.has(id) ? [state.damaged] : [])),
    ...runs.committed.filter(({ recoveryPoint }) => !present.has(recoveryPoint) && marks.of(recoveryPoint).state !== 'purged').map(({ recoveryPoint, itemId: item, sequence }) =>
      broken(`Run ${sequence} of ${item} made the recovery point ${recoveryPoint}, which is no longer in the vault`, recoveryPoint)),
  ].filter(() => scope.kind !== 'recovery-point');
  const trail = scope.kind === 'all' ? (await verifyTrail(vault)).problems : [];
  return { ok: lost.length === 0 && trail.length === 0 && checked.every(({ ok }) => ok), recoveryPoints: checked, lost, trail, ...reader.totals };
}

async function requireRecoveryPoint(vault: VaultAccess, id: string): Promise<void> {
  try {
    await loadManifest(vault, id);
  } catch (error) {
    // A damaged one is there: the check will say what is wrong with it.
    if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
  }
}

const unreadable = ({ id, itemId, error }: DamagedManifest): CheckedRecoveryPoint => ({ id, itemId, ok: false, disks: [], problems: [error], chunks: 0, plainBytes: 0, storedBytes: 0 });

/** Proves the windows of disks, each stored window once, whatever shares it. */
class WindowProver {
  readonly totals = { chunks: 0, plainBytes: 0, storedBytes: 0 };
  /** Where a window that was looked at lies, to what is wrong with it; undefined when nothing is. */
  private readonly seen = new Map<string, readonly ErrorReport[] | undefined>();
  /** Windows of the item's disks, to a leaf of theirs that was proved: what the next recovery point shares with it is not read again. */
  private readonly proved = new Map<string, BlobRefJson>();
  private item = '';

  constructor(private readonly vault: VaultAccess, private readonly lanes: readonly Lane[], private readonly options: CheckOptions) {}

  async prove(itemId: string, disk: ManifestDisk): Promise<Damage[]> {
    if (itemId !== this.item) this.proved.clear();
    this.item = itemId;
    const slotOf = (job: LaneReadJob): string => `${job.window}.${disk.sizeBytes}.${disk.lun}.${disk.name}`;
    const list = new DamageList();
    const jobs = new Map<number, LaneReadJob>();
    for (const job of await this.plan(disk, list)) {
      const place = placeOf(job);
      if (this.seen.has(place)) list.addWindow(this.seen.get(place) ?? []);
      else jobs.set(job.window, { ...job, provedLeaf: this.proved.get(slotOf(job)) });
    }
    await runLanes(this.lanes, jobs.values(), (lane, job) => lane.read(job), {
      signal: this.options.signal,
      onResult: (result) => {
        const job = jobs.get(result.window) as LaneReadJob;
        this.seen.set(placeOf(job), result.damage.length > 0 ? result.damage : undefined);
        if (result.damage.length === 0) this.proved.set(slotOf(job), job.leaf);
        list.addWindow(result.damage);
        this.totals.chunks += result.chunks;
        this.totals.plainBytes += result.plainBytes;
        this.totals.storedBytes += result.storedBytes;
        this.options.onWindow?.(result);
      },
    });
    return list.damage;
  }

  private async plan(disk: ManifestDisk, list: DamageList): Promise<LaneReadJob[]> {
    const { sizeBytes } = disk;
    const jobs: LaneReadJob[] = [];
    await list.collect(async () => {
      const root = await loadRoot(this.vault, diskTree(disk));
      for (const [region, ref] of root?.children ?? []) {
        await list.collect(async () => {
          const node = await loadRegion(this.vault, ref, region, sizeBytes);
          for (const [window, leaf] of leafRefs(node)) jobs.push({ window, leaf: refToJson(leaf), diskBytes: sizeBytes });
        });
      }
    });
    return jobs;
  }
}

/** A leaf is read for a window with a number of blocks: elsewhere the same bytes would be damage. */
const placeOf = ({ window, leaf, diskBytes }: LaneReadJob): string => `${leaf.pack}.${leaf.offset}.${leaf.id.slice(0, 16)}.${window}.${windowBlocks(diskBytes, window)}`;
