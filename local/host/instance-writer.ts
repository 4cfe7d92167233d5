/** Writes what an episode decided: the part of a step that is one transaction. */
import { randomUUID } from 'node:crypto';
import type { Chaos } from './chaos';
import { childInstanceId, isFinished, type Conclusion, type PreparedEpisode } from './episode';
import { events, type ParentInstance } from './history';
import type { Instance, Journal, Message } from './journal';
import type { Metrics } from './metrics';
import type { Scheduled } from './replay';
import type { HostTraces, parseTraceparent } from './traces';
import { jsonText } from './wire-values';

/** Ids that the extension makes have no dashes, those of client starts have. */
export const hexId = (): string => randomUUID().replaceAll('-', '');

export interface NewExecution {
  readonly name: string;
  readonly instanceId: string;
  readonly executionId: string;
  readonly generation: number | null;
  /** JSON text. */
  readonly input: string | null;
  readonly parent: ParentInstance | null;
  /** The span of whoever starts it. */
  readonly startedBy?: ReturnType<HostTraces['of']> | ReturnType<typeof parseTraceparent>;
}

/** Every method is to be called within a transaction of the journal. */
export class InstanceWriter {
  constructor(private readonly journal: Journal, private readonly metrics: Metrics, private readonly chaos: Chaos | undefined, private readonly traces: HostTraces) {}

  /** The row, without what an earlier execution left, and the message that sets it going. */
  create(start: NewExecution, nowMs: number): void {
    const { journal } = this;
    this.metrics.instanceId(start.instanceId);
    journal.purge(start.instanceId);
    const { name, instanceId, executionId, generation, input, parent } = start;
    journal.saveInstance({ instanceId, executionId, name, generation, status: 'Pending', input, output: null, customStatus: null, createdAtMs: nowMs, updatedAtMs: nowMs, parent });
    this.traces.started(instanceId, start.startedBy);
    journal.post({ instanceId, executionId, kind: 'start', events: [events.executionStarted(start, nowMs)], dueAtMs: nowMs });
  }

  /** What was consumed goes, what was decided comes. False when the instance was purged meanwhile. */
  commit(instance: Instance, prepared: PreparedEpisode, conclusion: Conclusion, consumed: readonly Message[], nowMs: number): boolean {
    const { journal, metrics } = this;
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
    const { journal } = this;
    const { instanceId, name, parent } = instance;
    const input = conclusion.continueAsNew?.input ?? null;
    const executionId = hexId();
    journal.removeTimersOf(instanceId, instance.executionId);
    journal.clearHistory(instanceId);
    journal.saveInstance({ ...instance, executionId, generation: null, status: 'Running', input, output: null, customStatus: conclusion.customStatus, createdAtMs: nowMs, updatedAtMs: nowMs });
    const start = events.executionStarted({ instanceId, executionId, parent, name, input, generation: null }, nowMs);
    journal.post({ instanceId, executionId, kind: 'continue', events: [start, ...(conclusion.continueAsNew?.carried ?? [])], dueAtMs: nowMs });
    this.metrics.payload('input', name, input);
  }

  #dispatch(instance: Instance, task: Scheduled, cancelled: boolean, nowMs: number): void {
    const { journal, metrics } = this;
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
    const { journal, metrics } = this;
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
    this.create({ name: task.name, instanceId, executionId: hexId(), generation: null, input, parent: link, startedBy: this.traces.of(parent.instanceId) }, nowMs);
  }

  #tellParent(parent: ParentInstance, conclusion: Conclusion, nowMs: number): void {
    const { InstanceId: instanceId, ExecutionId: executionId } = parent.OrchestrationInstance;
    const event = conclusion.failure
      ? events.subFailed(parent.TaskScheduleId, conclusion.failure.reason, conclusion.failure.details, nowMs)
      : events.subCompleted(parent.TaskScheduleId, conclusion.output, nowMs);
    this.journal.post({ instanceId, executionId, kind: 'event', events: [event], dueAtMs: nowMs + (this.chaos?.delayMs() ?? 0) });
  }
}
