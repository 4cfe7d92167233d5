import { itemIdOfResource } from '../policy/item-id';
import { itemIds } from '../vault/items';
import { closeLostRun, type RunOpen } from '../vault/run';
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
  const isGone = async ({ owner, app, startedAt }: RunOpen): Promise<boolean> => {
    const state = await ownerState(owner);
    // Another app's orchestrations are not known here, and yet at work.
    return state === 'ended' || (state === 'unknown' && app === deps.appName && deps.nowMs() - Date.parse(startedAt) > UNKNOWN_OWNER_MS);
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
