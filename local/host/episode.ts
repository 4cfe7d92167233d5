/**
 * One episode of an instance, without its side effects: what the orchestrator is sent, and what follows from what it
 * returned. Pure functions of their arguments and a given time.
 */
import { UnsupportedAction, type OrchestratorOutput } from './actions';
import { EventType, continuedHistory, events, historyToSend, type HistoryEvent } from './history';
import type { Instance, Message, RuntimeStatus } from './journal';
import { jsonText } from './wire-values';
import { NonDeterminism, replay, type Decision, type Known, type Scheduled } from './replay';

export interface PreparedEpisode {
  /** What is sent: the whole history, this episode's new events included. */
  readonly sent: readonly HistoryEvent[];
  /** The new events as they will stand in the journal. */
  readonly fresh: readonly HistoryEvent[];
  readonly past: readonly HistoryEvent[];
  /** True in the first episode of a start or of a generation. */
  readonly first: boolean;
  /** True in the first episode after continue-as-new. */
  readonly continued: boolean;
}

/** @param messages those that this episode consumes, in order; a start or a continuation comes first */
export function prepareEpisode(past: readonly HistoryEvent[], messages: readonly Message[], nowMs: number): PreparedEpisode {
  const head = messages[0];
  const arrived = messages.flatMap((message) => message.events);
  if (head?.kind === 'continue') {
    const [start, ...carried] = head.events;
    if (!start) throw new Error('A continuation without its start event: the journal is damaged.');
    const { first, asPast } = continuedHistory(start, carried, nowMs);
    return { sent: first, fresh: asPast, past: [], first: true, continued: true };
  }
  const fresh = [events.orchestratorStarted(nowMs), ...arrived];
  return { sent: historyToSend(past, fresh), fresh, past, first: past.length === 0, continued: false };
}

/** The JSON that the orchestration trigger receives; spelling as the extension has it. */
export function orchestratorInput(instance: Instance, episode: PreparedEpisode): Record<string, unknown> {
  return {
    history: episode.sent,
    input: instance.input === null ? null : (JSON.parse(instance.input) as unknown),
    instanceId: instance.instanceId,
    isReplaying: !episode.first,
    parentInstanceId: instance.parent?.OrchestrationInstance.InstanceId ?? null,
    upperSchemaVersion: 1,
    upperSchemaVersionNew: 3,
    longRunningTimerIntervalDuration: '3.00:00:00',
    maximumShortTimerDuration: '6.00:00:00',
    defaultHttpAsyncRequestSleepTimeMillseconds: 30000,
  };
}

/** How the invocation of the orchestrator ended. */
export type Outcome = { readonly state: OrchestratorOutput } | { readonly failure: string };

export interface Conclusion {
  /** Everything that this episode adds to the journal's history. */
  readonly appended: readonly HistoryEvent[];
  readonly scheduled: readonly Scheduled[];
  readonly cancelledTimers: readonly number[];
  readonly status: RuntimeStatus;
  /** JSON text. */
  readonly output: string | null;
  readonly customStatus: string | null;
  readonly continueAsNew: { readonly input: string | null; readonly carried: readonly HistoryEvent[] } | undefined;
  /** The text a parent gets when this instance ends badly. */
  readonly failure: { readonly reason: string; readonly details: string } | undefined;
  readonly warnings: readonly string[];
}

const finished: ReadonlySet<RuntimeStatus> = new Set(['Completed', 'Failed', 'Terminated']);
export const isFinished = (status: RuntimeStatus): boolean => finished.has(status);

export function concludeEpisode(instance: Instance, episode: PreparedEpisode, outcome: Outcome, known: Known, nowMs: number): Conclusion {
  const terminated = episode.fresh.find((event) => event.EventType === EventType.ExecutionTerminated);
  if (terminated?.EventType === EventType.ExecutionTerminated) return terminate(instance, episode, terminated.Input, nowMs);
  if ('failure' in outcome) return fail(instance, episode, outcome.failure, `Orchestrator function '${instance.name}' failed: ${outcome.failure}`, nowMs);
  let decision: Decision;
  try {
    decision = replay(outcome.state.actions, [...episode.past, ...episode.fresh], known);
  } catch (error) {
    if (error instanceof NonDeterminism) return fail(instance, episode, error.message, error.message, nowMs);
    throw error;
  }
  const customStatus = outcome.state.customStatus ?? instance.customStatus;
  if (decision.settled && decision.continueAsNew) return continueAsNew(episode, decision, customStatus, nowMs);
  if (decision.settled && outcome.state.error !== undefined) {
    return fail({ ...instance, customStatus }, episode, outcome.state.error, `Orchestrator function '${instance.name}' failed: ${outcome.state.error}`, nowMs);
  }
  if (decision.settled && outcome.state.isDone) return complete(episode, outcome.state.output, customStatus, nowMs);
  return goOn(instance, episode, outcome.state, decision, customStatus, nowMs);
}

