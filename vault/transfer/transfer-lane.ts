import { getCompileCacheDir } from 'node:module';
import { Worker } from 'node:worker_threads';
import path from 'node:path';
import { type ErrorReport, fromReport, toReport } from '../../errors/holdfast-error';
import type { BlobRefJson } from '../format/ref-json';
import type { DiskRange } from './block-source';
import type { Spec } from './transfer-factory';
import type { TransferStats, UsageDelta } from './transfer-types';

/** A window to transfer, as a lane gets it: references only. */
export interface LaneJob {
  readonly window: number;
  /** Size of the disk whose tree is built: the source must have it. */
  readonly diskBytes: number;
  readonly ranges: readonly DiskRange[] | null;
  readonly parent: BlobRefJson | null;
  /** Size of the disk that the parent's leaf belongs to. */
  readonly parentDiskBytes: number;
  readonly fresh: boolean;
}

export interface LaneResult {
  readonly window: number;
  readonly leaf: BlobRefJson | 'same' | null;
  readonly usage: UsageDelta;
  readonly hooks: readonly string[];
  readonly stats: TransferStats;
  /** Set when the parent's leaf could not be read: `usage` then counts from nothing. */
  readonly parentLost?: boolean | undefined;
  /** Damage of the vault that was met and worked around. */
  readonly damage?: readonly ErrorReport[] | undefined;
}

/** What a window of a recovery point takes to be read back, and proved. */
export interface LaneReadJob {
  readonly window: number;
  readonly leaf: BlobRefJson;
  readonly diskBytes: number;
  /** Another leaf of this window, all of whose chunks were proved: a chunk that both refer to is not read again. Without meaning where there is a sink: it gets everything. */
  readonly provedLeaf?: BlobRefJson | undefined;
}

export interface LaneReadResult {
  readonly window: number;
  readonly chunks: number;
  readonly plainBytes: number;
  readonly storedBytes: number;
  /** What is wrong with the window; only when damage is to be collected. */
  readonly damage: readonly ErrorReport[];
}

/** A window of a target that is compared with a recovery point, and made equal to it where that is asked for. */
export interface LaneCompareJob {
  readonly window: number;
  /** null where all is zeros. */
  readonly leaf: BlobRefJson | null;
  readonly diskBytes: number;
  /** Write what differs to the sink. */
  readonly patch: boolean;
}

export interface LaneCompareResult {
  readonly window: number;
  readonly comparedBytes: number;
  /** Found to be other than the recovery point says, before anything was written. */
  readonly differingBytes: number;
  readonly writtenBytes: number;
}

/** A window of a new sink that is filled. */
export type LaneAssembleJob = Omit<LaneCompareJob, 'patch'>;

export interface LaneAssembleResult {
  readonly window: number;
  /** By the sink's own service, out of the source. */
  readonly copiedBytes: number;
  /** From the vault. */
  readonly writtenBytes: number;
  /** Of these what could have been copied, had the service not refused to. */
  readonly refusedBytes: number;
}

export interface LaneFlush { readonly storedBytes: number; readonly packs: number }

/** How a champion's tree is found by the threads: region nodes of other disks whose chunks may be reused. */
export interface ChampionSpec {
  readonly root: BlobRefJson;
  readonly diskBytes: number;
}

export interface LaneOptions {
  /** Absolute path of the module with the TransferFactory. */
  readonly factory: string;
  readonly store: Spec;
  readonly source: Spec | null;
  readonly sink: Spec | null;
  readonly keys: { readonly vaultId: string; readonly masterKey: string };
  readonly compressionLevel: number;
  /** Most that this lane reads from its source on average; null for no limit. */
  readonly readBytesPerSecond: number | null;
  readonly champions: readonly ChampionSpec[];
  /** Packs that are damaged: nothing is taken over from them, and what lay in them is read from the source and stored anew. */
  readonly avoid: readonly string[];
  /** Packs that are hardly used any more: chunks in them are copied into new ones. */
  readonly forward: readonly string[];
  /** True collects damage into results (check), false throws at the first (restore). */
  readonly collectDamage: boolean;
}

/** A thread (or this one) that works on one window at a time. */
export interface Lane {
  write(job: LaneJob): Promise<LaneResult>;
  read(job: LaneReadJob): Promise<LaneReadResult>;
  /** Compares a window of the source, or else of a sink that can be read, with the vault: see compareWindow. */
  compare(job: LaneCompareJob): Promise<LaneCompareResult>;
  /** Fills a window of a new sink out of the source and the vault: see assembleWindow. */
  assemble(job: LaneAssembleJob): Promise<LaneAssembleResult>;
  /** Makes everything durable that was written so far. */
  flush(): Promise<LaneFlush>;
  /** Closes what the lane opened. Throws when the target could not be closed: what was written to it may be lost. Closing twice is fine. */
  close(): Promise<void>;
}

