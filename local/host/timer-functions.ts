/**
 * Timer-triggered functions: NCRONTAB schedules of six fields in UTC, one run at a time, with a monitor that notices runs
 * that were missed while the host was down (observed: test/fixtures/durable, 22).
 */
import { Cron } from 'croner';
import { randomUUID } from 'node:crypto';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';
import type { Clock } from './clock';
import type { Invoker, LogSink } from './invoke';
import type { Journal } from './journal';
import type { FunctionRegistry, RegisteredFunction, RetryPolicy } from './registration';
import type { HostTraces } from './traces';
import { workerError } from './wire-values';

interface ScheduleStatus {
  readonly Last: string;
  readonly Next: string;
  readonly LastUpdated: string;
}

/** The genuine host does not monitor schedules that recur more often than this. */
const shortestMonitoredMs = 60_000;
const never = '0001-01-01T00:00:00+00:00';
const stamp = (atMs: number): string => new Date(atMs).toISOString().replace(/\.?0*Z$/, '+00:00');

interface TimerDeps {
  readonly registry: FunctionRegistry;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly invoker: Invoker;
  readonly durableClient: () => unknown;
  readonly log: LogSink;
  readonly traces: HostTraces;
  /** Called when a run begins or ends. */
  readonly onChange: () => void;
}

class TimerFunction {
  readonly cron: Cron;
  readonly monitored: boolean;
  cancel: () => void = () => undefined;
  running: Promise<void> | undefined;

  constructor(readonly target: RegisteredFunction, nowMs: number) {
    this.cron = parseSchedule(target);
    const [first, second] = this.cron.nextRuns(2, new Date(nowMs));
    const often = first !== undefined && second !== undefined && second.getTime() - first.getTime() < shortestMonitoredMs;
    this.monitored = target.trigger.useMonitor !== false && !often;
  }

  nextAfter(atMs: number): number | undefined {
    return this.cron.nextRun(new Date(atMs))?.getTime();
  }
}

function parseSchedule(target: RegisteredFunction): Cron {
  const given = target.trigger.schedule ?? '';
  const setting = /^%(.+)%$/.exec(given)?.[1];
  const schedule = setting === undefined ? given : (process.env[setting] ?? '');
  const invalid = (why: string, cause?: unknown): HoldfastError =>
    new HoldfastError('HOST_APP_INVALID', `The schedule "${schedule}"${setting === undefined ? '' : ` from the setting ${setting}`} of timer "${target.name}" ${why}.`, { data: { function: target.name, schedule }, cause });
  if (schedule.trim().split(/\s+/).length !== 6) throw invalid('does not have the six fields of NCRONTAB (second minute hour day month weekday)');
  try {
    return new Cron(schedule, { timezone: 'UTC', paused: true, domAndDow: true });
  } catch (error) {
    throw invalid(`is not valid: ${messageOf(error)}`, error);
  }
}

export class TimerFunctions {
  readonly #timers: readonly TimerFunction[];
  #open = false;
  #running = 0;

  constructor(private readonly deps: TimerDeps) {
    this.#timers = deps.registry.ofKind('timerTrigger').map((target) => new TimerFunction(target, deps.clock.now()));
  }

  /** How many runs are under way. */
  get running(): number {
    return this.#running;
  }

  open(): void {
    this.#open = true;
    for (const timer of this.#timers) {
      const missed = this.#missed(timer);
      if (missed || timer.target.trigger.runOnStartup === true) this.#run(timer, missed);
      else this.#arm(timer);
    }
  }

  close(): void {
    this.#open = false;
    for (const timer of this.#timers) timer.cancel();
  }

  /** Runs a timer function now, as the admin endpoint does; waits for its end. False when there is none of this name. */
  async fire(name: string): Promise<boolean> {
    const timer = this.#timers.find(({ target }) => target.name.toLowerCase() === name.toLowerCase());
    if (!timer) return false;
    await this.#execute(timer, false);
    return true;
  }

  /** True when the monitor remembers a run that should have happened while the host was down. */
  #missed(timer: TimerFunction): boolean {
    const { journal, clock } = this.deps;
    if (!timer.monitored) return false;
    const known = this.#status(timer);
    if (known) return Date.parse(known.Next) < clock.now();
    const next = timer.nextAfter(clock.now());
    if (next !== undefined) journal.saveSchedule(timer.target.name, JSON.stringify({ Last: never, Next: stamp(next), LastUpdated: stamp(clock.now()) } satisfies ScheduleStatus));
    return false;
  }

