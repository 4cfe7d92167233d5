import { availableParallelism } from 'node:os';
import type { VaultKeys } from '../keys/keys';
import { LaneWork } from './lane-work';
import { loadFactory, type Spec } from './transfer-factory';
import { type ChampionSpec, type Lane, type LaneOptions, type RenewAccess, startThreadsAhead, startWorkerLane } from './transfer-lane';

export interface LanePlan {
  /** Absolute path of the module with the TransferFactory. */
  readonly factory: string;
  readonly store: Spec;
  readonly source?: Spec;
  readonly sink?: Spec;
  readonly keys: VaultKeys;
  readonly champions?: readonly ChampionSpec[];
  /** See LaneOptions. */
  readonly avoid?: Iterable<string> | undefined;
  readonly forward?: Iterable<string> | undefined;
  readonly compressionLevel?: number;
  readonly collectDamage?: boolean;
  /** Most that all lanes together read from the source on average; without it as fast as they can. */
  readonly readBytesPerSecond?: number | null;
  /** Threads; 0 works in this thread, which tests use. Default: one for each processor, four at most. */
  readonly threads?: number;
  /** Asked for a new source when access expired. */
  readonly renew?: () => Promise<Spec>;
  /** The same for the sink. */
  readonly renewSink?: () => Promise<Spec>;
}

export const DEFAULT_COMPRESSION_LEVEL = 1;
const MAX_THREADS = 4;

const defaultThreads = (): number => Math.min(availableParallelism(), MAX_THREADS);

/** Begins to start the threads that `withLanes` will want in a moment: `threads` of them, or as many as it takes by default. */
export const prepareLanes = (threads = defaultThreads()): void => startThreadsAhead(threads);

/** Starts lanes, gives them to `use`, and closes them whatever happens. */
export async function withLanes<T>(plan: LanePlan, use: (lanes: readonly Lane[]) => Promise<T>): Promise<T> {
  const threads = plan.threads ?? defaultThreads();
  const options: LaneOptions = {
    factory: plan.factory, store: plan.store, source: plan.source ?? null, sink: plan.sink ?? null,
    keys: { vaultId: plan.keys.vaultId.toString('hex'), masterKey: plan.keys.masterKey.toString('hex') },
    compressionLevel: plan.compressionLevel ?? DEFAULT_COMPRESSION_LEVEL, champions: plan.champions ?? [], avoid: [...plan.avoid ?? []], forward: [...plan.forward ?? []], collectDamage: plan.collectDamage ?? false,
    readBytesPerSecond: plan.readBytesPerSecond ? plan.readBytesPerSecond / Math.max(1, threads) : null,
  };
  const renew = (what: 'source' | 'sink'): Promise<Spec> =>
    (what === 'source' ? plan.renew : plan.renewSink)?.() ?? Promise.reject(new Error(`This ${what} cannot be renewed`));
  const lanes: Lane[] = [];
  let result: T;
  try {
    if (threads === 0) lanes.push(await LaneWork.open(options, await loadFactory(plan.factory), renew));
    else await startThreads(lanes, threads, options, renew);
    result = await use(lanes);
  } catch (error) {
    // What went wrong first is what is told; that closing fails after it adds nothing.
    await Promise.allSettled(lanes.map((lane) => lane.close()));
    throw error;
  }
  // A target that cannot be closed may have lost what was written to it: that is a failure of the whole.
  for (const closed of await Promise.allSettled(lanes.map((lane) => lane.close()))) if (closed.status === 'rejected') throw closed.reason;
  return result;
}

/** Adds every thread that started to `lanes`, also when another one failed, so that none is left behind. */
async function startThreads(lanes: Lane[], threads: number, options: LaneOptions, renew: RenewAccess): Promise<void> {
  const started = await Promise.allSettled(Array.from({ length: threads }, () => startWorkerLane(options, renew)));
  for (const one of started) if (one.status === 'fulfilled') lanes.push(one.value);
  for (const one of started) if (one.status === 'rejected') throw one.reason;
}
