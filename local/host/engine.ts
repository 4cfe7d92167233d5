/**
 * The durable engine: turns messages into episodes, runs activities, fires timers. All its state is in the journal; what it
 * keeps in memory is only what is running at this moment, so a crash at any point loses nothing but work that runs again.
 */
import { randomUUID } from 'node:crypto';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';
import type { Chaos } from './chaos';
import { concludeEpisode, isFinished, prepareEpisode } from './episode';
import { FunctionCalls, type FunctionCallsDeps } from './function-calls';
import type { HistoryEvent } from './history';
import type { HostSettings } from './host-json';
import { hexId, InstanceWriter } from './instance-writer';
import type { ActivityItem, Instance, Journal, Message } from './journal';
import type { Known } from './replay';
import { parseTraceparent } from './traces';

export interface EngineDeps extends FunctionCallsDeps {
  readonly journal: Journal;
  readonly settings: HostSettings;
  readonly chaos: Chaos | undefined;
  /** Called after each commit that touched an instance. */
  readonly onChange: (instanceId: string) => void;
  /** Called when something ended: the host may be at rest now. */
  readonly onQuiet: () => void;
}

export interface StartOptions {
  readonly instanceId?: string;
  /** JSON text; null for no input. */
  readonly input: string | null;
  /** W3C `traceparent` of whoever starts it; null or left out for none. */
  readonly traceparent?: string | null;
}

