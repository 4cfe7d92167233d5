import type { OrchestrationContext, Task } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { AbandonRunResult } from '../activities/commit-run';
import type { CommitRunResult, OpenRunResult, PlanBackupResult, PlannedDisk, ReleaseResult, RunInput, SnapshotStatusResult } from '../activities/types';
import { type ErrorReport, HoldfastError } from '../errors/holdfast-error';
import type { BackupDiskInput, BackupDiskResult } from './backup-disk';
import { DISK_MARGIN_MS } from './limits';
import { ACTIVITIES, diskInstanceId, ORCHESTRATIONS } from './names';
import { PhaseClock, reportJob } from './report';
import { runScript } from './scripts';
import { batches, firstFailure, persist, step, type Steps, wait } from './steps';

const FIRST_POLL_MS = 2_000;
/** Each pause is half as long again as the one before: half a day of looking takes some forty looks, and the history stays short. */
const POLL_GROWTH = 1.5;
const MAX_POLL_MS = 30 * 60_000;
const MAX_WARNINGS = 20;
const MAX_WARNING_CHARS = 300;
const MAX_STATUS_WARNING_CHARS = 2_000;
const MAX_STATUS_NAME_CHARS = 32;
/** While a script holds an application still, the look is quick, and the snapshot has this long to be taken. */
const HELD_POLL_MS = 5_000;
const MAX_HELD_MS = 5 * 60_000;
/** A snapshot that is not ready after this is given up: copies in the background may take hours on large disks. */
const SNAPSHOT_LIMIT_MS = 12 * 3_600_000;
/** A run that is not closed holds up the next one, so an outage of the vault is outlived. */
const CLOSING = { firstMs: 5_000, mostMs: 2 * 3_600_000, limitMs: 24 * 3_600_000 };
/** What cannot be deleted within this is left to the item's next run, which looks for it. */
const RELEASING = { firstMs: 2_000, mostMs: 30 * 60_000, limitMs: 2 * 3_600_000 };

export interface BackupVmInput {
  readonly itemId: string;
  readonly vmId: string;
  readonly stamp: string;
  readonly slot: string | null;
  readonly policy: string | null;
}

export type BackupPhase = 'opening' | 'planning' | 'snapshot' | 'transfer' | 'commit' | 'clean-up' | 'done';

/** What a backup says of itself while it runs. */
export interface BackupVmStatus {
  readonly phase: BackupPhase;
  readonly sequence: number | null;
  readonly vmName: string | null;
  /** In the order of the plan: the instance of disk n is diskInstanceId(this instance, n, 0). */
  readonly disks: readonly { readonly name: string; readonly sizeBytes: number }[];
  readonly snapshotPercent: number | null;
  readonly warnings: readonly string[];
}

export interface BackupVmResult {
  readonly outcome: 'committed' | 'failed' | 'skipped';
  readonly recoveryPoint: string | null;
  readonly committed: CommitRunResult | null;
  readonly error: ErrorReport | null;
  readonly warnings: readonly string[];
}

/** Backs up one VM, and reports what that came to. */
export function* backupVm(context: OrchestrationContext): Steps<BackupVmResult> {
  const { itemId, policy } = context.df.getInput() as BackupVmInput;
  const clock = new PhaseClock(context);
  const status = new Status(context, clock);
  const result = yield* backUpVm(context, status);
  const { committed, recoveryPoint, error } = result;
  yield* reportJob(context, clock, {
    kind: 'backup', outcome: result.outcome === 'committed' ? 'succeeded' : result.outcome, itemId, policy, error,
    figures: { ...committed?.stats, warnings: result.warnings.length }, details: { ...(recoveryPoint === null ? {} : { recoveryPoint }), ...(committed ? { consistency: committed.consistency } : {}) },
  });
  // Only now: who sees this phase takes the job for ended, though its result is not there yet.
  if (status.isOpen) status.set({ phase: 'done' });
  return result;
}

/**
 * 1. open the run: the item's next sequence number, or "another run is under way"
 * 2. plan: freeze the set of disks, choose the driver, say what cannot be protected
 * 3. snapshot: started, then polled in durable time; between the policy's scripts where it has some
 * 4. back up the disks, a few at once; what the audit refuses is compared whole
 * 5. commit: the recovery point exists
 * 6. whatever happened: end access, delete snapshots, close the run with its cause
 */
