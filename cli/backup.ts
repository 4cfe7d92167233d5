import { randomInt } from 'node:crypto';
import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';
import { HoldfastError, messageOf, toReport } from '../errors/holdfast-error';
import { isDamage } from '../vault/proof/damage';
import { formatStamp } from '../policy/slot';
import { auditUnchanged } from '../vault/proof/audit';
import { backupDisk, type BackupDiskOutcome } from '../vault/transfer/backup-disk';
import type { DiskRange } from '../vault/transfer/block-source';
import { type Champion, chooseChampions } from '../vault/transfer/champions';
import { damagedPacks, notingDamage, recordDamage } from '../vault/proof/damage-ledger';
import { findParent, type FoundParent } from '../vault/proof/damaged-points';
import { healingWarnings } from '../vault/proof/healing-warnings';
import { recordItem } from '../vault/items';
import { prepareLanes, withLanes } from '../vault/transfer/lanes';
import { diskTree, type Manifest, type ManifestDisk, parseRecoveryPointId, recoveryPointId } from '../vault/format/manifest';
import { surveyParent } from '../vault/transfer/parent-survey';
import { refToJson } from '../vault/format/ref-json';
import { type ReferencesPlace, referencesPlace, treeHistory } from '../vault/points/references';
import { lockForCommit } from '../vault/points/lock-commit';
import { abandonRun, commitRun, latestCommitted, openRun, type RunRef, sealRun } from '../vault/run';
import { windowsOf } from '../vault/transfer/transfer';
import { addStats, emptyStats } from '../vault/transfer/transfer-types';
import { windowCount } from '../vault/transfer/window-blocks';
import { changedBlocks } from '../vault/transfer/window-plan';
import { type BackupOptions, closeDisks, itemName, openDisks, parentDiskOf, type PlannedDisk } from './backup-plan';
import { readChangedFile } from './changed-file';
import { interruptible, untilAborted } from './interrupt';
import { type OpenedVault, withVault } from './open-vault';
import { lockKeepMs } from './lock';
import type { Output } from './output';
import { startProgress } from './progress';
import { isOwnerGone, processOwner } from './run-owner';
import { showBytes, showRate, showSeconds } from './sizes';

/** A run without an owner that can be asked is waited for this long; --take-over does not wait. */
const MAX_RUN_MS = 24 * 60 * 60 * 1000;
const MAX_THREADS = 4;
/** About 2 MiB in all: enough to notice a list that belongs to another disk or another recovery point, and hardly any time. */
const AUDIT = { windows: 4, piecesPerWindow: 8 };

/** What one backup works with. */
interface Job {
  readonly opened: OpenedVault;
  readonly options: BackupOptions;
  readonly out: Output;
  readonly itemId: string;
  readonly disks: readonly PlannedDisk[];
  readonly changed: readonly DiskRange[] | null;
  readonly signal: AbortSignal;
  /** Looks at the whole tree of the recovery point before: it is known that some of it is damaged. */
  readonly thorough: boolean;
}

/** Backs images up as the disks of one new recovery point of one item. */
export async function runBackup(images: readonly string[], options: BackupOptions, out: Output): Promise<number> {
  const itemId = itemName(options, images[0] ?? '');
  if (options.changed !== undefined && images.length !== 1) throw new HoldfastError('USAGE', `--changed says what changed on one disk, and ${images.length} were given`);
  if (options.changed !== undefined && options.full === true) throw new HoldfastError('USAGE', '--changed and --full do not go together');
  const disks = await openDisks(images);
  // The threads load their code while the vault is opened. One window is done without any.
  if (disks.some(({ source }) => windowCount(source.sizeBytes) > 1)) prepareLanes(options.threads);
  try {
    const changed = options.changed === undefined ? null : await readChangedFile(options.changed, disks[0]?.source.sizeBytes ?? 0);
    const startedMs = Date.now();
    const manifest = await interruptible((signal) => withVault(options, options.dryRun ? 'dry-run' : 'write', (opened) => backUp({ opened, options, out, itemId, disks, changed, signal, thorough: false })));
    report(manifest, (Date.now() - startedMs) / 1000, options, out);
    return 0;
  } finally {
    await closeDisks(disks);
  }
}

