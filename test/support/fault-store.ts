import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import type { ErrorCode } from '../../errors/catalogue';
import { HoldfastError } from '../../errors/holdfast-error';
import type { ByteRange, ObjectInfo, ObjectRetention, Store } from '../../vault/store/store';

export type Operation = 'create' | 'read' | 'stat' | 'list' | 'delete';

export type Fault =
  /** Throws an error of `code`, before the operation had any effect or after it had all of it (applied, but the answer was lost). */
  | { readonly kind: 'fail'; readonly code: ErrorCode; readonly when: 'before' | 'after' }
  /** A listing that throws after it gave `count` names. */
  | { readonly kind: 'tornList'; readonly code: ErrorCode; readonly count: number }
  /** The object reads as if it had only its first `length` bytes. */
  | { readonly kind: 'truncate'; readonly length: number }
  /** One bit of what is read is flipped; where, is drawn from the seed, which is printed. */
  | { readonly kind: 'corrupt'; readonly seed?: number }
  /** The operation waits before it has any effect, until the test lets it go. */
  | { readonly kind: 'hold'; readonly hold: Hold };

export interface PlannedFault {
  readonly operation: Operation;
  /** Of the object's name, or of a listing's prefix. */
  readonly matching: RegExp;
  readonly fault: Fault;
  /** How many matching operations pass before it fires; 0 when left out. */
  readonly after?: number;
  /** How many times it fires; once when left out. */
  readonly times?: number;
}

/** A gate for one operation: the test waits for `reached`, looks at the world, and calls `release`. */
export interface Hold {
  readonly reached: Promise<void>;
  release(): void;
  /** For the fault store: says that it is reached and waits for the release. */
  pass(): Promise<void>;
}

export interface FaultStore extends Store {
  /** Every operation so far, in the order of the calls. */
  readonly calls: readonly { readonly operation: Operation; readonly name: string }[];
  plan(fault: PlannedFault): void;
  /** Fails for each planned fault that did not fire as often as planned: a test of a fault that never came proves nothing. */
  assertAllFired(): void;
}

export function createHold(): Hold {
  const reached = createGate();
  const released = createGate();
  return {
    reached: reached.passed,
    release: released.open,
    pass: () => {
      reached.open();
      return released.passed;
    },
  };
}

function createGate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

/** Wraps a real store. Planned faults are tried in the order of their planning; the first that matches fires, one for each operation. */
export function createFaultStore(inner: Store): FaultStore {
  return new FaultyStore(inner);
}

interface QueuedFault {
  readonly planned: PlannedFault;
  toPass: number;
  toFire: number;
}

const allowed: Record<Fault['kind'], readonly Operation[]> = {
  fail: ['create', 'read', 'stat', 'list', 'delete'],
  tornList: ['list'],
  truncate: ['read'],
  corrupt: ['read'],
  hold: ['create', 'read', 'stat', 'list', 'delete'],
};

class FaultyStore implements FaultStore {
  readonly calls: { operation: Operation; name: string }[] = [];
  readonly #inner: Store;
  readonly #queue: QueuedFault[] = [];

  constructor(inner: Store) {
    this.#inner = inner;
  }

  get description(): string {
    return this.#inner.description;
  }

  plan(planned: PlannedFault): void {
    assert.ok(allowed[planned.fault.kind].includes(planned.operation), `A fault of kind ${planned.fault.kind} cannot befall ${planned.operation}`);
    assert.ok(!planned.matching.global && !planned.matching.sticky, 'A pattern with a memory would match every other time');
    this.#queue.push({ planned, toPass: planned.after ?? 0, toFire: planned.times ?? 1 });
  }

  assertAllFired(): void {
    const left = this.#queue.filter((queued) => queued.toFire > 0 && queued.toFire !== Number.POSITIVE_INFINITY);
    const silent = left.map(({ planned, toFire }) => `${planned.fault.kind} of ${planned.operation} ${String(planned.matching)} (${toFire} times more)`);
    assert.deepEqual(silent, [], 'planned faults that never fired');
  }