function* backUpVm(context: OrchestrationContext, status: Status): Steps<BackupVmResult> {
  const input = context.df.getInput() as BackupVmInput;

  // 1
  status.set({ phase: 'opening' });
  const opened = yield* step<OpenRunResult>(context, ACTIVITIES.openRun, { ...input, owner: context.df.instanceId });
  if (!opened.ok) {
    // A scheduled run that finds its slot done, or the item busy with another run, has nothing to mend.
    const skipped = opened.error.code === 'SLOT_TAKEN' || (opened.error.code === 'RUN_IN_PROGRESS' && input.slot !== null);
    return nothingDone(skipped ? 'skipped' : 'failed', opened.error);
  }
  if (opened.value.ended) {
    const { error } = opened.value.ended;
    return nothingDone(error ? 'failed' : 'skipped', error ?? new HoldfastError('SLOT_TAKEN', `The recovery point ${input.itemId}.${input.stamp} exists already`).toJSON());
  }
  const run: RunInput = { itemId: input.itemId, sequence: opened.value.sequence, stamp: input.stamp };
  status.set({ sequence: run.sequence });

  // 2 to 5
  const backedUp = yield* backUp(context, input, run, opened.value.deadlineMs, status);

  // 6
  status.set({ phase: 'clean-up' });
  const { committed, error } = backedUp.ok ? { committed: backedUp.value, error: null } : yield* close(context, run, backedUp.error, status);
  yield* release(context, run, status);
  return { outcome: committed ? 'committed' : 'failed', recoveryPoint: committed?.recoveryPoint ?? null, committed, error, warnings: status.warnings };
}

const nothingDone = (outcome: 'failed' | 'skipped', error: ErrorReport): BackupVmResult => ({ outcome, recoveryPoint: null, committed: null, error, warnings: [] });

/** Closes a run that failed. One that is sealed is committed instead, and then it is a success: its recovery point exists. */
function* close(context: OrchestrationContext, run: RunInput, reason: ErrorReport, status: Status): Steps<AbandonRunResult> {
  const closed = yield* persist<AbandonRunResult>(context, ACTIVITIES.abandonRun, { ...run, reason }, CLOSING);
  if (closed.ok) return closed.value;
  status.warn([`The run could not be closed: ${closed.error.message}`]);
  return { committed: null, error: reason };
}

function* backUp(context: OrchestrationContext, input: BackupVmInput, run: RunInput, deadlineMs: number, status: Status): Steps<Outcome<CommitRunResult>> {
  // 2
  status.set({ phase: 'planning' });
  const plan = yield* step<PlanBackupResult>(context, ACTIVITIES.planBackup, { ...run, vmId: input.vmId, policy: input.policy, slot: input.slot });
  if (!plan.ok) return plan;
  const { disks, vmName, warnings } = plan.value;
  status.warn(warnings);
  status.set({ phase: 'snapshot', vmName, disks: disks.map(({ name, sizeBytes }) => ({ name: name.slice(0, MAX_STATUS_NAME_CHARS), sizeBytes })) });

  // 3
  const snapshot = yield* (plan.value.scripts ? snapshotBetweenScripts(context, run, status) : takeSnapshot(context, run, status));
  if (!snapshot.ok) return snapshot;
  status.warn(snapshot.value.warnings);

  // 4
  status.set({ phase: 'transfer' });
  const first = yield* backUpDisks(context, run, plan.value, disks, 0, deadlineMs);
  const failure = firstFailure(first.filter((outcome) => outcome.ok || !TRIED_AGAIN.includes(outcome.error.code)));
  if (failure) return { ok: false, error: failure };
  const refused = disks.map((disk, index) => ({ disk, why: whyCompare(first[index]) })).filter(({ why }) => why !== null);
  if (refused.length > 0) {
    status.warn(refused.map(({ disk, why }) => `${why?.replace('DISK', disk.name)}; the whole disk was read and compared`));
    const second = yield* backUpDisks(context, run, plan.value, refused.map(({ disk }) => disk), 1, deadlineMs);
    const again = firstFailure(second);
    if (again) return { ok: false, error: again };
  }

  // 5
  status.set({ phase: 'commit' });
  const committed = yield* step<CommitRunResult>(context, ACTIVITIES.commitRun, { ...run, warnings: status.warnings });
  // The recovery point may say more than its steps did: what of the one before was damaged, and healed.
  if (committed.ok) status.warn(committed.value.warnings.filter((text) => !status.warnings.includes(text)));
  return committed;
}

/** Damage of the recovery point before, which the first pass ran into and entered in the damage ledger (fault 36). */
const DAMAGE: readonly string[] = ['PACK_DAMAGED', 'PACK_MISSING', 'NODE_DAMAGED'];
/** Also a diff that worked when the disk was planned and does so no more: someone deleted the base meanwhile (fault 24). */
const TRIED_AGAIN: readonly string[] = ['CLOUD_DIFF_UNSUPPORTED', ...DAMAGE];

/** Why a disk is gone over a second time, or null when its first pass stands. A disk that was not begun, because another one failed, is among them. */
function whyCompare(outcome: Outcome<BackupDiskResult> | undefined): string | null {
  if (!outcome) return 'DISK was not begun, because another disk failed';
  if (!outcome.ok && DAMAGE.includes(outcome.error.code)) return `The recovery point before is damaged where DISK needs it (${outcome.error.message.slice(0, 120)})`;
  if (!outcome.ok) return `The diff of DISK could not be had (${outcome.error.message.slice(0, 120)})`;
  return outcome.value.audit.mismatches > 0 ? 'Ranges of DISK were left out of what Azure said to read' : null;
}