/**
 * A parent that cannot be read is no reason to have no backup. Most damage is healed on the way; where that is met too late, all is read and compared, in a run of
 * its own, and where even that fails, everything is stored anew.
 */
async function backUp(job: Job): Promise<Manifest> {
  const again: readonly [string, Job][] = [
    ['all is read and compared', { ...job, changed: null, thorough: true }],
    ['everything is read and stored anew', { ...job, options: { ...job.options, full: true }, changed: null }],
  ];
  for (let [attempt, next] = [job, 0]; ; next++) {
    try {
      return await runOnce(attempt);
    } catch (error) {
      const [what, more] = again[next] ?? [];
      if (!isDamage(error) || attempt.options.full === true || !more) throw error;
      job.out.warn(`the recovery point before this one is damaged (${error.message}); ${what}. Run \`holdfast check\`.`);
      attempt = more;
    }
  }
}

async function runOnce(job: Job): Promise<Manifest> {
  const { opened: { vault }, itemId, options } = job;
  const startedMs = Date.now();
  const stamp = formatStamp(startedMs);
  // Before the run begins: a setting that is wrong must not be found out at the commit.
  const keepMs = lockKeepMs(undefined);
  if (options.dryRun) {
    return describe(job, { itemId, sequence: 1, stamp }, startedMs, await parentOf(job, startedMs));
  }
  const run = await openRun(vault, {
    itemId, stamp, slot: null, owner: processOwner(), policy: null, nowMs: startedMs, maxRunMs: MAX_RUN_MS,
    isOwnerGone: options.takeOver ? () => true : isOwnerGone,
  });
  try {
    await recordItem(vault, { itemId, kind: 'image', name: itemId, resourceId: null }, startedMs);
    const manifest = await describe(job, run, startedMs, await parentOf(job, startedMs));
    const warnings = keepMs === undefined ? [] : await lockForCommit(vault, manifest, keepMs);
    await sealRun(vault, run, { ...manifest, warnings: [...manifest.warnings, ...warnings] });
    return await commitRun(vault, run, Date.now());
  } catch (error) {
    const end = await abandonRun(vault, run, toReport(error), Date.now()).catch((second: unknown) => {
      job.out.warn(`the end of the run could not be recorded (${messageOf(second)}); the next backup does that`);
      return undefined;
    });
    // It was sealed before it failed, and could be finished after all.
    const made = end === 'committed' ? await latestCommitted(vault, itemId) : undefined;
    if (made?.manifest.sequence === run.sequence) return made.manifest;
    throw error;
  }
}

async function parentOf({ opened: { vault }, itemId, out }: Job, nowMs: number): Promise<FoundParent> {
  const found = await findParent(vault, itemId, { by: 'backup', nowMs });
  for (const warning of found.warnings) out.warn(warning);
  return found;
}

