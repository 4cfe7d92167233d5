import type { OrchestrationContext } from 'durable-functions';
import type { LockVaultInput, LockVaultResult } from '../activities/lock-vault';
import type { Outcome } from '../activities/outcome';
import type { TestKeysResult } from '../activities/test-keys';
import type { ErrorReport } from '../errors/holdfast-error';
import { MAINTENANCE } from './names';
import { step, type Steps } from './steps';

/** A vault of millions of packs, a few minutes of them at a time; what is left is the next maintenance's. */
const MAX_ROUNDS = 200;

export interface KeysAndLocks {
  /** null where no locks are kept, or where they could not be made. */
  readonly locks: LockVaultResult;
  readonly keys: TestKeysResult | null;
  readonly failures: readonly MaintenanceFailure[];
}

/** A part of the maintenance that failed. Within locks and collection it ends with the first failure. */
export interface MaintenanceFailure { readonly part: 'locks' | 'keys' | 'retention' | 'collection'; readonly error: ErrorReport }

/**
 * What protects a vault against thieves and lost keys.
 * 1. locks: hold what recovery points need for longer, until all of it is
 * 2. keys: prove that the app's own key still opens the vault
 * Neither keeps the other from being done.
 */
export function* keysAndLocks(context: OrchestrationContext, dryRun: boolean): Steps<KeysAndLocks> {
  const failures: MaintenanceFailure[] = [];

  // 1
  let locks: LockVaultResult = null;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before: LockVaultResult = locks;
    const done: Outcome<LockVaultResult> = yield* step<LockVaultResult>(context, MAINTENANCE.lockVault, { dryRun } satisfies LockVaultInput);
    if (!done.ok) {
      failures.push({ part: 'locks', error: done.error });
      break;
    }
    locks = done.value && { ...done.value, ...together(before, done.value) };
    if (dryRun || !done.value || done.value.left === 0) break;
  }

  // 2
  const tested = yield* step<TestKeysResult>(context, MAINTENANCE.testKeys, {});
  if (!tested.ok) failures.push({ part: 'keys', error: tested.error });
  return { locks, keys: tested.ok ? tested.value : null, failures };
}

/** What earlier rounds did, with this one. */
const together = (before: LockVaultResult, now: NonNullable<LockVaultResult>): Pick<NonNullable<LockVaultResult>, 'extended' | 'earliest'> =>
  ({ extended: now.extended + (before?.extended ?? 0), earliest: before === null ? now.earliest : before.earliest });
