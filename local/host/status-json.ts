/** Instances and histories as the management API shows them (observed; test/fixtures/durable, 02, 11, 20). */
import { EventType, type HistoryEvent } from './history';
import type { Instance, RuntimeStatus } from './journal';
import { parseJson } from './wire-values';

export interface InstanceStatus {
  readonly name: string;
  readonly instanceId: string;
  readonly runtimeStatus: RuntimeStatus;
  readonly input: unknown;
  readonly customStatus: unknown;
  readonly output: unknown;
  /** Whole seconds, ISO 8601 UTC. */
  readonly createdTime: string;
  readonly lastUpdatedTime: string;
  readonly historyEvents?: readonly Readonly<Record<string, unknown>>[];
}

const wholeSeconds = (atMs: number): string => `${new Date(atMs).toISOString().slice(0, 19)}Z`;

export function instanceStatus(instance: Instance, options: { showInput: boolean; history?: readonly HistoryEvent[]; showHistoryOutput?: boolean }): InstanceStatus {
  return {
    name: instance.name,
    instanceId: instance.instanceId,
    runtimeStatus: instance.status,
    input: options.showInput ? parseJson(instance.input) : null,
    customStatus: parseJson(instance.customStatus),
    output: parseJson(instance.output),
    createdTime: wholeSeconds(instance.createdAtMs),
    lastUpdatedTime: wholeSeconds(instance.updatedAtMs),
    ...(options.history ? { historyEvents: historyJson(options.history, options.showHistoryOutput === true) } : {}),
  };
}

type Shown = Record<string, unknown>;

/** Scheduling events are merged into what completed them; marks of episodes are left out. */
export function historyJson(history: readonly HistoryEvent[], showOutput: boolean): Shown[] {
  const scheduled = new Map<number, { name: string; at: string; shown: Shown }>();
  const shown: Shown[] = [];
  for (const event of history) {
    if (event.EventType === EventType.TaskScheduled || event.EventType === EventType.SubOrchestrationInstanceCreated) {
      const pending = visible(event, typeName(event.EventType));
      scheduled.set(event.EventId, { name: event.Name, at: event.Timestamp, shown: pending });
      shown.push(pending);
    } else if ('TaskScheduledId' in event) {
      const task = scheduled.get(event.TaskScheduledId);
      if (task) shown.splice(shown.indexOf(task.shown), 1);
      shown.push(completion(event, showOutput, task));
    } else {
      const entry = simple(event, showOutput);
      if (entry) shown.push(entry);
    }
  }
  return shown;
}

function completion(event: Extract<HistoryEvent, { TaskScheduledId: number }>, showOutput: boolean, task: { name: string; at: string } | undefined): Shown {
  const body = 'Result' in event
    ? (showOutput ? { Result: parseJson(event.Result) } : {})
    : { Reason: event.Reason, Details: event.Details, FailureDetails: null };
  return {
    EventType: typeName(event.EventType), ...body, Timestamp: event.Timestamp,
    ScheduledTime: task?.at.replace('Z', '+00:00') ?? null, FunctionName: task?.name ?? null, Input: null,
  };
}

function simple(event: HistoryEvent, showOutput: boolean): Shown | undefined {
  const type = event.EventType;
  if (type === EventType.OrchestratorStarted || type === EventType.OrchestratorCompleted) return undefined;
  if (type === EventType.ExecutionStarted) {
    return {
      EventType: 'ExecutionStarted', Input: event.Input, Correlation: null, ParentTraceContext: null, ScheduledStartTime: null,
      Generation: event.Generation, GenerateNewTrace: false, Timestamp: event.Timestamp, FunctionName: event.Name,
    };
  }
  if (type === EventType.ExecutionCompleted) {
    const result = event.OrchestrationStatus === 'Completed' ? parseJson(event.Result) : event.Result;
    return { EventType: 'ExecutionCompleted', OrchestrationStatus: event.OrchestrationStatus, ...(showOutput ? { Result: result } : {}), FailureDetails: null, Timestamp: event.Timestamp };
  }
  if (type === EventType.TimerFired) return { EventType: 'TimerFired', FireAt: event.FireAt, Timestamp: event.Timestamp };
  return visible(event, typeName(type));
}

function typeName(type: HistoryEvent['EventType']): string {
  return Object.entries(EventType).find(([, number]) => number === type)?.[0] ?? String(type);
}

const ofReplay: readonly string[] = ['EventType', 'EventId', 'IsPlayed', 'Timestamp'];

/** The event's own members with its type as text, without those that concern replays only. */
function visible(event: HistoryEvent, name: string): Shown {
  const rest = Object.entries(event).filter(([member]) => !ofReplay.includes(member));
  return { EventType: name, ...Object.fromEntries(rest), Timestamp: event.Timestamp };
}