function goOn(instance: Instance, episode: PreparedEpisode, state: OrchestratorOutput, decision: Decision, customStatus: string | null, nowMs: number): Conclusion {
  const scheduled = decision.scheduled.map((task) => scheduledEvent(instance, task, nowMs));
  const mark = episode.continued && scheduled.length === 0 ? [] : [events.orchestratorCompleted(nowMs)];
  const suspension = lastSuspension([...episode.past, ...episode.fresh]);
  return {
    ...ending,
    appended: [...episode.fresh, ...scheduled, ...mark],
    scheduled: decision.scheduled,
    cancelledTimers: decision.cancelledTimers,
    status: decision.suspended ? 'Suspended' : 'Running',
    output: decision.suspended ? JSON.stringify(suspension) : null,
    customStatus,
    warnings: warningsOf(instance, state, decision),
  };
}

/** The id that a child gets, unless the orchestrator named one. */
export function childInstanceId(parent: Instance, task: Extract<Scheduled, { kind: 'child' }>): string {
  return task.instanceId ?? `${parent.executionId}:${String(task.id)}`;
}

function scheduledEvent(instance: Instance, task: Scheduled, nowMs: number): HistoryEvent {
  switch (task.kind) {
    case 'activity':
      return events.taskScheduled(task.id, task.name, nowMs);
    case 'child':
      return events.subCreated(task.id, task.name, childInstanceId(instance, task), nowMs);
    case 'timer':
      return events.timerCreated(task.id, task.fireAtMs, nowMs);
  }
}

const ending = { scheduled: [], cancelledTimers: [], continueAsNew: undefined, failure: undefined, warnings: [] } as const;

function complete(episode: PreparedEpisode, output: string | null, customStatus: string | null, nowMs: number): Conclusion {
  return { ...ending, appended: ended(episode, 'Completed', output, nowMs), status: 'Completed', output, customStatus };
}

function fail(instance: Instance, episode: PreparedEpisode, message: string, text: string, nowMs: number): Conclusion {
  const failure = { reason: text, details: `Message: ${message}, StackTrace:    at Holdfast.EmbeddedHost` };
  return { ...ending, appended: ended(episode, 'Failed', text, nowMs), status: 'Failed', output: JSON.stringify(text), customStatus: instance.customStatus, failure };
}

function terminate(instance: Instance, episode: PreparedEpisode, reason: string | null, nowMs: number): Conclusion {
  const failure = { reason: reason ?? '', details: 'The sub-orchestration was terminated.' };
  return { ...ending, appended: ended(episode, 'Terminated', reason, nowMs), status: 'Terminated', output: JSON.stringify(reason), customStatus: instance.customStatus, failure };
}

function ended(episode: PreparedEpisode, status: RuntimeStatus, result: string | null, nowMs: number): HistoryEvent[] {
  return [...episode.fresh, events.executionCompleted(status, result, nowMs), events.orchestratorCompleted(nowMs)];
}

function continueAsNew(episode: PreparedEpisode, decision: Decision, customStatus: string | null, nowMs: number): Conclusion {
  const { input, carried } = decision.continueAsNew ?? { input: undefined, carried: [] };
  const appended = [...episode.fresh, events.orchestratorCompleted(nowMs)];
  return { ...ending, appended, status: 'Running', output: null, customStatus, continueAsNew: { input: nextInput(input), carried } };
}

/**
 * The library writes a string as JSON text here, as it does for activities, and anything else as it is. Only objects and
 * numbers were observed; that a string comes back as the same string is what the library intends.
 */
function nextInput(input: unknown): string | null {
  return typeof input === 'string' && isJson(input) ? input : jsonText(input);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // A date, which the library leaves without quotes.
    return false;
  }
}

function lastSuspension(history: readonly HistoryEvent[]): string | null {
  const last = history.findLast((event) => event.EventType === EventType.ExecutionSuspended);
  return last?.EventType === EventType.ExecutionSuspended ? last.Reason : null;
}

function warningsOf(instance: Instance, state: OrchestratorOutput, decision: Decision): string[] {
  const warnings = decision.unknown.map(({ kind, name }) =>
    `Instance ${instance.instanceId} of ${instance.name} called the ${kind === 'activity' ? 'activity' : 'sub-orchestration'} "${name}", which is not registered. It will stay Running for ever, as it would in Azure.`);
  const waits = state.actions.length > 0 && !decision.settled;
  if (!state.isDone && state.error === undefined && !waits && !decision.suspended) {
    warnings.push(`Instance ${instance.instanceId} of ${instance.name} neither returned nor waits for anything: most likely it threw something that is not an Error. It will stay Running for ever, as it would in Azure.`);
  }
  return warnings;
}

/** What an orchestrator that is not registered ends with. */
export function unknownOrchestrator(name: string, knownNames: readonly string[]): string {
  const list = knownNames.map((known) => `'${known}'`).join(', ');
  return `The function '${name}' doesn't exist, is disabled, or is not an orchestrator function. Additional info: ` +
    (knownNames.length === 0 ? 'No orchestrator functions are currently registered!' : `The following are the known orchestrator functions: ${list}.`);
}

/** Turns what was thrown or returned by reading an orchestrator's answer into an outcome. */
export function outcomeOf(read: () => OrchestratorOutput): Outcome {
  try {
    return { state: read() };
  } catch (error) {
    if (error instanceof UnsupportedAction) return { failure: error.message };
    throw error;
  }
}