/** Transfers every disk and says what the recovery point is; nothing is visible yet. */
async function describe(given: Job, run: RunRef, startedMs: number, { point: parent, passedOver, warnings }: FoundParent): Promise<Manifest> {
  const { disks, itemId, options, signal, out, opened: { vault } } = given;
  // The list says what changed since the newest backup, and that is not the one that this goes on from.
  const mayMiss = given.changed !== null && passedOver[0];
  if (mayMiss) out.warn(`--changed is not used, everything is read: it may count from ${mayMiss.id}, which ${mayMiss.damage ? 'is damaged' : 'was deleted'}`);
  const job = mayMiss ? { ...given, changed: null } : given;
  const done: ManifestDisk[] = [];
  const healing: string[] = [...warnings];
  const stats = emptyStats();
  const champions = new Set<string>();
  for (const [index, disk] of disks.entries()) {
    const outcome = await notingDamage(vault, () => Date.now(), () => transfer(job, disk, run, index, parent?.manifest));
    addStats(stats, outcome.stats);
    for (const { id } of outcome.champions) champions.add(id);
    for (const warning of healingWarnings(disk.name, outcome.stats, outcome.treeWasDamaged)) {
      healing.push(warning);
      job.out.warn(warning);
    }
    done.push({
      name: disk.name, lun: disk.lun, sizeBytes: disk.source.sizeBytes, logicalSectorBytes: 512, root: outcome.root && refToJson(outcome.root), tree: treeHistory(outcome.place, outcome.records),
      source: { format: disk.source.format, path: disk.source.path, host: hostname() }, mode: outcome.mode, stats: outcome.stats,
      ...(outcome.lenders.length > 0 ? { lenders: outcome.lenders } : {}),
    });
  }
  // Only now, when all was read, is it known that what was read was one state of each image.
  for (const { source } of disks) await source.verifyUnchanged();
  if (signal.aborted) throw new HoldfastError('CANCELLED', 'It was stopped by a signal');
  const at = new Date(startedMs).toISOString();
  return {
    format: 'holdfast-recovery-point', version: 1, id: recoveryPointId(itemId, run.stamp), itemId, stamp: run.stamp, sequence: run.sequence,
    slot: null, startedAt: at, createdAt: at, policy: null, consistency: disks.length === 1 ? 'crash' : 'crash-per-disk',
    warnings: [...options.full && parent ? ['Nothing was taken over from the recovery point before this one.'] : [], ...healing],
    source: { kind: 'image', name: itemId, resourceId: null, model: null }, disks: done,
    parent: parent ? { id: parent.manifest.id, sequence: parent.manifest.sequence, digest: parent.digest } : null, champions: [...champions], stats,
  };
}

interface DiskOutcome extends BackupDiskOutcome {
  readonly place: ReferencesPlace;
  readonly champions: readonly Champion[];
  readonly lenders: string[];
  readonly treeWasDamaged: boolean;
}

async function transfer(job: Job, { name, lun, source }: PlannedDisk, run: RunRef, index: number, parent: Manifest | undefined): Promise<DiskOutcome> {
  const { opened: { vault, spec }, options, out, signal } = job;
  const before = options.full ? undefined : parentDiskOf(parent, { name, lun, source });
  const damaged = await damagedPacks(vault);
  const survey = before && await surveyParent(vault, diskTree(before), { avoid: damaged, turn: run.sequence, lenders: before.lenders ?? [], thorough: job.thorough });
  await recordDamage(vault, survey?.found ?? [], { by: 'backup', nowMs: Date.now() });
  const treeWasDamaged = survey?.usable === false;
  const parentDisk = treeWasDamaged ? undefined : before;
  const place = referencesPlace(run, index, 0, parent && parentDisk ? { sequence: parent.sequence, lineage: parentDisk.tree.lineage } : null);
  const changed = await usableChanges(job, { name, lun, source }, parentDisk);
  const windows = changed === null ? windowCount(source.sizeBytes) : touchedWindows(source.sizeBytes, changed);
  // A thread costs more time to start than a single window takes.
  const threads = options.threads ?? (windows <= 1 ? 0 : Math.min(availableParallelism(), MAX_THREADS, windows));
  // A disk that is new here may share most of its content with others: their chunks need not be stored again. --full takes nothing over at all.
  const chosen = parentDisk || options.full ? [] : await chooseChampions(vault, source, job.itemId);
  // What of a damaged tree can still be read serves as a champion: its sound chunks need not be stored again.
  const champions = treeWasDamaged && parent && before?.root ? [{ id: parent.id, root: before.root, diskBytes: before.sizeBytes }, ...chosen] : chosen;
  const lenders = [...new Set([...before?.lenders ?? [], ...chosen.map(({ id }) => parseRecoveryPointId(id).itemId)])];
  const progress = startProgress(`backup of ${name}`, windows, out.quiet);
  try {
    const plan = {
      factory: join(__dirname, 'transfer-factory.js'), store: { ...spec }, source: { path: source.path }, keys: vault.keys, champions,
      avoid: survey?.avoid ?? damaged, forward: survey?.forward, threads,
    };
    const outcome = await untilAborted(signal, withLanes(plan, (lanes) => backupDisk(vault, lanes, {
      sizeBytes: source.sizeBytes, parent: parentDisk ? diskTree(parentDisk) : null, changed, survey, references: place, signal,
      onWindow: ({ readBytes }) => progress.advance(1, readBytes),
    })));
    return { ...outcome, place, champions, lenders, treeWasDamaged };
  } finally {
    progress.end();
  }
}