function* takeSnapshot(context: OrchestrationContext, run: RunInput, status: Status): Steps<Outcome<SnapshotStatusResult>> {
  const started = yield* step<null>(context, ACTIVITIES.startSnapshot, run);
  return started.ok ? yield* awaitSnapshot(context, run, status, () => false, MAX_POLL_MS) : started;
}

/** Looks until the snapshot is ready, or `isEnough` of what the look says. */
function* awaitSnapshot(context: OrchestrationContext, run: RunInput, status: Status, isEnough: (answer: SnapshotStatusResult) => boolean, mostPollMs: number): Steps<Outcome<SnapshotStatusResult>> {
  const limit = context.df.currentUtcDateTime.getTime() + SNAPSHOT_LIMIT_MS;
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(pollMs * POLL_GROWTH, mostPollMs)) {
    const answer = yield* step<SnapshotStatusResult>(context, ACTIVITIES.snapshotStatus, { ...run, last: context.df.currentUtcDateTime.getTime() > limit });
    if (!answer.ok || answer.value.state === 'ready' || isEnough(answer.value)) return answer;
    status.set({ snapshotPercent: answer.value.percent });
    yield* wait(context, pollMs);
  }
}

/** The pre-script, the snapshot until its instant is over, the post-script whatever happened, and then the rest of the snapshot. */
function* snapshotBetweenScripts(context: OrchestrationContext, run: RunInput, status: Status): Steps<Outcome<SnapshotStatusResult>> {
  const pre = yield* runScript(context, ACTIVITIES.preScript, run);
  if (pre.ok) status.warn(pre.value.warnings);
  const held = pre.ok && pre.value.failure === null;
  const until = context.df.currentUtcDateTime.getTime() + MAX_HELD_MS;
  const started = held ? yield* step<null>(context, ACTIVITIES.startSnapshot, run) : null;
  const taken = started?.ok ? yield* awaitSnapshot(context, run, status, (answer) => answer.taken || context.df.currentUtcDateTime.getTime() > until, HELD_POLL_MS) : started;
  const post = yield* runScript(context, ACTIVITIES.postScript, run);
  if (post.ok) status.warn(post.value.warnings);
  if (!pre.ok) return pre;
  if (taken?.ok === false) return taken;
  if (!post.ok) return post;
  if (pre.value.isFatal && pre.value.failure) return { ok: false, error: pre.value.failure };
  return yield* takeSnapshot(context, run, status);
}

function backUpDisks(context: OrchestrationContext, run: RunInput, plan: PlanBackupResult, disks: readonly PlannedDisk[], pass: number, deadlineMs: number): Steps<Outcome<BackupDiskResult>[]> {
  const starts = disks.map(({ disk }) => (): Task => {
    const input: BackupDiskInput = { ...run, disk, pass, parallel: plan.parallel, deadlineMs };
    return context.df.callSubOrchestrator(ORCHESTRATIONS.backupDisk, input, diskInstanceId(context.df.instanceId, disk, pass));
  });
  const limitMs = Math.max(0, deadlineMs - context.df.currentUtcDateTime.getTime()) + DISK_MARGIN_MS;
  return batches(context, starts, plan.parallel.disks, undefined, limitMs);
}

function* release(context: OrchestrationContext, run: RunInput, status: Status): Steps<void> {
  const released = yield* persist<ReleaseResult>(context, ACTIVITIES.releaseSnapshots, run, RELEASING, ({ pending }) => pending === 0);
  if (!released.ok) status.warn([`Snapshots may be left behind; the next run tries again: ${released.error.message}`]);
  else if (released.value.pending > 0) status.warn(['The deletion of snapshots takes long; the next run looks after it']);
}

/**
 * The custom status, kept small: one of more than 16 KB of UTF-16 text would be refused (Durable Functions documentation), and a machine has up
 * to 65 disks. All warnings go into the result; the status shows as many as fit.
 */
class Status {
  private current: BackupVmStatus = { phase: 'opening', sequence: null, vmName: null, disks: [], snapshotPercent: null, warnings: [] };
  private all: readonly string[] = [];
  constructor(private readonly context: OrchestrationContext, private readonly clock: PhaseClock) {}
  get warnings(): readonly string[] { return this.all; }
  /** Whether the run was opened: one that was not has no record in the vault. */
  get isOpen(): boolean { return this.current.sequence !== null; }
  set(change: Partial<BackupVmStatus>): void {
    if (change.phase) this.clock.enter(change.phase);
    this.current = { ...this.current, ...change };
    this.context.df.setCustomStatus(this.current);
  }
  warn(more: readonly string[]): void {
    if (more.length === 0) return;
    this.all = [...this.all, ...more].slice(0, MAX_WARNINGS).map((text) => text.slice(0, MAX_WARNING_CHARS));
    let left = MAX_STATUS_WARNING_CHARS;
    this.set({ warnings: this.all.filter((text) => (left -= text.length) >= 0) });
  }
}