export class DurableEngine {
  readonly #deps: EngineDeps;
  readonly #known: Known;
  readonly #calls: FunctionCalls;
  readonly #writer: InstanceWriter;
  readonly #episodes = new Set<string>();
  readonly #activities = new Set<number>();
  /** Instances whose episode failed for a reason of the host's own; they wait for the next start instead of spinning. */
  readonly #stuck = new Set<string>();
  readonly #warned = new Set<string>();
  #live = 0;
  #epoch = 0;
  #open = false;
  #kicked = false;
  #cancelTimer: (() => void) | undefined;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
    this.#calls = new FunctionCalls(deps);
    this.#writer = new InstanceWriter(deps.journal, deps.metrics, deps.chaos, deps.traces);
    this.#known = {
      activity: (name) => deps.registry.find('activityTrigger', name) !== undefined,
      orchestrator: (name) => deps.registry.find('orchestrationTrigger', name) !== undefined,
    };
  }

  /** Starts taking work. */
  open(): void {
    this.#open = true;
    this.kick();
  }

  /** Stops taking work; what runs goes on, see `live`. */
  close(): void {
    this.#open = false;
    this.#cancelTimer?.();
  }

  /** From now on no result of anything that runs is recorded. */
  abandon(): void {
    this.close();
    this.#epoch++;
  }

  /** True while something is ready to run and does not run yet. */
  get ready(): boolean {
    return this.#open && (this.#kicked || this.#hasReady());
  }

  /** How many functions are running, zombies of a simulated crash included. */
  get live(): number {
    return this.#live;
  }

  /** When the next durable timer or delayed message after a time is due. */
  nextDueAt(afterMs: number): number | undefined {
    return this.#deps.journal.nextDueAt(afterMs);
  }

  /** Looks for work soon; calls in a row count once. */
  kick(): void {
    if (this.#kicked || !this.#open) return;
    this.#kicked = true;
    setImmediate(() => {
      this.#kicked = false;
      if (this.#open) this.#pump();
    });
  }

  startNew(name: string, options: StartOptions): string {
    const { journal, clock } = this.#deps;
    const instanceId = options.instanceId ?? hexId();
    journal.transaction(() => {
      const existing = journal.instance(instanceId);
      if (existing && !isFinished(existing.status)) {
        throw new HoldfastError('HOST_INSTANCE_EXISTS', `An Orchestration instance with the status ${existing.status} already exists.`, { data: { instanceId } });
      }
      const generation = existing ? (existing.generation ?? 0) + 1 : 0;
      this.#writer.create({ name, instanceId, executionId: randomUUID(), generation, input: options.input, parent: null, startedBy: parseTraceparent(options.traceparent ?? null) }, clock.now());
    });
    this.#deps.metrics.payload('input', name, options.input);
    this.#changed(instanceId);
    return instanceId;
  }

  /** Starts a finished or running instance's orchestration again; under a new id by default. */
  restart(instanceId: string, withNewId: boolean): string {
    const { journal, clock } = this.#deps;
    const target = withNewId ? hexId() : instanceId;
    journal.transaction(() => {
      const existing = this.#require(instanceId);
      if (!withNewId && !isFinished(existing.status)) {
        throw new HoldfastError('HOST_INSTANCE_EXISTS', `An Orchestration instance with the status ${existing.status} already exists.`, { data: { instanceId } });
      }
      this.#writer.create({ name: existing.name, instanceId: target, executionId: hexId(), generation: withNewId ? 0 : (existing.generation ?? 0) + 1, input: existing.input, parent: null }, clock.now());
    });
    this.#changed(target);
    return target;
  }

  /** Posts something to an instance: an event, a termination, a suspension. False when the instance has finished. */
  post(instanceId: string, event: HistoryEvent): boolean {
    const existing = this.#require(instanceId);
    if (isFinished(existing.status)) return false;
    this.#deps.journal.transaction(() => {
      this.#deps.journal.post({ instanceId, executionId: null, kind: 'event', events: [event], dueAtMs: this.#deps.clock.now() });
    });
    if ('Input' in event) this.#deps.metrics.payload('event', existing.name, event.Input);
    this.#changed(instanceId);
    return true;
  }

  purge(instanceIds: readonly string[]): void {
    this.#deps.journal.transaction(() => instanceIds.forEach((id) => this.#deps.journal.purge(id)));
    instanceIds.forEach((id) => this.#deps.onChange(id));
  }

  /** Forgets everything in memory, as a crash would, and goes on from the journal. */
  crash(): void {
    this.#epoch++;
    this.#episodes.clear();
    this.#activities.clear();
    this.#deps.log('debug', `Simulated crash (chaos seed ${String(this.#deps.chaos?.seed)}).`);
    this.kick();
  }

  #require(instanceId: string): Instance {
    const instance = this.#deps.journal.instance(instanceId);
    if (!instance) throw new HoldfastError('HOST_NO_SUCH_INSTANCE', `No instance with ID '${instanceId}' found.`, { data: { instanceId } });
    return instance;
  }

  #changed(instanceId: string): void {
    this.#deps.onChange(instanceId);
    this.kick();
  }

  #hasReady(): boolean {
    const { journal, clock, settings } = this.#deps;
    if (this.#episodes.size < settings.maxConcurrentOrchestrators
      && journal.dueInstances(clock.now()).some((id) => !this.#stuck.has(id) && !this.#episodes.has(id))) return true;
    return this.#activities.size < settings.maxConcurrentActivities
      && journal.activities(this.#activities.size + 1).some(({ id }) => !this.#activities.has(id));
  }

  #pump(): void {
    const { journal, clock, settings } = this.#deps;
    // One instant for what is due and for what comes next: with two, what falls due between them would be forgotten.
    const nowMs = clock.now();
    for (const id of journal.dueInstances(nowMs)) {
      if (this.#episodes.size >= settings.maxConcurrentOrchestrators) break;
      if (!this.#episodes.has(id) && !this.#stuck.has(id)) this.#go(this.#episodes, id, (epoch) => this.#episode(id, epoch));
    }
    for (const item of journal.activities(settings.maxConcurrentActivities + this.#activities.size)) {
      if (this.#activities.size >= settings.maxConcurrentActivities) break;
      if (!this.#activities.has(item.id)) this.#go(this.#activities, item.id, (epoch) => this.#activity(item, epoch));
    }
    this.#cancelTimer?.();
    const next = journal.nextDueAt(nowMs);
    this.#cancelTimer = next === undefined ? undefined : clock.setTimer(next, () => this.kick());
    this.#deps.onQuiet();
  }

  #go<T>(running: Set<T>, key: T, work: (epoch: number) => Promise<void>): void {
    const epoch = this.#epoch;
    running.add(key);
    this.#live++;
    work(epoch)
      .catch((error: unknown) => {
        if (typeof key === 'string') this.#stuck.add(key);
        this.#deps.log('critical', `The host failed at ${String(key)}: ${messageOf(error)}`, { stack: error instanceof Error ? error.stack : undefined });
      })
      .finally(() => {
        this.#live--;
        if (epoch === this.#epoch) running.delete(key);
        this.kick();
        this.#deps.onQuiet();
      });
  }

  /** True when the seed wants a crash here; the caller then drops what it has. */
  #crashHere(): boolean {
    if (!this.#deps.chaos?.crash()) return false;
    this.crash();
    return true;
  }

  async #episode(instanceId: string, epoch: number): Promise<void> {
    const { journal, clock } = this.#deps;
    const due = journal.dueMessages(instanceId, clock.now());
    const instance = journal.instance(instanceId);
    const head = due[0];
    const batch = head?.kind === 'continue' ? [head] : due;
    const usable = instance && !isFinished(instance.status) ? batch.filter(({ executionId }) => executionId === null || executionId === instance.executionId) : [];
    if (!instance || usable.length === 0) {
      journal.transaction(() => batch.forEach(({ id }) => journal.removeMessage(id)));
      return;
    }
    const prepared = prepareEpisode(journal.history(instanceId), this.#shuffled(usable), clock.now());
    const outcome = await this.#calls.orchestrator(instance, prepared);
    if (epoch !== this.#epoch || this.#crashHere()) return;
    const conclusion = concludeEpisode(instance, prepared, outcome, this.#known, clock.now());
    for (const warning of conclusion.warnings) this.#warnOnce(warning);
    const stillThere = journal.transaction(() => this.#writer.commit(instance, prepared, conclusion, batch, clock.now()));
    if (stillThere && isFinished(conclusion.status)) this.#deps.traces.ended(instanceId, instance.name, conclusion.status !== 'Completed');
    if (stillThere) this.#deps.onChange(instanceId);
    this.#crashHere();
  }

  #shuffled(messages: readonly Message[]): readonly Message[] {
    const { chaos } = this.#deps;
    if (!chaos) return messages;
    const completions = messages.filter((message) => message.kind === 'event' && message.executionId !== null);
    const shuffled = chaos.shuffle(completions);
    return messages.map((message) => (completions.includes(message) ? (shuffled.shift() ?? message) : message));
  }

  async #activity(item: ActivityItem, epoch: number): Promise<void> {
    if (this.#crashHere()) return;
    const style = this.#deps.chaos?.duplicate() ?? 'none';
    const first = this.#calls.activity(item);
    let event: HistoryEvent;
    if (style === 'atOnce') {
      const second = this.#calls.activity(item);
      event = await Promise.race([first, second]);
      this.#record(item, event, epoch);
      await Promise.all([first, second]);
      return;
    }
    event = await first;
    if (style === 'afterwards') await this.#calls.activity(item);
    this.#record(item, event, epoch);
  }

  /** The result and the end of the work item are one transaction: whoever comes second finds the item gone. */
  #record(item: ActivityItem, event: HistoryEvent, epoch: number): void {
    const { journal, clock, chaos } = this.#deps;
    if (epoch !== this.#epoch || this.#crashHere()) return;
    journal.transaction(() => {
      if (!journal.removeActivity(item.id)) return;
      journal.post({ instanceId: item.instanceId, executionId: item.executionId, kind: 'event', events: [event], dueAtMs: clock.now() + (chaos?.delayMs() ?? 0) });
    });
    this.kick();
    this.#crashHere();
  }

  #warnOnce(warning: string): void {
    if (this.#warned.has(warning)) return;
    this.#warned.add(warning);
    this.#deps.log('warning', warning);
  }
}
