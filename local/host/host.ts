/**
 * The embedded host: runs an unmodified app of `@azure/functions` and `durable-functions` on one machine.
 *
 *   const host = await createHost({ entry: 'dist/functions/register.js', stateFolder: '.holdfast/host', port: 7071 });
 *   await host.start();
 *   const id = await host.client.startNew('backup', { input: {...} });
 *   const status = await host.waitFor(id);
 *   await host.stop();
 *
 * In tests: `load` registers functions from code, `stateFolder: ':memory:'`, `clock: new VirtualClock()`; then
 * `host.advanceTo(ms)` lives through time, `host.fetch('/api/...')` calls a function without a socket.
 * Functions reach the durable client over HTTP on a loopback port of its own, exactly as in Azure; so `start()` always opens
 * that port, while `port` opens the public one only when it is given.
 */
import { HoldfastError } from '../../errors/holdfast-error';
import { collectRegistrations, requireEntry } from './core-module';
import { Chaos, type ChaosOptions } from './chaos';
import { realClock, VirtualClock, type Clock } from './clock';
import { DurableEngine } from './engine';
import type { InvocationRecord } from './function-calls';
import { HostClient } from './host-client';
import { readHostSettings, type HostSettings } from './host-json';
import { HostWeb } from './host-web';
import { HttpFunctions } from './http-functions';
import { Invoker, type LogSink } from './invoke';
import { Journal } from './journal';
import { readKeys, type HostKeys } from './keys';
import { Metrics, type MetricsSnapshot, type PayloadKind } from './metrics';
import { Quiet } from './quiet';
import { FunctionRegistry } from './registration';
import type { InstanceStatus } from './status-json';
import { TimerFunctions } from './timer-functions';
import { HostTraces, type SpanSink } from './traces';
import { waitForInstance, type WaitOptions } from './wait-for';

export interface HostOptions {
  /** The app's main file; it is required anew for every host. */
  readonly entry?: string;
  /** Registers functions from code, instead of or after `entry`. */
  readonly load?: () => void;
  /** Folder of the journal, or ':memory:'. */
  readonly stateFolder: string;
  readonly hostJsonPath?: string;
  /** Public port; 0 takes any free one, undefined opens none. */
  readonly port?: number;
  readonly hostname?: string;
  readonly clock?: Clock;
  readonly chaos?: ChaosOptions;
  readonly log?: LogSink;
  /** Environment variables that the app sees while the host exists; restored by stop(). */
  readonly env?: Readonly<Record<string, string>>;
  /** Overrides host.json. */
  readonly maxConcurrentActivities?: number;
  /** The same; '' serves routes from the root, as this app wants it. */
  readonly routePrefix?: string;
  /**
   * Called for every payload above 45 KB, every custom status above 16 KB of UTF-16 and every instance id above 100 characters. Without it such a thing is
   * an error, which whoever waits for the host, or stops it, is told: that is how tests run.
   */
  readonly onLargePayload?: (kind: PayloadKind, name: string, bytes: number) => void;
  /** Takes the host's own spans; without it there are no traces. */
  readonly onSpan?: SpanSink;
  /** What GET /metrics answers, as the text that Prometheus reads; without it that address is not found. */
  readonly metricsText?: () => Promise<string>;
  /** Called with what passed between host and functions. */
  readonly onInvocation?: (record: InvocationRecord) => void;
}

/** How much virtual time a wait may leap over: a year. */
const longestWaitMs = 366 * 86_400_000;

export type StatusListener = (status: InstanceStatus) => void;

/** Loads the app and opens its state; nothing runs before start(). */
export async function createHost(options: HostOptions): Promise<EmbeddedHost> {
  const restoreEnv = applyEnv(options.env ?? {});
  try {
    return await Promise.resolve(new EmbeddedHost(options, restoreEnv));
  } catch (error) {
    restoreEnv();
    throw error;
  }
}

export class EmbeddedHost {
  readonly settings: HostSettings;
  readonly keys: HostKeys;
  readonly client: HostClient;
  readonly chaos: Chaos | undefined;
  readonly #options: HostOptions;
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #engine: DurableEngine;
  readonly #timers: TimerFunctions;
  readonly #http: HttpFunctions;
  readonly #invoker: Invoker;
  readonly #metrics: Metrics;
  readonly #quiet: Quiet;
  readonly #web: HostWeb;
  readonly #listeners = new Set<StatusListener>();
  readonly #restoreEnv: () => void;
  #state: 'created' | 'running' | 'stopped' = 'created';
  /** What was refused, in words. */
  #tooLarge: string | undefined;

