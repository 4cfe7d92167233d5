import { withLanes } from '../vault/transfer/lanes';
import { findManifest, parseRecoveryPointId } from '../vault/format/manifest';
import { requireItem } from '../vault/catalog';
import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import type { Proof, ProvedDamage } from '../vault/proof/proofs';
import { dailyShareBytes, itemsToScrub, scrubStep } from '../vault/proof/scrub';
import type { VaultAccess } from '../vault/format/tree';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';

/** What a scrub is to prove: a day's share of the vault (`share`), or everything of the scope. */
export type ScrubScope =
  | { readonly kind: 'share'; readonly days: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'item'; readonly itemId: string }
  | { readonly kind: 'recovery-point'; readonly id: string };

export interface PlanScrubInput {
  readonly scope: ScrubScope;
  /** When the round began: what was proved since need not be proved again. */
  readonly sinceMs: number;
}

export interface PlanScrubResult {
  readonly items: readonly string[];
  /** Bytes of packs to be read; null for no bound. */
  readonly budgetBytes: number | null;
}

export interface ScrubItemInput {
  readonly itemId: string;
  readonly recoveryPoint: string | null;
  readonly sinceMs: number;
}

export interface ScrubItemResult {
  readonly done: boolean;
  readonly recoveryPoint: string | null;
  readonly state: Proof['state'] | null;
  readonly windows: number;
  readonly plainBytes: number;
  readonly storedBytes: number;
  /** The first few. */
  readonly damage: readonly Pick<ProvedDamage, 'code' | 'message' | 'pack'>[];
}

/** Items of one job: what is left over is for the next one, and travels through no history. */
const MAX_ITEMS = 400;
/** A step reads 4 GiB of windows at most, and begins nothing more after four minutes: far below what a step may take. */
const STEP_WINDOWS = 64;
const STEP_MS = 4 * 60_000;
const MAX_SHOWN_DAMAGE = 5;

/** Step 1 of a scrub: which items, those that wait longest first, and how much of them. */
export const createPlanScrub = (deps: ActivityDeps) => activity(async ({ scope, sinceMs }: PlanScrubInput): Promise<PlanScrubResult> => {
  const vault = await deps.vault();
  if (scope.kind === 'item') {
    await requireItem(vault, scope.itemId);
    return { items: [scope.itemId], budgetBytes: null };
  }
  if (scope.kind === 'recovery-point') {
    await requireManifest(vault, scope.id);
    return { items: [parseRecoveryPointId(scope.id).itemId], budgetBytes: null };
  }
  const items = (await itemsToScrub(vault, sinceMs)).slice(0, MAX_ITEMS);
  return { items, budgetBytes: scope.kind === 'share' ? await dailyShareBytes(vault, scope.days) : null };
});

/** Step 2: proves the next part of an item. What it read is written down before it answers, so a step that runs again goes on behind it. */
export const createScrubItem = (deps: ActivityDeps) => activity(async (input: ScrubItemInput): Promise<ScrubItemResult> => {
  const vault = await deps.vault();
  const overMs = deps.nowMs() + STEP_MS;
  const { factory, store, threads } = deps.transfer;
  const step = await withLanes({ factory, store, keys: vault.keys, collectDamage: true, ...(threads === undefined ? {} : { threads }) }, (lanes) =>
    scrubStep(vault, lanes, { ...input, maxWindows: STEP_WINDOWS, isOver: () => deps.nowMs() >= overMs, by: 'scrub', nowMs: deps.nowMs }));
  if (step.damage.length > 0) deps.log('A scrub found damage', { recoveryPoint: step.recoveryPoint, message: step.damage[0]?.message ?? '' });
  const damage = step.damage.slice(0, MAX_SHOWN_DAMAGE).map(({ code, message, pack }) => ({ code, message: message.slice(0, 300), pack }));
  return { done: step.done, recoveryPoint: step.recoveryPoint, state: step.state, windows: step.windows, plainBytes: step.plainBytes, storedBytes: step.storedBytes, damage };
});

/** A manifest that is damaged is there: the scrub says what is wrong with it. */
async function requireManifest(vault: VaultAccess, id: string): Promise<void> {
  const { itemId, stamp } = parseRecoveryPointId(id);
  try {
    if (await findManifest(vault, itemId, stamp)) return;
  } catch (error) {
    if (isHoldfastError(error, 'DOCUMENT_DAMAGED')) return;
    throw error;
  }
  throw new HoldfastError('RECOVERY_POINT_NOT_FOUND', `There is no recovery point ${id}`, { data: { id } });
}
