import { type ErrorReport, fromReport, HoldfastError, isHoldfastError, messageOf } from '../errors/holdfast-error';
import { createDocument, findDocument } from '../vault/format/documents';
import type { VaultAccess } from '../vault/format/tree';
import type { ActivityDeps } from './deps';
import { activity, isTransient } from './outcome';
import type { RunInput, ScriptResult } from './types';
import { assertRunOpen, planSchema, recall, records, releasedSchema, remember, type RunPlan, type RunSnapshot, scriptDoneSchema, scriptMomentSchema } from './work';

/**
 * A policy's scripts around the snapshot, run in the guest through Run Command: the pre-script quiets an application, the post-script lets it go.
 * Once the pre-script may have begun, the post-script is run whatever happens: by this run, by whoever cleans up after it, or by the item's next run.
 */

type Which = 'pre' | 'post';
type Deps = Pick<ActivityDeps, 'cloud' | 'nowMs'>;

const DONE: ScriptResult = { state: 'done', isFatal: false, failure: null, warnings: [] };
const RUNNING: ScriptResult = { ...DONE, state: 'running' };

/** What Azure takes to begin a script and to tell its end, beside the script's own time. */
const GRACE_MS = 5 * 60_000;
/** A request to start a script has arrived by then, or never will. */
const START_MS = 90_000;
/** Clocks of Azure and of the vault: a snapshot that was made longer before the pre-script than this was not made while it held. */
const CLOCK_MARGIN_MS = 5 * 60_000;
const MAX_LOOK_BACK = 16;

const nameOf = (vault: VaultAccess, run: RunInput, which: Which): string => `holdfast-${vault.keys.vaultId.toString('hex').slice(0, 8)}-${run.sequence}-${which}`;

/** Step 3, before the snapshot: the pre-script, begun and then looked at. What earlier runs left held is let go first. */
export const createPreScript = (deps: ActivityDeps) => activity(async (run: RunInput): Promise<ScriptResult> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, run, deps.nowMs());
  const plan = await recall(vault, records.plan(run), planSchema);
  if (!plan.scripts) return DONE;
  for (const earlier of await unreleasedBefore(vault, run)) if ((await letGo(deps, vault, earlier))?.state === 'running') return RUNNING;
  // The intent first: from here on the post-script is owed.
  await remember(vault, records.scriptBegun(run, 'pre'), scriptMomentSchema, () => Promise.resolve({ version: 1 as const, atMs: deps.nowMs() }));
  return advance(deps, vault, run, plan, 'pre');
});

/** Step 3, as soon as the snapshot is taken, or at once when it failed: the post-script, begun and then looked at. */
export const createPostScript = (deps: ActivityDeps) => activity(async (run: RunInput): Promise<ScriptResult> => {
  const vault = await deps.vault();
  return await letGo(deps, vault, run) ?? DONE;
});

/** The post-script of a run whose pre-script may have begun; undefined when it owes none. */
async function letGo(deps: Deps, vault: VaultAccess, run: RunInput): Promise<ScriptResult | undefined> {
  if (!await findDocument(vault, records.scriptBegun(run, 'pre'), scriptMomentSchema)) return undefined;
  const plan = await recall(vault, records.plan(run), planSchema);
  await remember(vault, records.scriptBegun(run, 'post'), scriptMomentSchema, () => Promise.resolve({ version: 1 as const, atMs: deps.nowMs() }));
  return advance(deps, vault, run, plan, 'post');
}

/** This run's predecessors, back to the last one after which nothing was left. */
async function unreleasedBefore(vault: VaultAccess, run: RunInput): Promise<RunInput[]> {
  const found: RunInput[] = [];
  for (let sequence = run.sequence - 1; sequence >= Math.max(1, run.sequence - MAX_LOOK_BACK); sequence--) {
    const earlier = { ...run, sequence };
    if (await findDocument(vault, records.released(earlier), releasedSchema)) break;
    found.push(earlier);
  }
  return found;
}

/**
 * For the clean-up of a run: runs the post-scripts that it and runs before it owe, and removes the commands from the machine. How much is not
 * done yet.
 */
export async function releaseScripts(deps: Deps, vault: VaultAccess, run: RunInput): Promise<number> {
  let pending = 0;
  for (const each of [run, ...await unreleasedBefore(vault, run)]) {
    const post = await letGo(deps, vault, each);
    if (!post) continue;
    if (post.state === 'running') {
      pending++;
      continue;
    }
    const { vmId } = await recall(vault, records.plan(each), planSchema);
    for (const which of ['pre', 'post'] as const) if (await deps.cloud.startDeleteScript(vmId, nameOf(vault, each, which)) !== 'absent') pending++;
  }
  return pending;
}

/** Begins a script, or looks how it goes; its end is recorded once. */
async function advance(deps: Deps, vault: VaultAccess, run: RunInput, plan: RunPlan, which: Which): Promise<ScriptResult> {
  const before = await findDocument(vault, records.scriptDone(run, which), scriptDoneSchema);
  if (before) return resultOf(plan, which, before.why);
  const why = await whyFailed(deps, vault, run, plan, which);
  if (why === 'running') return RUNNING;
  const done = await remember(vault, records.scriptDone(run, which), scriptDoneSchema, () => Promise.resolve({ version: 1 as const, why }));
  return resultOf(plan, which, done.why);
}

