import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { type ErrorReport, HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { isDamage } from './damage';
import { type DamagedManifest, type ListedPoint, listRecoveryPoints, requireItem } from './catalog';
import { findDocument } from './documents';
import { type Marks, readMarks } from './marks';
import { diskTree, loadManifest, type LoadedManifest, type Manifest, type ManifestDisk, manifestSchema, parseRecoveryPointId } from './manifest';
import { refToJson } from './ref-json';
import { runLanes } from './transfer';
import type { Lane, LaneReadJob, LaneReadResult } from './transfer-lane';
import { leafRefs, loadRegion, loadRoot, type VaultAccess } from './tree';
import { windowBlocks } from './window-blocks';

export type CheckScope =
  | { readonly kind: 'all' }
  | { readonly kind: 'item'; readonly itemId: string }
  | { readonly kind: 'recovery-point'; readonly id: string };

/** One thing that is wrong, however many windows of the disk it touches. */
export interface Damage {
  readonly code: ErrorReport['code'];
  readonly message: string;
  /** The pack that is at fault, as 32 hex digits, where one is. */
  readonly pack: string | null;
  /** Windows of 64 MiB of the disk that need what is damaged; 0 when it is a node above them, and all below it is lost. */
  readonly windows: number;
}

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
  /** What is wrong with the manifest or its place in the item's history. */
  readonly problems: readonly ErrorReport[];
}

export interface CheckReport {
  readonly ok: boolean;
  readonly recoveryPoints: readonly CheckedRecoveryPoint[];
  /** Recovery points that the vault's runs speak of and that are not there. */
  readonly lost: readonly ErrorReport[];
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
  const marks = await readMarks(vault, { itemId });
  const wanted = scope.kind === 'recovery-point' ? points.filter(({ manifest }) => manifest.id === scope.id) : points;
  const reader = new WindowProver(vault, lanes, options);
  const checked: CheckedRecoveryPoint[] = damaged.filter(({ id }) => scope.kind !== 'recovery-point' || id === scope.id).map(unreadable);
  for (const [index, point] of wanted.entries()) {
    const { manifest } = point;
    options.onRecoveryPoint?.(index, wanted.length, manifest.id);
    const problems = [...await checkRun(vault, point), ...checkParent(point, points, damaged, marks), ...(point.marks.damaged ? [point.marks.damaged] : [])];
    const disks: CheckedDisk[] = [];
    for (const disk of manifest.disks) disks.push({ name: disk.name, lun: disk.lun, damage: await reader.prove(disk) });
    const ok = problems.length === 0 && disks.every(({ damage }) => damage.length === 0);
    checked.push({ id: manifest.id, itemId: manifest.itemId, ok, disks, problems });
  }
  checked.sort((a, b) => (a.id < b.id ? -1 : 1));
  const present = new Set([...points.map(({ manifest }) => manifest.id), ...damaged.map(({ id }) => id)]);
  const lost = [
    ...runs.damaged,
    ...[...marks.marked].flatMap(([id, state]) => (state.damaged && !present.has(id) ? [state.damaged] : [])),
    ...runs.committed.filter(({ recoveryPoint }) => !present.has(recoveryPoint) && marks.of(recoveryPoint).state !== 'purged').map(({ recoveryPoint, itemId: item, sequence }) =>
      broken(`Run ${sequence} of ${item} made the recovery point ${recoveryPoint}, which is no longer in the vault`, recoveryPoint)),
  ].filter(() => scope.kind !== 'recovery-point');
  return { ok: lost.length === 0 && checked.every(({ ok }) => ok), recoveryPoints: checked, lost, ...reader.totals };
}

async function requireRecoveryPoint(vault: VaultAccess, id: string): Promise<void> {
  try {
    await loadManifest(vault, id);
  } catch (error) {
    // A damaged one is there: the check will say what is wrong with it.
    if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
  }
}

const unreadable = ({ id, itemId, error }: DamagedManifest): CheckedRecoveryPoint => ({ id, itemId, ok: false, disks: [], problems: [error] });

const broken = (message: string, id: string): ErrorReport => new HoldfastError('HISTORY_BROKEN', message, { data: { id } }).toJSON();

/** The run that made a recovery point sealed this very manifest. */
async function checkRun(vault: VaultAccess, { manifest }: LoadedManifest): Promise<ErrorReport[]> {
  try {
    const sealed = await readSealed(vault, manifest.itemId, manifest.sequence);
    if (isDeepStrictEqual(sealed, manifest)) return [];
    const why = sealed === undefined ? `has no sealed run ${manifest.sequence}` : `is not what its run ${manifest.sequence} sealed`;
    return [broken(`The recovery point ${manifest.id} ${why}`, manifest.id)];
  } catch (error) {
    if (isHoldfastError(error, 'DOCUMENT_DAMAGED')) return [error.toJSON()];
    throw error;
  }
}

/**
 * A recovery point names its item's recovery point before it and the digest of that one's manifest. It may pass over those that were in the bin when it was made;
 * of a parent that is gone for good the tombstone still has the digest.
 */