/**
 * Known changes count from the parent, so without one, or with one of another size, everything must be read; and likewise
 * when a sample shows that the list is not all that changed. That is said, and never taken for "no changes".
 */
async function usableChanges(job: Job, { name, source }: PlannedDisk, parentDisk: ManifestDisk | undefined): Promise<readonly DiskRange[] | null> {
  const { changed, opened: { vault }, out } = job;
  if (changed === null) return null;
  const refuse = (why: string): null => {
    out.warn(`the disk ${name} ${why}: --changed is not used, everything is read`);
    return null;
  };
  if (!parentDisk) return refuse('has no recovery point to have changed since');
  if (parentDisk.sizeBytes !== source.sizeBytes) return refuse(`had ${parentDisk.sizeBytes} bytes before and has ${source.sizeBytes} now`);
  const audit = await auditUnchanged(vault, source, {
    tree: diskTree(parentDisk), changedIn: (window, blocks) => changedBlocks(window, blocks, changed), random: (below) => randomInt(below), ...AUDIT,
  });
  return audit.firstDifference === null ? changed : refuse(`differs at ${audit.firstDifference} from its recovery point, which --changed does not say`);
}

function touchedWindows(sizeBytes: number, changed: readonly DiskRange[]): number {
  const windows = new Set<number>();
  for (const range of changed) {
    if (range.length === 0) continue;
    const { first, last } = windowsOf(sizeBytes, range);
    for (let window = first; window <= last; window++) windows.add(window);
  }
  return windows.size;
}

function report(manifest: Manifest, seconds: number, options: BackupOptions, out: Output): void {
  const { stats, disks, id, itemId, createdAt, consistency, parent, warnings } = manifest;
  const dryRun = options.dryRun === true;
  const value = {
    dryRun, recoveryPoint: dryRun ? null : id, itemId, createdAt, consistency, parent: parent?.id ?? null,
    disks: disks.map(({ name, lun, sizeBytes, mode, stats: own }) => ({ name, lun, sizeBytes, mode, stats: own })), stats, seconds, warnings,
  };
  out.result(value, () => [
    dryRun ? `A backup of ${itemId} would do this; nothing was stored.` : `Recovery point ${id}`,
    ...disks.map(({ name, sizeBytes, mode }) => `  disk ${name}: ${showBytes(sizeBytes)}, ${MODES[mode]}`),
    `  read ${showBytes(stats.readBytes)}, changed ${showBytes(stats.changedBytes)}, ${dryRun ? 'would store' : 'stored'} ${showBytes(stats.storedBytes)}, reused ${showBytes(stats.reusedBytes)}`,
    `  ${showSeconds(seconds)}, ${showRate(stats.readBytes, seconds)}`,
  ]);
}

const MODES: Readonly<Record<ManifestDisk['mode'], string>> = {
  full: 'read whole', compared: 'read whole and compared with the recovery point before', incremental: 'only the known changes read',
};