  #status(timer: TimerFunction): ScheduleStatus | undefined {
    const saved = this.deps.journal.schedule(timer.target.name);
    return saved === undefined ? undefined : (JSON.parse(saved) as ScheduleStatus);
  }

  #arm(timer: TimerFunction): void {
    if (!this.#open) return;
    const next = timer.nextAfter(this.deps.clock.now());
    if (next === undefined) return;
    timer.cancel = this.deps.clock.setTimer(next, () => this.#run(timer, false));
  }

  #run(timer: TimerFunction, isPastDue: boolean): void {
    if (!this.#open) return;
    void this.#execute(timer, isPastDue).then(() => {
      if (!this.#open) return;
      this.#remember(timer);
      this.#arm(timer);
    });
  }

  #remember(timer: TimerFunction): void {
    const { journal, clock } = this.deps;
    const next = timer.nextAfter(clock.now());
    if (!timer.monitored || next === undefined) return;
    const ran = stamp(clock.now());
    journal.saveSchedule(timer.target.name, JSON.stringify({ Last: ran, Next: stamp(next), LastUpdated: ran } satisfies ScheduleStatus));
  }

  /** Never rejects: a timer function that fails is logged, and its schedule goes on. Runs of one timer never overlap. */
  async #execute(timer: TimerFunction, isPastDue: boolean): Promise<void> {
    this.#running++;
    this.deps.onChange();
    const before = timer.running;
    const current = (async () => {
      await before;
      await this.#attempts(timer, isPastDue);
    })();
    timer.running = current;
    try {
      await current;
    } finally {
      this.#running--;
      this.deps.onChange();
    }
  }

  async #attempts(timer: TimerFunction, isPastDue: boolean): Promise<void> {
    const { target } = timer;
    const policy = target.retryOptions;
    const maxRetryCount = policy?.maxRetryCount ?? 0;
    const invocationId = randomUUID();
    const payload = { Schedule: { AdjustForDST: true }, ScheduleStatus: timer.monitored ? (this.#status(timer) ?? null) : null, IsPastDue: isPastDue };
    let exception: { message: string } | undefined;
    for (let retryCount = 0; ; retryCount++) {
      try {
        const retryContext = policy ? { retryCount, maxRetryCount, ...(exception ? { exception } : {}) } : null;
        await this.deps.traces.run(target.name, undefined, { 'faas.trigger': 'timer' },
          (trace) => this.deps.invoker.invoke(target, { data: { json: JSON.stringify(payload) }, retryContext, durableClient: this.deps.durableClient, trace }, invocationId));
        return;
      } catch (error) {
        exception = { message: workerError(error).message };
        this.deps.log('error', `Timer function "${target.name}" failed: ${exception.message}`, { function: target.name, retryCount });
        if (!policy || (maxRetryCount >= 0 && retryCount >= maxRetryCount) || !this.#open) return;
        await this.#pause(retryPauseMs(policy, retryCount));
      }
    }
  }

  #pause(ms: number): Promise<void> {
    const { clock } = this.deps;
    this.#running--;
    this.deps.onChange();
    return new Promise((resolve) => {
      clock.setTimer(clock.now() + ms, () => {
        this.#running++;
        resolve();
      });
    });
  }
}

function retryPauseMs(policy: RetryPolicy, retryCount: number): number {
  if (policy.retryStrategy === 'fixedDelay') return (policy.delayInterval?.seconds ?? 0) * 1000;
  const seconds = (policy.minimumInterval?.seconds ?? 0) * 2 ** retryCount;
  return Math.min(seconds, policy.maximumInterval?.seconds ?? seconds) * 1000;
}
