/**
 * Durable history events as the genuine extension sends them to an orchestrator: names, order of members, numbers.
 * Everything here was observed (test/fixtures/durable/README.md).
 */
export const EventType = {
  ExecutionStarted: 0,
  ExecutionCompleted: 1,
  ExecutionTerminated: 3,
  TaskScheduled: 4,
  TaskCompleted: 5,
  TaskFailed: 6,
  SubOrchestrationInstanceCreated: 7,
  SubOrchestrationInstanceCompleted: 8,
  SubOrchestrationInstanceFailed: 9,
  TimerCreated: 10,
  TimerFired: 11,
  OrchestratorStarted: 12,
  OrchestratorCompleted: 13,
  EventRaised: 15,
  ExecutionSuspended: 19,
  ExecutionResumed: 20,
} as const;
export type EventTypeNumber = (typeof EventType)[keyof typeof EventType];

export interface ParentInstance {
  readonly Name: string;
  readonly OrchestrationInstance: { readonly InstanceId: string; readonly ExecutionId: string };
  readonly TaskScheduleId: number;
  readonly Version: null;
}

interface Common {
  /** -1 for what arrives; the sequence number for what the orchestrator scheduled. */
  readonly EventId: number;
  readonly IsPlayed: boolean;
  /** ISO 8601 UTC, trailing zeros of the fraction dropped. */
  readonly Timestamp: string;
}

export type HistoryEvent = Common & (
  | { readonly EventType: typeof EventType.OrchestratorStarted | typeof EventType.OrchestratorCompleted }
  | { readonly EventType: typeof EventType.ExecutionStarted; readonly OrchestrationInstance: { readonly InstanceId: string; readonly ExecutionId: string };
      readonly ParentInstance: ParentInstance | null; readonly Name: string; readonly Version: null; readonly Input: string | null; readonly Generation: number | null }
  | { readonly EventType: typeof EventType.ExecutionCompleted; readonly OrchestrationStatus: string; readonly Result: string | null }
  | { readonly EventType: typeof EventType.ExecutionTerminated; readonly Input: string | null }
  | { readonly EventType: typeof EventType.TaskScheduled; readonly Name: string; readonly Input: null }
  | { readonly EventType: typeof EventType.TaskCompleted | typeof EventType.SubOrchestrationInstanceCompleted; readonly TaskScheduledId: number; readonly Result: string | null }
  | { readonly EventType: typeof EventType.TaskFailed | typeof EventType.SubOrchestrationInstanceFailed; readonly TaskScheduledId: number; readonly Reason: string; readonly Details: string }
  | { readonly EventType: typeof EventType.SubOrchestrationInstanceCreated; readonly Name: string; readonly InstanceId: string; readonly Input: null }
  | { readonly EventType: typeof EventType.TimerCreated; readonly FireAt: string }
  | { readonly EventType: typeof EventType.TimerFired; readonly TimerId: number; readonly FireAt: string }
  | { readonly EventType: typeof EventType.EventRaised; readonly Name: string; readonly Input: string | null }
  | { readonly EventType: typeof EventType.ExecutionSuspended | typeof EventType.ExecutionResumed; readonly Reason: string | null }
);
export type EventOf<T extends EventTypeNumber> = Extract<HistoryEvent, { EventType: T }>;

/** .NET's way with fractions: as many digits as needed, none for a whole second. */
export function timestamp(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.?0*Z$/, 'Z');
}

const arrived = (atMs: number): Common => ({ EventId: -1, IsPlayed: false, Timestamp: timestamp(atMs) });
const scheduled = (id: number, atMs: number): Common => ({ EventId: id, IsPlayed: false, Timestamp: timestamp(atMs) });

