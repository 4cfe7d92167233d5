import { withLanes } from '../vault/transfer/lanes';
import { findManifest, parseRecoveryPointId } from '../vault/format/manifest';
import { requireItem } from '../vault/catalog';
import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { MARGINS } from '../vault/points/margins';
import { proofsSince, type ProvedDamage } from '../vault/proof/proofs';
import { dailyShareBytes, itemsToScrub, scrubStep, type ScrubStep } from '../vault/proof/scrub';
import type { VaultAccess } from '../vault/format/tree';
import type { ActivityDeps } from './deps';
import { laneStore } from './lane-store';
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

/** A step of a scrub as it travels through the history: of damage the first few. */
export interface ScrubItemResult extends Omit<ScrubStep, 'damage'> {
  readonly damage: readonly Pick<ProvedDamage, 'code' | 'message' | 'pack'>[];
}

/** Items of one job: what is left over is for the next one, and travels through no history. */
const MAX_ITEMS = 400;
/** A step reads 4 GiB of windows at most, and begins nothing more after four minutes: far below what a step may take. */
const STEP_WINDOWS = 64;
const STEP_MS = 4 * 60_000;
const MAX_SHOWN_DAMAGE = 5;
/** Recovery points that are named in the result; the proofs in the vault have all. */
export const MAX_SHOWN_POINTS = 50;

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
  const { factory, threads } = deps.transfer;
  const step = await withLanes({ factory, store: laneStore(deps), keys: vault.keys, collectDamage: true, ...(threads === undefined ? {} : { threads }) }, (lanes) =>
    scrubStep(vault, lanes, { ...input, maxWindows: STEP_WINDOWS, isOver: () => deps.nowMs() >= overMs, by: 'scrub', nowMs: deps.nowMs }));
  if (step.damage.length > 0) deps.log('A scrub found damage', { recoveryPoint: step.recoveryPoint, message: step.damage[0]?.message ?? '' });
  return { ...step, damage: shown(step.damage) };
});

export interface ConcludeScrubInput {
  readonly scope: ScrubScope;
  /** When the job began, however often it continued as new. */
  readonly startedAtMs: number;
}

export interface ConcludeScrubResult {
  readonly damaged: readonly { readonly recoveryPoint: string; readonly damage: ScrubItemResult['damage'] }[];
}

/**
 * Step 3: what the proofs say that were made since. A step that crashed after it had written its proof down, and ran again, found nothing left to do: its answer alone would make a scrub
 * that found damage look as if it had found none.
 */
export const createConcludeScrub = (deps: ActivityDeps) => activity(async ({ scope, startedAtMs }: ConcludeScrubInput): Promise<ConcludeScrubResult> => {
  const vault = await deps.vault();
  const itemId = scope.kind === 'item' ? scope.itemId : scope.kind === 'recovery-point' ? parseRecoveryPointId(scope.id).itemId : undefined;
  const damaged: { recoveryPoint: string; damage: ScrubItemResult['damage'] }[] = [];
  // The clocks of two machines of the app need not agree to the second.
  for await (const { recoveryPoint, ok, damage } of proofsSince(vault, startedAtMs - MARGINS.clockToleranceMs, itemId)) {
    if (!ok && damaged.length < MAX_SHOWN_POINTS && (scope.kind !== 'recovery-point' || recoveryPoint === scope.id)) damaged.push({ recoveryPoint, damage: shown(damage) });
  }
  return { damaged };
});

const shown = (damage: readonly ProvedDamage[]): ScrubItemResult['damage'] => damage.slice(0, MAX_SHOWN_DAMAGE).map(({ code, message, pack }) => ({ code, message: message.slice(0, 300), pack }));

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
