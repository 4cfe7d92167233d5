/**
 * The durable engine: turns messages into episodes, runs activities, fires timers. All its state is in the journal; what it
 * keeps in memory is only what is running at this moment, so a crash at any point loses nothing but work that runs again.
 */
import { randomUUID } from 'node:crypto';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';
import { readOrchestratorOutput, stateOfFailure } from './actions';
import type { Chaos } from './chaos';
import type { Clock } from './clock';
import { childInstanceId, concludeEpisode, isFinished, orchestratorInput, outcomeOf, prepareEpisode, unknownOrchestrator, type Conclusion, type Outcome, type PreparedEpisode } from './episode';
import { events, timestamp, type HistoryEvent, type ParentInstance } from './history';
import type { HostSettings } from './host-json';
import type { Invoker, LogSink } from './invoke';
import type { ActivityItem, Instance, Journal, Message } from './journal';
import type { Metrics } from './metrics';
import type { FunctionRegistry, TypedData } from './registration';
import type { Known, Scheduled } from './replay';
import { activityFailure, activityInputData, jsonText, resultText, workerError } from './wire-values';

/** What passed between host and function; for tests and tracing. */
export interface InvocationRecord {
  readonly kind: 'orchestration' | 'activity';
  readonly function: string;
  readonly instanceId: string;
  readonly input: unknown;
  readonly output: unknown;
}

export interface EngineDeps {
  readonly journal: Journal;
  readonly registry: FunctionRegistry;
  readonly invoker: Invoker;
  readonly clock: Clock;
  readonly settings: HostSettings;
  readonly metrics: Metrics;
  readonly chaos: Chaos | undefined;
  readonly log: LogSink;
  /** Called after each commit that touched an instance. */
  readonly onChange: (instanceId: string) => void;
  /** Called when something ended: the host may be at rest now. */
  readonly onQuiet: () => void;
  readonly onInvocation: ((record: InvocationRecord) => void) | undefined;
}

export interface StartOptions {
  readonly instanceId?: string;
  /** JSON text; null for no input. */
  readonly input: string | null;
}

const hexId = (): string => randomUUID().replaceAll('-', '');

export class DurableEngine {
  readonly #deps: EngineDeps;
  readonly #known: Known;
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
      this.#create({ name, instanceId, executionId: randomUUID(), generation, input: options.input, parent: null }, clock.now());
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
      this.#create({ name: existing.name, instanceId: target, executionId: hexId(), generation: withNewId ? 0 : (existing.generation ?? 0) + 1, input: existing.input, parent: null }, clock.now());
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

