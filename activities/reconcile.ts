import { catalogue } from '../errors/catalogue';
import { itemIdOfResource } from '../policy/item-id';
import { itemIds } from '../vault/items';
import { closeLostRun, type RunOpen } from '../vault/run';
import { type NewNotice, raiseNotices } from './notice';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';

const PAGE = 200;
const MAX_SHOWN = 40;
/** An orchestration is there before its run is. So one that is not known is gone; this much is left for clocks that disagree. */
export const UNKNOWN_OWNER_MS = 15 * 60_000;

/** What the durable engine says of the owner of a run: 'foreign' is no orchestration of this app, for instance a process of the command line. */
export type OwnerState = 'active' | 'ended' | 'unknown' | 'foreign';

export interface ReconcileInput { readonly after: string | null }
export interface ReconcileResult {
  readonly checked: number;
  /** Runs that are under way. */
  readonly alive: number;
  readonly committed: number;
  readonly abandoned: number;
  readonly closed: readonly { readonly itemId: string; readonly sequence: number; readonly stamp: string; readonly outcome: 'committed' | 'abandoned' }[];
  readonly next: string | null;
}

/**
 * Closes the runs of one page of items whose orchestration is gone, whatever became of it (fault 35): what is sealed is committed, anything else
 * given up; their snapshots are released by the orchestration. A run of another app, or of the command line, is left alone until its time is over.
 */
export const createReconcile = (deps: ActivityDeps, ownerState: (owner: string) => Promise<OwnerState>) => activity(async ({ after }: ReconcileInput): Promise<ReconcileResult> => {
  const vault = await deps.vault();
  const all = new Set<string>();
  for await (const itemId of itemIds(vault)) all.add(itemId);
  // An item whose first run was lost before its plan has no record yet.
  for (const { id } of await deps.cloud.listVms()) all.add(itemIdOfResource(id));
  const rest = [...all].sort().filter((itemId) => after === null || itemId > after);
  const page = rest.slice(0, PAGE);
  const result = { checked: page.length, alive: 0, committed: 0, abandoned: 0, closed: [] as ReconcileResult['closed'][number][] };
  const isGone = async (open: RunOpen): Promise<boolean> => {
    const { owner, app, startedAt } = open;
    const state = await ownerState(owner);
    // Another app's orchestrations are not known here, and yet at work.
    const gone = state === 'ended' || (state === 'unknown' && app === deps.appName && deps.nowMs() - Date.parse(startedAt) > UNKNOWN_OWNER_MS);
    // Before it is given up: a run that is closed is not looked at again.
    if (gone) await raiseNotices(vault, [lostRun(open, deps.nowMs())]);
    return gone;
  };
  for (const itemId of page) {
    const closed = await closeLostRun(vault, itemId, isGone, deps.nowMs());
    if (closed.state === 'alive') result.alive++;
    if (closed.state !== 'closed') continue;
    result[closed.outcome]++;
    result.closed.push({ ...closed.run, outcome: closed.outcome });
    deps.log('A run whose orchestration is gone was closed', { item: itemId, run: closed.run.sequence, outcome: closed.outcome });
  }
  return { ...result, closed: result.closed.slice(0, MAX_SHOWN), next: rest.length > PAGE ? page.at(-1) ?? null : null };
});

/** The orchestration that would have told of it is gone, so this does. */
function lostRun({ itemId, sequence, owner, startedAt }: RunOpen, nowMs: number): NewNotice {
  const at = new Date(nowMs).toISOString();
  const message = `The backup that began at ${startedAt} was cut off, and is given up`;
  return {
    type: 'holdfast.backup.failed', key: `run ${itemId} ${sequence}`, at, severity: 'error', about: itemId, subject: `The backup of ${itemId} failed: RUN_ABANDONED`,
    lines: [`${message}.`, ['Job', owner], ['What to do', catalogue.RUN_ABANDONED.remedy]], data: { job: owner, kind: 'backup', item: itemId, policy: null, code: 'RUN_ABANDONED', message, remedy: catalogue.RUN_ABANDONED.remedy, startedAt, endedAt: at },
  };
}