export type ToLane =
  | { readonly kind: 'open'; readonly options: LaneOptions }
  | { readonly kind: 'write'; readonly job: LaneJob }
  | { readonly kind: 'read'; readonly job: LaneReadJob }
  | { readonly kind: 'compare'; readonly job: LaneCompareJob }
  | { readonly kind: 'assemble'; readonly job: LaneAssembleJob }
  | { readonly kind: 'flush' }
  | { readonly kind: 'close' }
  | { readonly kind: 'renewed'; readonly what: 'source' | 'sink'; readonly spec?: Spec; readonly error?: ErrorReport };

export type FromLane =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: ErrorReport }
  | { readonly kind: 'renew'; readonly what: 'source' | 'sink' };

/** Asks the main thread for new access to what the lane reads from or writes to. */
export type RenewAccess = (what: 'source' | 'sink') => Promise<Spec>;

/** A thread keeps and finds compiled code where this process does: Node tells its threads only through the environment. */
const threadEnvironment = (): NodeJS.ProcessEnv => {
  const folder = getCompileCacheDir?.();
  return folder === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: path.dirname(folder) };
};

const startThread = (): Worker => new Worker(path.join(__dirname, 'transfer-worker.js'), { env: threadEnvironment(), resourceLimits: { maxYoungGenerationSizeMb: 8 } });

/** Threads that were started ahead and have no lane yet. */
const spareThreads: Worker[] = [];

/**
 * Starts threads that the next lanes of this process will take, while the caller still opens the vault: loading their code takes a tenth of a second. One that
 * nobody takes does not keep the process alive.
 */
export function startThreadsAhead(count: number): void {
  while (spareThreads.length < count) {
    const worker = startThread();
    worker.unref();
    // Whoever takes it is told by its own listeners; until then nobody waits for it, and a dead one is not handed out.
    const drop = (): void => { const at = spareThreads.indexOf(worker); if (at >= 0) spareThreads.splice(at, 1); };
    worker.once('error', drop).once('exit', drop);
    spareThreads.push(worker);
  }
}

function takeThread(): Worker {
  const worker = spareThreads.pop() ?? startThread();
  worker.ref();
  return worker;
}

/** Runs a lane in a worker thread, so that cutting and compressing never hold up the main thread. */
export async function startWorkerLane(options: LaneOptions, renew: RenewAccess): Promise<Lane> {
  const worker = takeThread();
  let waiting: { resolve(value: unknown): void; reject(error: Error): void } | undefined;
  let broken: Error | undefined;
  const settle = (error: Error | undefined, value?: unknown): void => {
    const current = waiting;
    waiting = undefined;
    if (error) current?.reject(error); else current?.resolve(value);
  };
  worker.on('message', (message: FromLane) => {
    if (message.kind === 'done') settle(undefined, message.value);
    else if (message.kind === 'failed') settle(fromReport(message.error));
    else {
      const { what } = message;
      Promise.resolve().then(() => renew(what)).then((spec) => ({ kind: 'renewed', what, spec }) satisfies ToLane, (error: unknown) => ({ kind: 'renewed', what, error: toReport(error) }) satisfies ToLane)
        .then((answer) => worker.postMessage(answer), (error: Error) => settle(error));
    }
  });
  worker.on('error', (error) => { broken = error; settle(error); });
  worker.on('exit', (code) => { broken ??= new Error(`The transfer thread ended with code ${code}`); settle(broken); });
  const ask = <T>(message: ToLane): Promise<T> => new Promise<T>((resolve, reject) => {
    if (broken) { reject(broken); return; }
    waiting = { resolve: resolve as (value: unknown) => void, reject };
    worker.postMessage(message);
  });
  try {
    await ask({ kind: 'open', options });
  } catch (error) {
    // A thread that nobody holds would keep the process alive for ever.
    await worker.terminate();
    throw error;
  }
  let closed = false;
  return {
    write: (job) => ask({ kind: 'write', job }),
    read: (job) => ask({ kind: 'read', job }),
    compare: (job) => ask({ kind: 'compare', job }),
    assemble: (job) => ask({ kind: 'assemble', job }),
    flush: () => ask({ kind: 'flush' }),
    async close() {
      if (closed) return;
      closed = true;
      try {
        await ask({ kind: 'close' });
      } finally {
        await worker.terminate();
      }
    },
  };
}
