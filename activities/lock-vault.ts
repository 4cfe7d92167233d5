import { HoldfastError } from '../errors/holdfast-error';
import { lockVault, type LockReport } from '../vault/points/lock';
import type { ActivityDeps } from './deps';
import { activity, type Outcome } from './outcome';

/** Well below the time-out of a function; what is left is done by the next call. */
const TIME_LIMIT_MS = 4 * 60_000;

export interface LockVaultInput { readonly dryRun: boolean }
export type LockVaultResult = LockReport | null;

/** A part of the maintenance of a vault under a WORM policy: call it until `left` is 0. null where no locks are kept. */
export const createLockVault = (deps: Pick<ActivityDeps, 'vault' | 'nowMs' | 'lockKeepMs'>): ((input: LockVaultInput) => Promise<Outcome<LockVaultResult>>) =>
  activity(async ({ dryRun }: LockVaultInput): Promise<LockVaultResult> => {
    if (deps.lockKeepMs === undefined) return null;
    const report = await lockVault(await deps.vault(), { keepMs: deps.lockKeepMs, localNowMs: deps.nowMs, dryRun, timeLimitMs: TIME_LIMIT_MS });
    // The listing alone took all the time: to call it again for ever would hold nothing either.
    if (!dryRun && report.left > 0 && report.extended === 0) throw new HoldfastError('STORE_THROTTLED', `Nothing could be held within ${TIME_LIMIT_MS / 60_000} minutes; ${report.left} objects are due`);
    return report;
  });