  /** Within a transaction: the row, without what an earlier execution left, and the message that sets it going. */
  #create(start: { name: string; instanceId: string; executionId: string; generation: number | null; input: string | null; parent: ParentInstance | null }, nowMs: number): void {
    const { journal } = this.#deps;
    journal.purge(start.instanceId);
    const { name, instanceId, executionId, generation, input, parent } = start;
    journal.saveInstance({ instanceId, executionId, name, generation, status: 'Pending', input, output: null, customStatus: null, createdAtMs: nowMs, updatedAtMs: nowMs, parent });
    journal.post({ instanceId, executionId, kind: 'start', events: [events.executionStarted(start, nowMs)], dueAtMs: nowMs });
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
    const outcome = await this.#invokeOrchestrator(instance, prepared);
    if (epoch !== this.#epoch || this.#crashHere()) return;
    const conclusion = concludeEpisode(instance, prepared, outcome, this.#known, clock.now());
    for (const warning of conclusion.warnings) this.#warnOnce(warning);
    const stillThere = journal.transaction(() => this.#commit(instance, prepared, conclusion, batch));
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

  async #invokeOrchestrator(instance: Instance, prepared: PreparedEpisode): Promise<Outcome> {
    const { registry, invoker, onInvocation } = this.#deps;
    const target = registry.find('orchestrationTrigger', instance.name);
    if (!target) return { failure: unknownOrchestrator(instance.name, registry.ofKind('orchestrationTrigger').map(({ name }) => name)) };
    const input = orchestratorInput(instance, prepared);
    const seen = (output: unknown): void => onInvocation?.({ kind: 'orchestration', function: target.name, instanceId: instance.instanceId, input, output });
    try {
      const { response } = await invoker.invoke(target, { data: { string: JSON.stringify(input) } });
      const { returnValue } = await response();
      const state: unknown = JSON.parse(returnValue?.json ?? 'null');
      seen(state);
      return outcomeOf(() => readOrchestratorOutput(state));
    } catch (error) {
      const state = stateOfFailure(messageOf(error));
      seen(state ?? { threw: messageOf(error) });
      return state === undefined ? { failure: messageOf(error) } : outcomeOf(() => readOrchestratorOutput(state));
    }
  }

  /** One transaction: what was consumed goes, what was decided comes. False when the instance was purged meanwhile. */
  #commit(instance: Instance, prepared: PreparedEpisode, conclusion: Conclusion, consumed: readonly Message[]): boolean {
    const { journal, clock, metrics } = this.#deps;
    const nowMs = clock.now();
    const current = journal.instance(instance.instanceId);
    consumed.forEach(({ id }) => journal.removeMessage(id));
    if (current?.executionId !== instance.executionId) return false;
    const { instanceId, executionId, name } = instance;
    metrics.historyLength(name, prepared.past.length + conclusion.appended.length);
    metrics.payload('customStatus', name, conclusion.customStatus);
    if (conclusion.continueAsNew) {
      this.#continue(instance, conclusion, nowMs);
      return true;
    }
    journal.appendHistory(instanceId, prepared.past.length, conclusion.appended);
    for (const id of conclusion.cancelledTimers) journal.removeTimer(instanceId, executionId, id);
    for (const task of conclusion.scheduled) this.#dispatch(instance, task, conclusion.cancelledTimers.includes(task.id), nowMs);
    journal.saveInstance({ ...instance, status: conclusion.status, output: conclusion.output, customStatus: conclusion.customStatus, updatedAtMs: nowMs });
    if (isFinished(conclusion.status)) {
      metrics.payload('output', name, conclusion.output);
      journal.removeTimersOf(instanceId, executionId);
      if (instance.parent) this.#tellParent(instance.parent, conclusion, nowMs);
    }
    return true;
  }

  #continue(instance: Instance, conclusion: Conclusion, nowMs: number): void {
    const { journal } = this.#deps;
    const { instanceId, name, parent } = instance;
    const input = conclusion.continueAsNew?.input ?? null;
    const executionId = hexId();
    journal.removeTimersOf(instanceId, instance.executionId);
    journal.clearHistory(instanceId);
    journal.saveInstance({ ...instance, executionId, generation: null, status: 'Running', input, output: null, customStatus: conclusion.customStatus, createdAtMs: nowMs, updatedAtMs: nowMs });
    const start = events.executionStarted({ instanceId, executionId, parent, name, input, generation: null }, nowMs);
    journal.post({ instanceId, executionId, kind: 'continue', events: [start, ...(conclusion.continueAsNew?.carried ?? [])], dueAtMs: nowMs });
    this.#deps.metrics.payload('input', name, input);
  }

