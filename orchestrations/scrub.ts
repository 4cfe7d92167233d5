import type { OrchestrationContext } from 'durable-functions';
import type { ConcludeScrubInput, ConcludeScrubResult, PlanScrubResult, ScrubItemInput, ScrubItemResult, ScrubScope } from '../activities/scrub';
import type { ErrorReport } from '../errors/holdfast-error';
import { SCRUBS } from './names';
import { PhaseClock, reportJob } from './report';
import { persist, step, type Steps } from './steps';

/** After so many steps (200 GiB) the orchestration continues as new, so that its history stays short whatever the vault. */
const STEPS_PER_GENERATION = 50;
/** Recovery points that are named in the result; the proofs in the vault have all. */
const MAX_SHOWN = 50;
/** Nothing waits for a scrub: an outage of the vault is waited out. */
const WAITING = { firstMs: 10_000, mostMs: 30 * 60_000, limitMs: 12 * 3_600_000 };

export interface ScrubJobInput {
  readonly scope: ScrubScope;
  readonly sinceMs: number;
  /** Set when it continues as new. */
  readonly resume?: { readonly items: readonly string[]; readonly progress: ScrubProgress; readonly startedAtMs?: number };
}

/** What a scrub says of itself while it runs, and what it came to. */
export interface ScrubProgress {
  readonly items: number;
  readonly itemsDone: number;
  /** Recovery points whose proof was finished. */
  readonly proved: number;
  readonly damaged: readonly { readonly recoveryPoint: string; readonly damage: ScrubItemResult['damage'] }[];
  readonly windows: number;
  readonly plainBytes: number;
  readonly storedBytes: number;
  /** Bytes of packs that this run is to read; null for all of its scope. */
  readonly budgetBytes: number | null;
  readonly recoveryPoint: string | null;
}

export interface ScrubJobResult extends ScrubProgress {
  readonly error: ErrorReport | null;
}

/** Proves recovery points, and reports what that came to when it has all of them. */
export function* scrub(context: OrchestrationContext): Steps<ScrubJobResult | undefined> {
  const { resume } = context.df.getInput() as ScrubJobInput;
  const clock = new PhaseClock(context, resume?.startedAtMs);
  const result = yield* prove(context, clock.startedAtMs);
  if (!result) return undefined;
  const { items, itemsDone, proved, windows, plainBytes, storedBytes, damaged, error } = result;
  yield* reportJob(context, clock, {
    kind: 'scrub', outcome: error ? 'failed' : 'succeeded', itemId: null, policy: null, error, figures: { items, itemsDone, proved, windows, plainBytes, storedBytes, damaged: damaged.length },
    details: damaged[0] ? { damagedPoint: damaged[0].recoveryPoint, damageCode: damaged[0].damage[0]?.code ?? '' } : {},
  });
  return result;
}

/**
 * Proves recovery points by reading them back.
 * 1. plan: which items, those that wait longest first, and how much of them
 * 2. item after item, a bounded step at a time, each of which writes down what it proved; until the share is read
 * 3. continue as new after a fixed number of steps
 * 4. what the proofs say: the answer of a step that found damage may have been lost
 */
function* prove(context: OrchestrationContext, startedAtMs: number): Steps<ScrubJobResult | undefined> {
  const { scope, sinceMs, resume } = context.df.getInput() as ScrubJobInput;

  // 1
  let items = resume?.items ?? [];
  let progress = resume?.progress ?? NOTHING;
  if (!resume) {
    const plan = yield* persist<PlanScrubResult>(context, SCRUBS.planScrub, { scope, sinceMs }, WAITING);
    if (!plan.ok) return { ...progress, error: plan.error };
    items = plan.value.items;
    progress = { ...progress, items: items.length, budgetBytes: plan.value.budgetBytes };
  }

  // 2
  const recoveryPoint = scope.kind === 'recovery-point' ? scope.id : null;
  for (let steps = 0; items.length > 0 && !isEnough(progress); steps++) {
    // 3
    if (steps === STEPS_PER_GENERATION) {
      context.df.continueAsNew({ scope, sinceMs, resume: { items, progress, startedAtMs } } satisfies ScrubJobInput);
      return undefined;
    }
    context.df.setCustomStatus(progress);
    const answer = yield* step<ScrubItemResult>(context, SCRUBS.scrubItem, { itemId: items[0] as string, recoveryPoint, sinceMs } satisfies ScrubItemInput);
    if (!answer.ok) return { ...progress, error: answer.error };
    progress = add(progress, answer.value);
    if (answer.value.done) items = items.slice(1);
  }
  context.df.setCustomStatus(progress);

  // 4
  const concluded = yield* persist<ConcludeScrubResult>(context, SCRUBS.concludeScrub, { scope, startedAtMs } satisfies ConcludeScrubInput, WAITING);
  if (!concluded.ok) return { ...progress, error: concluded.error };
  const { damaged } = concluded.value;
  const inPart = progress.damaged.filter(({ recoveryPoint }) => !damaged.some((one) => one.recoveryPoint === recoveryPoint));
  return { ...progress, damaged: [...damaged, ...inPart].slice(0, MAX_SHOWN), error: null };
}

const NOTHING: ScrubProgress = { items: 0, itemsDone: 0, proved: 0, damaged: [], windows: 0, plainBytes: 0, storedBytes: 0, budgetBytes: null, recoveryPoint: null };

const isEnough = ({ budgetBytes, storedBytes }: ScrubProgress): boolean => budgetBytes !== null && storedBytes >= budgetBytes;

function add(progress: ScrubProgress, more: ScrubItemResult): ScrubProgress {
  const others = progress.damaged.filter(({ recoveryPoint }) => recoveryPoint !== more.recoveryPoint);
  const damaged = more.recoveryPoint !== null && more.damage.length > 0 ? [...others, { recoveryPoint: more.recoveryPoint, damage: more.damage }].slice(0, MAX_SHOWN) : progress.damaged;
  return {
    ...progress, damaged, itemsDone: progress.itemsDone + (more.done ? 1 : 0), proved: progress.proved + (more.state === 'whole' || more.state === 'damaged' ? 1 : 0),
    windows: progress.windows + more.windows, plainBytes: progress.plainBytes + more.plainBytes, storedBytes: progress.storedBytes + more.storedBytes,
    recoveryPoint: more.recoveryPoint ?? progress.recoveryPoint,
  };
}
