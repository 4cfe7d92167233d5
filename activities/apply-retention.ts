import type { ErrorReport } from '../errors/holdfast-error';
import { trustedNowMs } from '../vault/server-clock';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { executeRetention, planRetention, policiesInForce } from './retention';

export interface ApplyRetentionInput { readonly itemId: string }

export interface ApplyRetentionResult {
  readonly itemId: string;
  readonly kept: number;
  /** Recovery points that were put into the bin. */
  readonly binned: number;
  /** Those that no rule keeps and that stayed all the same, for instance because of a hold. */
  readonly stayed: number;
  /** Why nothing was done for the item: a person has to look. */
  readonly refused: ErrorReport | null;
}

/**
 * The retention of one item, for the maintenance timer: puts into the bin what no rule of the policies in force keeps. Safe to run twice and at once. Fails with CLOCK_WRONG
 * when this machine's clock does not agree with the store's: nothing is decided then.
 */
export const createApplyRetention = (deps: ActivityDeps) => activity(async ({ itemId }: ApplyRetentionInput): Promise<ApplyRetentionResult> => {
  const vault = await deps.vault();
  const serverNowMs = await trustedNowMs(vault.store, deps.nowMs);
  const broken = (policy: string): void => deps.log('A policy cannot be read, so it lets nothing go', { policy });
  const plan = await planRetention(vault, itemId, await policiesInForce(vault, serverNowMs, broken), serverNowMs);
  const { kept, binned, stayed, refused } = await executeRetention(vault, plan, { by: 'retention', serverNowMs });
  return { itemId, kept, binned: binned.length, stayed: stayed.length, refused };
});