export const events = {
  orchestratorStarted: (atMs: number): HistoryEvent => ({ EventType: EventType.OrchestratorStarted, ...arrived(atMs) }),
  orchestratorCompleted: (atMs: number): HistoryEvent => ({ EventType: EventType.OrchestratorCompleted, ...arrived(atMs) }),
  executionStarted(start: { instanceId: string; executionId: string; parent: ParentInstance | null; name: string; input: string | null; generation: number | null }, atMs: number): EventOf<typeof EventType.ExecutionStarted> {
    const fixed = { Tags: null, Correlation: null, ParentTraceContext: null, ScheduledStartTime: null };
    return {
      OrchestrationInstance: { InstanceId: start.instanceId, ExecutionId: start.executionId }, EventType: EventType.ExecutionStarted, ParentInstance: start.parent,
      Name: start.name, Version: null, Input: start.input, ...fixed, Generation: start.generation, ...{ GenerateNewTrace: false }, ...arrived(atMs),
    };
  },
  executionCompleted: (status: string, result: string | null, atMs: number): HistoryEvent =>
    ({ EventType: EventType.ExecutionCompleted, OrchestrationStatus: status, Result: result, ...{ FailureDetails: null }, ...arrived(atMs) }),
  executionTerminated: (reason: string | null, atMs: number): HistoryEvent => ({ EventType: EventType.ExecutionTerminated, Input: reason, ...arrived(atMs) }),
  suspended: (reason: string | null, atMs: number): HistoryEvent => ({ EventType: EventType.ExecutionSuspended, Reason: reason, ...arrived(atMs) }),
  resumed: (reason: string | null, atMs: number): HistoryEvent => ({ EventType: EventType.ExecutionResumed, Reason: reason, ...arrived(atMs) }),
  eventRaised: (name: string, input: string | null, atMs: number): HistoryEvent =>
    ({ EventType: EventType.EventRaised, Name: name, Input: input, ...{ ParentTraceContext: null }, ...arrived(atMs) }),
  taskScheduled: (id: number, name: string, atMs: number): HistoryEvent =>
    ({ EventType: EventType.TaskScheduled, Name: name, ...{ Version: '' }, Input: null, ...{ ParentTraceContext: null, Tags: null }, ...scheduled(id, atMs) }),
  taskCompleted: (id: number, result: string | null, atMs: number): HistoryEvent =>
    ({ EventType: EventType.TaskCompleted, TaskScheduledId: id, Result: result, ...arrived(atMs) }),
  taskFailed: (id: number, reason: string, details: string, atMs: number): HistoryEvent =>
    ({ EventType: EventType.TaskFailed, TaskScheduledId: id, Reason: reason, Details: details, ...{ FailureDetails: null }, ...arrived(atMs) }),
  subCreated: (id: number, name: string, instanceId: string, atMs: number): HistoryEvent =>
    ({ EventType: EventType.SubOrchestrationInstanceCreated, Name: name, ...{ Version: null }, InstanceId: instanceId, Input: null, ...{ ClientSpanId: null, Tags: null }, ...scheduled(id, atMs) }),
  subCompleted: (id: number, result: string | null, atMs: number): HistoryEvent =>
    ({ EventType: EventType.SubOrchestrationInstanceCompleted, TaskScheduledId: id, Result: result, ...arrived(atMs) }),
  subFailed: (id: number, reason: string, details: string, atMs: number): HistoryEvent =>
    ({ EventType: EventType.SubOrchestrationInstanceFailed, TaskScheduledId: id, Reason: reason, Details: details, ...{ FailureDetails: null }, ...arrived(atMs) }),
  timerCreated: (id: number, fireAtMs: number, atMs: number): HistoryEvent =>
    ({ EventType: EventType.TimerCreated, FireAt: timestamp(fireAtMs), ...scheduled(id, atMs) }),
  /** Its timestamp is the time at which the timer was created, not that at which it fired. */
  timerFired: (id: number, fireAtMs: number, createdAtMs: number): HistoryEvent =>
    ({ EventType: EventType.TimerFired, TimerId: id, FireAt: timestamp(fireAtMs), ...arrived(createdAtMs) }),
};

const playable: ReadonlySet<EventTypeNumber> = new Set([
  EventType.ExecutionStarted, EventType.TaskCompleted, EventType.TaskFailed, EventType.SubOrchestrationInstanceCompleted, EventType.SubOrchestrationInstanceFailed,
  EventType.TimerFired, EventType.EventRaised, EventType.ExecutionSuspended, EventType.ExecutionResumed,
]);

/**
 * The history as an orchestrator gets it: events of earlier episodes are marked as played, where the extension marks them.
 * @param past events of committed episodes
 * @param current events of the episode that is about to run
 */
export function historyToSend(past: readonly HistoryEvent[], current: readonly HistoryEvent[]): HistoryEvent[] {
  return [...past.map((event) => (playable.has(event.EventType) ? { ...event, IsPlayed: true } : event)), ...current];
}

/**
 * How a generation after continue-as-new begins: its completion mark comes with it, and the events carried over count as
 * played. `asPast` is the same once the first episode is over, when the mark is played as well.
 */
export function continuedHistory(start: HistoryEvent, carried: readonly HistoryEvent[], atMs: number): { first: HistoryEvent[]; asPast: HistoryEvent[] } {
  const first = [events.orchestratorStarted(atMs), start, ...carried.map((event) => ({ ...event, IsPlayed: true })), events.orchestratorCompleted(atMs)];
  const asPast = first.map((event) => (event.EventType === EventType.OrchestratorCompleted ? { ...event, IsPlayed: true } : event));
  return { first, asPast };
}