  create(name: string, data: Uint8Array): Promise<'created' | 'exists'> {
    return this.#run('create', name, () => this.#inner.create(name, data));
  }

  stat(name: string): Promise<ObjectInfo | undefined> {
    return this.#run('stat', name, () => this.#inner.stat(name));
  }

  delete(name: string): Promise<'deleted' | 'absent'> {
    return this.#run('delete', name, () => this.#inner.delete(name));
  }

  async read(name: string, range?: ByteRange): Promise<Buffer> {
    const fault = this.#next('read', name);
    if (fault?.kind === 'truncate') return this.#readTruncated(name, range, fault.length);
    const data = await this.#apply(fault, 'read', name, () => this.#inner.read(name, range));
    if (fault?.kind === 'corrupt') flipOneBit(data, name, fault.seed ?? randomInt(2 ** 31));
    return data;
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    const fault = this.#next('list', prefix);
    if (fault?.kind === 'hold') await fault.hold.pass();
    if (fault?.kind === 'fail' && fault.when === 'before') throw injected(fault.code, 'list', prefix);
    let given = 0;
    for await (const info of this.#inner.list(prefix)) {
      if (fault?.kind === 'tornList' && given >= fault.count) break;
      yield info;
      given += 1;
    }
    if (fault?.kind === 'tornList' || fault?.kind === 'fail') throw injected(fault.code, 'list', prefix);
  }

  /** Not among the operations that faults are planned for. */
  get retention(): ObjectRetention | undefined {
    return this.#inner.retention;
  }

  serverTimeMs(): Promise<number> {
    return this.#inner.serverTimeMs();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #run<T>(operation: Operation, name: string, act: () => Promise<T>): Promise<T> {
    return this.#apply(this.#next(operation, name), operation, name, act);
  }

  async #apply<T>(fault: Fault | undefined, operation: Operation, name: string, act: () => Promise<T>): Promise<T> {
    if (fault?.kind === 'hold') await fault.hold.pass();
    if (fault?.kind === 'fail' && fault.when === 'before') throw injected(fault.code, operation, name);
    const answer = await act();
    if (fault?.kind === 'fail') throw injected(fault.code, operation, name);
    return answer;
  }

  async #readTruncated(name: string, range: ByteRange | undefined, length: number): Promise<Buffer> {
    const data = await this.#inner.read(name);
    assert.ok(length < data.length, `${name} has ${data.length} bytes, so a cut to ${length} changes nothing`);
    const kept = data.subarray(0, length);
    if (range === undefined) return kept;
    if (range.offset + range.length > length) throw injected('STORE_RANGE', 'read', name);
    return kept.subarray(range.offset, range.offset + range.length);
  }

  #next(operation: Operation, name: string): Fault | undefined {
    this.calls.push({ operation, name });
    for (const queued of this.#queue) {
      if (queued.toFire <= 0 || queued.planned.operation !== operation || !queued.planned.matching.test(name)) continue;
      if (queued.toPass > 0) {
        queued.toPass -= 1;
        continue;
      }
      queued.toFire -= 1;
      return queued.planned.fault;
    }
    return undefined;
  }
}

function injected(code: ErrorCode, operation: Operation, name: string): HoldfastError {
  return new HoldfastError(code, `Injected fault: ${operation} ${name}`, { data: { name } });
}

function flipOneBit(data: Buffer, name: string, seed: number): void {
  assert.ok(data.length > 0, `Nothing of ${name} was read, so nothing can be corrupted`);
  // A step of the MINSTD generator: any spread will do, if it is the same for the same seed.
  const drawn = (BigInt(seed) + 1n) * 48271n % 2147483647n;
  const at = Number(drawn % BigInt(data.length));
  data[at] = (data[at] ?? 0) ^ (1 << (seed % 8));
  process.stderr.write(`fault store: flipped a bit of byte ${at} of ${data.length} read of ${name}, seed ${seed}\n`);
}