/**
 * Who starts a script. To ask for a command that is there runs it again (Run Command has no If-None-Match), so of twins that both saw none only the one that makes this record may ask. Who made it and
 * died before asking has its turn taken by the next one, a while later.
 */
async function mayStart(vault: VaultAccess, run: RunInput, which: Which, nowMs: number): Promise<boolean> {
  for (let turn = 1; ; turn++) {
    const name = records.scriptTurn(run, which, turn);
    if (await createDocument(vault, name, { version: 1, atMs: nowMs }) === 'created') return true;
    const { atMs } = await recall(vault, name, scriptMomentSchema);
    if (nowMs < atMs + START_MS) return false;
  }
}

/** Null when it succeeded, else the reason; or 'running'. */
async function whyFailed(deps: Deps, vault: VaultAccess, run: RunInput, plan: RunPlan, which: Which): Promise<string | null> {
  const name = nameOf(vault, run, which);
  const timeoutSeconds = plan.scripts?.timeoutSeconds ?? 0;
  try {
    const status = await deps.cloud.getScript(plan.vmId, name);
    if (!status && await mayStart(vault, run, which, deps.nowMs())) {
      await deps.cloud.startScript({ vmId: plan.vmId, location: plan.location, name, script: plan.scripts?.[which] ?? '', timeoutSeconds });
      return 'running';
    }
    if (status?.state === 'succeeded') return null;
    if (status?.state === 'failed') return status.message;
  } catch (error) {
    if (!isHoldfastError(error) || isTransient(error.toJSON())) throw error;
    // A pre-script that cannot be run is a failure at once. A post-script is owed, so it is tried until its time is over, unless the machine is gone.
    if (which === 'pre' || error.code === 'CLOUD_NOT_FOUND') return messageOf(error);
  }
  const begun = await recall(vault, records.scriptBegun(run, which), scriptMomentSchema);
  return deps.nowMs() > begun.atMs + timeoutSeconds * 1000 + GRACE_MS ? `it did not end within ${timeoutSeconds} seconds` : 'running';
}

function resultOf(plan: RunPlan, which: Which, why: string | null): ScriptResult {
  if (why === null) return DONE;
  const failure: ErrorReport = new HoldfastError('GUEST_SCRIPT_FAILED', `The ${which}-script on ${plan.vmName} failed: ${why}`).toJSON();
  return { state: 'done', isFatal: plan.scripts?.onFailure === 'fail', failure, warnings: [failure.message] };
}

/** Says that the snapshot was taken while the pre-script held. To be asked after the snapshot was seen as taken: the post-script had not begun even then. */
export async function noteHeld(vault: VaultAccess, run: RunInput, nowMs: number): Promise<void> {
  const pre = await findDocument(vault, records.scriptDone(run, 'pre'), scriptDoneSchema);
  if (pre?.why !== null || await findDocument(vault, records.scriptBegun(run, 'post'), scriptMomentSchema)) return;
  await remember(vault, records.scriptsHeld(run), scriptMomentSchema, () => Promise.resolve({ version: 1 as const, atMs: nowMs }));
}

/** True when the post-script is owed and did not end: the snapshot is not written down before, since what it is worth depends on it. */
export const owesPostScript = async (vault: VaultAccess, run: RunInput): Promise<boolean> =>
  await findDocument(vault, records.scriptBegun(run, 'pre'), scriptMomentSchema) !== undefined && await findDocument(vault, records.scriptDone(run, 'post'), scriptDoneSchema) === undefined;

/**
 * The snapshot with what the scripts make of it: application-consistent only when the pre-script succeeded, the snapshot was taken while it held,
 * and the post-script succeeded. Throws GUEST_SCRIPT_FAILED where the policy says so.
 */
export async function withScripts(vault: VaultAccess, run: RunInput, plan: RunPlan, snapshot: RunSnapshot): Promise<RunSnapshot> {
  const { scripts } = plan;
  if (!scripts) return snapshot;
  const begun = await findDocument(vault, records.scriptBegun(run, 'pre'), scriptMomentSchema);
  const failures: ErrorReport[] = [];
  for (const which of ['pre', 'post'] as const) {
    const done = await findDocument(vault, records.scriptDone(run, which), scriptDoneSchema);
    const { failure } = resultOf(plan, which, done ? done.why : 'it was not run');
    if (failure) failures.push(failure);
  }
  const [first] = failures;
  if (first && scripts.onFailure === 'fail') throw fromReport(first);
  if (first) return snapshot;
  const held = await findDocument(vault, records.scriptsHeld(run), scriptMomentSchema);
  const isInTime = begun !== undefined && Date.parse(snapshot.createdAt) >= begun.atMs - CLOCK_MARGIN_MS;
  if (!held || !isInTime) return { ...snapshot, notes: [...snapshot.notes ?? [], 'The snapshot was not taken while the pre-script held'] };
  // Snapshots disk by disk are of one instant only as far as the pre-script kept the machine still: that is what the person who wrote it vouches for.
  return snapshot.consistency === 'file-system' || plan.driver === 'diskSnapshot' ? { ...snapshot, consistency: 'application' } : snapshot;
}