  #dispatch(instance: Instance, task: Scheduled, cancelled: boolean, nowMs: number): void {
    const { journal, metrics } = this.#deps;
    const { instanceId, executionId } = instance;
    if (task.kind === 'activity') {
      const input = jsonText(task.input);
      metrics.payload('activityInput', task.name, input);
      journal.enqueueActivity({ instanceId, executionId, taskId: task.id, name: task.name, input });
    } else if (task.kind === 'timer') {
      const event = events.timerFired(task.id, task.fireAtMs, nowMs);
      if (!cancelled) journal.post({ instanceId, executionId, kind: 'event', events: [event], dueAtMs: Math.max(task.fireAtMs, nowMs), timerId: task.id });
    } else {
      this.#startChild(instance, task, nowMs);
    }
  }

  #startChild(parent: Instance, task: Extract<Scheduled, { kind: 'child' }>, nowMs: number): void {
    const { journal, metrics } = this.#deps;
    const instanceId = childInstanceId(parent, task);
    const existing = journal.instance(instanceId);
    if (existing && !isFinished(existing.status)) {
      const reason = `Orchestrator function '${task.name}' failed: an instance with the ID '${instanceId}' is already ${existing.status}.`;
      journal.post({ instanceId: parent.instanceId, executionId: parent.executionId, kind: 'event', events: [events.subFailed(task.id, reason, '', nowMs)], dueAtMs: nowMs });
      return;
    }
    const input = jsonText(task.input);
    metrics.payload('input', task.name, input);
    const link: ParentInstance = { Name: parent.name, OrchestrationInstance: { InstanceId: parent.instanceId, ExecutionId: parent.executionId }, TaskScheduleId: task.id, Version: null };
    this.#create({ name: task.name, instanceId, executionId: hexId(), generation: null, input, parent: link }, nowMs);
  }

  #tellParent(parent: ParentInstance, conclusion: Conclusion, nowMs: number): void {
    const { InstanceId: instanceId, ExecutionId: executionId } = parent.OrchestrationInstance;
    const event = conclusion.failure
      ? events.subFailed(parent.TaskScheduleId, conclusion.failure.reason, conclusion.failure.details, nowMs)
      : events.subCompleted(parent.TaskScheduleId, conclusion.output, nowMs);
    this.#deps.journal.post({ instanceId, executionId, kind: 'event', events: [event], dueAtMs: nowMs + (this.#deps.chaos?.delayMs() ?? 0) });
  }

  async #activity(item: ActivityItem, epoch: number): Promise<void> {
    if (this.#crashHere()) return;
    const style = this.#deps.chaos?.duplicate() ?? 'none';
    const first = this.#runActivity(item);
    let event: HistoryEvent;
    if (style === 'atOnce') {
      const second = this.#runActivity(item);
      event = await Promise.race([first, second]);
      this.#record(item, event, epoch);
      await Promise.all([first, second]);
      return;
    }
    event = await first;
    if (style === 'afterwards') await this.#runActivity(item);
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

  async #runActivity(item: ActivityItem): Promise<HistoryEvent> {
    const { registry, clock, metrics, invoker, onInvocation } = this.#deps;
    const target = registry.find('activityTrigger', item.name);
    if (!target) {
      const reason = `The activity function '${item.name}' is not registered any more.`;
      return events.taskFailed(item.taskId, reason, reason, clock.now());
    }
    const argument: unknown = item.input === null ? undefined : JSON.parse(item.input);
    const data = activityInputData(argument);
    const metadata: Record<string, TypedData> = { instanceId: { string: item.instanceId } };
    if (data) {
      metadata[target.trigger.name] = data;
      metadata['data'] = { string: item.input ?? '' };
    }
    try {
      const { returned, response } = await invoker.invoke(target, { data, triggerMetadata: metadata });
      onInvocation?.({ kind: 'activity', function: target.name, instanceId: item.instanceId, input: argument, output: returned });
      const result = resultText((await response()).returnValue);
      metrics.payload('activityResult', target.name, result);
      return events.taskCompleted(item.taskId, result, clock.now());
    } catch (error) {
      // The worker reports `throw undefined` and `throw null` as success.
      if (error === undefined || error === null) return events.taskCompleted(item.taskId, null, clock.now());
      const failure = activityFailure(item.name, workerError(error));
      this.#deps.log('warning', failure.reason, { function: target.name, instanceId: item.instanceId, at: timestamp(clock.now()) });
      return events.taskFailed(item.taskId, failure.reason, failure.details, clock.now());
    }
  }

  #warnOnce(warning: string): void {
    if (this.#warned.has(warning)) return;
    this.#warned.add(warning);
    this.#deps.log('warning', warning);
  }
}