  constructor(options: HostOptions, restoreEnv: () => void) {
    this.#options = options;
    this.#restoreEnv = restoreEnv;
    const log: LogSink = options.log ?? (() => undefined);
    const settings = readHostSettings(options.hostJsonPath);
    const { maxConcurrentActivities = settings.maxConcurrentActivities, routePrefix = settings.routePrefix } = options;
    this.settings = { ...settings, maxConcurrentActivities, routePrefix };
    this.#clock = options.clock ?? realClock;
    this.chaos = options.chaos && new Chaos(options.chaos);
    this.#metrics = new Metrics(options.onLargePayload ?? ((kind, name, bytes) => {
      this.#tooLarge ??= `The ${kind} of ${name} has ${String(bytes)} ${kind === 'instanceId' ? 'characters' : 'bytes'}: too much for Azure (45 KB, a custom status 16 KB of UTF-16, an instance id 100 characters)`;
    }));
    const registrations = collectRegistrations(() => {
      if (options.entry !== undefined) requireEntry(options.entry);
      options.load?.();
    }, log);
    if (registrations.functions.length === 0) {
      throw new HoldfastError('HOST_APP_INVALID', 'The app registered no function. If it was loaded before the host in this process, import local/host first.', { data: { entry: options.entry ?? null } });
    }
    const registry = new FunctionRegistry(registrations.functions);
    this.#invoker = new Invoker(registrations.hooks, log);
    this.#journal = Journal.open(options.stateFolder);
    try {
      this.keys = readKeys(this.#journal);
      this.#quiet = new Quiet(this.#clock, () => this.#load());
      const traces = new HostTraces(this.#journal, options.onSpan);
      const common = { traces, journal: this.#journal, registry, invoker: this.#invoker, clock: this.#clock, log };
      const durableClient = (origin?: string): unknown => this.#web.durableClient(origin);
      this.#engine = new DurableEngine({
        ...common, durableClient: () => durableClient(), settings: this.settings, metrics: this.#metrics, chaos: this.chaos, onChange: (id) => this.#notify(id), onQuiet: () => this.#quiet.check(), onInvocation: options.onInvocation,
      });
      this.#web = new HostWeb({
        journal: this.#journal, engine: this.#engine, clock: this.#clock, keys: this.keys, taskHubName: this.settings.taskHubName, log, registry,
        fireTimer: (name) => this.#timers.fire(name),
        http: (request) => this.#http.handle(request),
        metricsText: options.metricsText,
        waitUntilFinished: (id, timeoutMs) => this.#waitUntilFinished(id, timeoutMs),
        onChange: () => this.#quiet.check(),
      });
      this.#http = new HttpFunctions(registry, this.settings.routePrefix, this.keys, this.#invoker, durableClient, log, traces);
      this.#timers = new TimerFunctions({ ...common, durableClient: () => durableClient(), onChange: () => this.#quiet.check() });
      this.client = new HostClient(this.#journal, this.#engine, this.#clock);
    } catch (error) {
      this.#journal.close();
      throw error;
    }
  }

  /** Opens the ports, then takes up the work that the journal holds. Throws PORT_IN_USE. */
  async start(): Promise<void> {
    if (this.#state !== 'created') throw new HoldfastError('HOST_STOPPED', `The host was ${this.#state === 'running' ? 'started' : 'stopped'} already; create a new one.`);
    await this.#web.open(this.#options.port, this.#options.hostname ?? '127.0.0.1');
    this.#state = 'running';
    await this.#invoker.runHooks('appStart', { hookData: {}, appHookData: {} });
    this.#engine.open();
    this.#timers.open();
  }

  /**
   * Takes no more work, waits up to `graceMs` for what runs, and closes the journal. What has not ended by then is left to
   * itself; its result is not recorded, and it runs again at the next start.
   */
  async stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    if (this.#state === 'stopped') return;
    const wasRunning = this.#state === 'running';
    this.#state = 'stopped';
    this.#engine.close();
    this.#timers.close();
    const closing = this.#web.close();
    await this.#quiet.untilIdle(options.graceMs ?? 5000);
    this.#engine.abandon();
    if (wasRunning) await this.#invoker.runHooks('appTerminate', { hookData: {}, appHookData: {} });
    await closing;
    this.#journal.close();
    this.#restoreEnv();
    this.#refuseTooLarge();
  }

  /** Address of the public port, without a slash at its end. */
  get url(): string {
    return this.#web.origin;
  }

  get clock(): Clock {
    return this.#clock;
  }

  /** Paths and methods of the HTTP functions. */
  routes(): ReturnType<HttpFunctions['routes']> {
    return this.#http.routes();
  }

  /** Calls an HTTP function or the management API without a socket. `path` begins with a slash. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    this.#running();
    const request = new Request(new URL(path, this.url), init);
    const body = new Uint8Array(await request.arrayBuffer());
    return this.#web.handle({ method: request.method.toUpperCase(), url: new URL(request.url), headers: request.headers, body });
  }

  /** Runs a timer function now and waits for its end, whatever its schedule says. */
  async runTimer(name: string): Promise<void> {
    this.#running();
    if (!(await this.#timers.fire(name))) throw new HoldfastError('HOST_APP_INVALID', `There is no timer function "${name}".`, { data: { function: name } });
  }

  onStatusChange(listener: StatusListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  metrics(): MetricsSnapshot {
    return this.#metrics.snapshot();
  }

  /** Resolves when nothing runs and nothing is ready to run. Time stands still meanwhile, on a virtual clock. */
  async settle(): Promise<void> {
    await this.#quiet.untilIdle();
    this.#refuseTooLarge();
  }

  /**
   * Resolves when no durable work is left at all. A virtual clock leaps over durable timers as far as needed, timer
   * functions that fall due on the way included, but not more than `limitMs` (a year).
   */
  async runUntilIdle(limitMs = longestWaitMs): Promise<void> {
    const endMs = this.#clock.now() + limitMs;
    for (;;) {
      const beforeMs = this.#clock.now();
      await this.settle();
      const next = this.#nextDurable(beforeMs);
      if (next === undefined) return;
      if (next > endMs) throw this.#failure(`Still not idle after ${String(limitMs)} ms of host time`);
      if (this.#clock instanceof VirtualClock) this.#clock.leapTo(next);
      else await this.#quiet.nextChange();
    }
  }

  /** Lets virtual time pass until `atMs`, firing everything that falls due, each at its time. */
  async advanceTo(atMs: number): Promise<void> {
    const clock = this.#clock;
    if (!(clock instanceof VirtualClock)) throw this.#failure('advanceTo needs a virtual clock');
    do await this.settle(); while (clock.leapTo(atMs));
    await this.settle();
  }

  /** The status of an instance once it is as wanted; see WaitOptions. */
  async waitFor(instanceId: string, options: WaitOptions = {}): Promise<InstanceStatus> {
    const endMs = this.#clock.now() + longestWaitMs;
    return waitForInstance(instanceId, options, {
      status: () => this.client.find(instanceId),
      settle: () => this.settle(),
      leap: () => this.#leapOnce(endMs),
      onChange: (listener) => this.onStatusChange(listener),
      failure: (message) => this.#failure(message),
    });
  }

  #nextDurable(afterMs: number): number | undefined {
    const sleeping = this.#clock instanceof VirtualClock && this.#engine.live > 0;
    return sleeping ? this.#clock.nextTimerAt() : this.#engine.nextDueAt(afterMs);
  }

  /** Moves virtual time on to whatever comes next; undefined on a real clock, false when nothing will ever come. */
  #leapOnce(endMs: number): boolean | undefined {
    const clock = this.#clock;
    if (!(clock instanceof VirtualClock)) return undefined;
    const next = clock.nextTimerAt();
    return next === undefined || next > endMs ? false : clock.leapTo(next);
  }

  async #waitUntilFinished(instanceId: string, timeoutMs: number): Promise<void> {
    let stop: () => void = () => undefined;
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.setTimer(this.#clock.now() + timeoutMs, resolve);
      const unsubscribe = this.onStatusChange(() => check());
      const check = (): void => {
        if (this.client.isFinished(instanceId)) resolve();
      };
      stop = () => {
        cancel();
        unsubscribe();
      };
      check();
    });
    stop();
  }

  #load(): { live: number; ready: boolean } {
    return { live: this.#engine.live + this.#web.inFlight + this.#timers.running, ready: this.#engine.ready };
  }

  #notify(instanceId: string): void {
    if (this.#listeners.size === 0) return;
    const status = this.client.find(instanceId);
    if (status) for (const listener of [...this.#listeners]) listener(status);
  }

  #refuseTooLarge(): void {
    if (this.#tooLarge !== undefined) throw this.#failure(this.#tooLarge);
  }

  #running(): void {
    if (this.#state !== 'running') throw new HoldfastError('HOST_STOPPED', `The host is ${this.#state === 'created' ? 'not started yet' : 'stopped'}.`);
  }

  #failure(message: string): HoldfastError {
    return new HoldfastError('INTERNAL', this.chaos ? `${message} (chaos seed ${String(this.chaos.seed)})` : message);
  }
}

function applyEnv(values: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  };
}