function checkParent({ manifest }: LoadedManifest, points: readonly ListedPoint[], damaged: readonly DamagedManifest[], marks: Marks): ErrorReport[] {
  const { id, parent, itemId, sequence } = manifest;
  const own = points.filter(({ manifest: other }) => other.itemId === itemId);
  const before = own.filter((other) => other.manifest.sequence < sequence && (!other.marks.wasDeleted || other.manifest.id === parent?.id)).at(-1);
  const twin = own.find(({ manifest: other }) => other.sequence === sequence && other.id !== id);
  const problems = twin ? [broken(`${id} and ${twin.manifest.id} have the same sequence number ${sequence}`, id)] : [];
  // Its parent's own entry already says that it does not open.
  if (parent && damaged.some((one) => one.id === parent.id)) return problems;
  const named = parent && own.find(({ manifest: other }) => other.id === parent.id);
  const tombstone = parent ? marks.of(parent.id).tombstone : null;
  if (parent && !named && !tombstone) return [...problems, broken(`The parent of ${id}, ${parent.id}, is not in the vault`, id)];
  const namedSequence = named?.manifest.sequence ?? tombstone?.sequence ?? 0;
  if ((before?.manifest.sequence ?? 0) > namedSequence || namedSequence >= sequence) {
    return [...problems, broken(`The recovery point before ${id} is ${before?.manifest.id ?? 'none'}, and it names ${parent?.id ?? 'none'}`, id)];
  }
  const digest = named?.digest ?? tombstone?.digest;
  if (parent && digest && digest !== parent.digest) return [...problems, broken(`The parent of ${id}, ${parent.id}, was replaced: its digest is not the one that ${id} names`, id)];
  return problems;
}

/** A run that says it made a recovery point. */
interface CommittedRun {
  readonly itemId: string;
  readonly sequence: number;
  readonly recoveryPoint: string;
}

// The same documents that run.ts writes (format §9), read as a reader of history does: what it does not need may be anything.
const endSchema = z.looseObject({ version: z.literal(1), outcome: z.enum(['committed', 'abandoned']), recoveryPoint: z.string().nullable() });
const verdictSchema = z.discriminatedUnion('verdict', [
  z.object({ version: z.literal(1), verdict: z.literal('sealed'), manifest: manifestSchema }),
  z.object({ version: z.literal(1), verdict: z.literal('abandoned') }),
]);

const END = /^runs\/([^/]+)\/(\d{10})\/end$/;

/** The runs of the vault or of one item that ended as committed, and the ends that do not open. */
async function readRuns(vault: VaultAccess, itemId?: string): Promise<{ committed: CommittedRun[]; damaged: ErrorReport[] }> {
  const committed: CommittedRun[] = [];
  const damaged: ErrorReport[] = [];
  for await (const { name } of vault.store.list(itemId === undefined ? 'runs/' : `runs/${itemId}/`)) {
    const [, item, number] = END.exec(name) ?? [];
    if (item === undefined) continue;
    try {
      const end = await findDocument(vault, name, endSchema);
      if (end?.outcome === 'committed' && end.recoveryPoint !== null) committed.push({ itemId: item, sequence: Number(number), recoveryPoint: end.recoveryPoint });
    } catch (error) {
      if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
      damaged.push(error.toJSON());
    }
  }
  return { committed, damaged };
}

/** The manifest that a run sealed, or undefined when the run is not there or was given up. */
async function readSealed(vault: VaultAccess, itemId: string, sequence: number): Promise<Manifest | undefined> {
  const verdict = await findDocument(vault, `runs/${itemId}/${String(sequence).padStart(10, '0')}/verdict`, verdictSchema);
  return verdict?.verdict === 'sealed' ? verdict.manifest : undefined;
}

/** Proves the windows of disks, each stored window once, whatever shares it. */
class WindowProver {
  readonly totals = { chunks: 0, plainBytes: 0, storedBytes: 0 };
  /** Where a window that was looked at lies, to what is wrong with it; undefined when nothing is. */
  private readonly seen = new Map<string, readonly ErrorReport[] | undefined>();

  constructor(private readonly vault: VaultAccess, private readonly lanes: readonly Lane[], private readonly options: CheckOptions) {}

  async prove(disk: ManifestDisk): Promise<Damage[]> {
    const list = new DamageList();
    const jobs = new Map<number, LaneReadJob>();
    for (const job of await this.plan(disk, list)) {
      const place = placeOf(job);
      if (this.seen.has(place)) list.addWindow(this.seen.get(place) ?? []);
      else jobs.set(job.window, job);
    }
    await runLanes(this.lanes, jobs.values(), (lane, job) => lane.read(job), {
      signal: this.options.signal,
      onResult: (result) => {
        const job = jobs.get(result.window) as LaneReadJob;
        this.seen.set(placeOf(job), result.damage.length > 0 ? result.damage : undefined);
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

/** Adds up damage, so that a missing pack is one line and not one for each chunk in it. */
class DamageList {
  private readonly found = new Map<string, { code: ErrorReport['code']; message: string; pack: string | null; windows: number }>();

  get damage(): Damage[] {
    return [...this.found.values()];
  }

  addWindow(reports: readonly ErrorReport[]): void {
    const keys = new Set<string>();
    for (const report of reports) keys.add(this.add(report));
    for (const key of keys) {
      const row = this.found.get(key);
      if (row) row.windows++;
    }
  }

  /** Takes damage of the tree up and goes on; throws everything else. */
  async collect(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.add(error.toJSON());
    }
  }

  private add({ code, message, data }: ErrorReport): string {
    const pack = typeof data.pack === 'string' ? data.pack : null;
    const key = `${code} ${pack ?? message}`;
    if (!this.found.has(key)) this.found.set(key, { code, message, pack, windows: 0 });
    return key;
  }
}
