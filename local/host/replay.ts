/**
 * Replays a history against the actions that an orchestrator returned, and says what is new: the part that the Durable
 * extension plays between the language worker and its store. Pure; no clock, no store.
 *
 * Rules, observed (test/fixtures/durable): actions are awaited one after the other; the members of whenAll/whenAny start
 * together; every activity, child and timer takes the next id, in the order in which they start; retries are made here, and
 * their timers and further attempts take ids too. An instance ends only when nothing it scheduled is still open.
 * Known from the library's issue 574, and imitated: a task that is handed to a second Task.any is scheduled a second time.
 * Not observed, from .NET's Task.WhenAll: a failed member does not end a whenAll before its siblings are done.
 * Not observed, decided here: a cancelled timer never fires any more, and never ends a whenAny by itself.
 */
import { ActionType, type Action, type RetryOptions } from './actions';
import { EventType, type HistoryEvent } from './history';

const longTimerLimitMs = 6 * 86_400_000;
const longTimerStepMs = 3 * 86_400_000;

export type Scheduled =
  | { readonly kind: 'activity'; readonly id: number; readonly name: string; readonly input: unknown }
  | { readonly kind: 'child'; readonly id: number; readonly name: string; readonly input: unknown; readonly instanceId: string | undefined }
  | { readonly kind: 'timer'; readonly id: number; readonly fireAtMs: number };

export interface Decision {
  /** What the history does not know yet, by id. */
  readonly scheduled: readonly Scheduled[];
  /** True when every action is done and nothing is open. */
  readonly settled: boolean;
  readonly suspended: boolean;
  /** Set when continueAsNew was reached; valid once settled. `carried` are the events that arrived after it. */
  readonly continueAsNew: { readonly input: unknown; readonly carried: readonly HistoryEvent[] } | undefined;
  /** Timers that the orchestrator cancelled. */
  readonly cancelledTimers: readonly number[];
  /** Names that are not registered; the instance waits for them for ever, as it does in Azure. */
  readonly unknown: readonly { readonly kind: 'activity' | 'child'; readonly name: string }[];
}

/** The orchestrator does not do what its history says it did. The message is the status output. */
export class NonDeterminism extends Error {
  override readonly name = 'NonDeterminism';
}

export interface Known {
  readonly activity: (name: string) => boolean;
  readonly orchestrator: (name: string) => boolean;
}

export function replay(actions: readonly Action[], history: readonly HistoryEvent[], known: Known): Decision {
  return new Replay(history, known).run(actions);
}

type Finish = (ok: boolean) => void;

class Replay {
  #nextId = 0;
  #nowMs = 0;
  #ended = false;
  #suspended = false;
  #continueAsNew: { input: unknown; carried: HistoryEvent[] } | undefined;
  readonly #open = new Map<number, Finish>();
  readonly #zombies = new Map<number, Finish>();
  readonly #scheduled = new Map<number, Scheduled>();
  readonly #confirmed = new Set<number>();
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #raised = new Map<string, number>();
  readonly #held: HistoryEvent[] = [];
  readonly #cancelled: number[] = [];
  readonly #unknown: { kind: 'activity' | 'child'; name: string }[] = [];
  readonly #timersInHistory: ReadonlySet<number>;

  constructor(private readonly history: readonly HistoryEvent[], private readonly known: Known) {
    this.#timersInHistory = new Set(history.flatMap((event) => (event.EventType === EventType.TimerCreated ? [event.EventId] : [])));
  }

  run(actions: readonly Action[]): Decision {
    for (const event of this.history) this.#process(event, actions);
    const scheduled = [...this.#scheduled.values()].filter(({ id }) => !this.#confirmed.has(id));
    return {
      scheduled,
      settled: this.#ended && this.#open.size === 0 && !this.#suspended,
      suspended: this.#suspended,
      continueAsNew: this.#continueAsNew,
      cancelledTimers: this.#cancelled,
      unknown: this.#unknown,
    };
  }

  #process(event: HistoryEvent, actions: readonly Action[]): void {
    const type = event.EventType;
    if (type === EventType.ExecutionSuspended) this.#suspended = true;
    else if (type === EventType.ExecutionResumed) {
      this.#suspended = false;
      for (const held of this.#held.splice(0)) this.#process(held, actions);
    } else if (this.#suspended && event.EventId === -1 && type !== EventType.OrchestratorStarted && type !== EventType.OrchestratorCompleted) this.#held.push(event);
    else this.#apply(event, actions);
  }

  #apply(event: HistoryEvent, actions: readonly Action[]): void {
    switch (event.EventType) {
      case EventType.OrchestratorStarted:
        this.#nowMs = Date.parse(event.Timestamp);
        break;
      case EventType.ExecutionStarted:
        this.#sequence(actions, 0);
        break;
      case EventType.TaskScheduled:
        this.#confirm(event.EventId, 'activity', event.Name);
        break;
      case EventType.SubOrchestrationInstanceCreated:
        this.#confirm(event.EventId, 'child', event.Name);
        break;
      case EventType.TimerCreated:
        this.#confirm(event.EventId, 'timer', '');
        break;
      case EventType.TaskCompleted:
      case EventType.SubOrchestrationInstanceCompleted:
        this.#finish(event.TaskScheduledId, true);
        break;
      case EventType.TaskFailed:
      case EventType.SubOrchestrationInstanceFailed:
        this.#finish(event.TaskScheduledId, false);
        break;
      case EventType.TimerFired:
        this.#finish(event.TimerId, true);
        break;
      case EventType.EventRaised:
        this.#raise(event, event.Name);
        break;
      case EventType.ExecutionCompleted:
      case EventType.ExecutionTerminated:
      case EventType.OrchestratorCompleted:
      case EventType.ExecutionSuspended:
      case EventType.ExecutionResumed:
        break;
    }
  }

  #sequence(actions: readonly Action[], index: number): void {
    const action = actions[index];
    if (action === undefined) this.#ended = true;
    else this.#start(action, () => this.#sequence(actions, index + 1));
  }

  #start(action: Action, done: Finish): void {
    switch (action.actionType) {
      case ActionType.CallActivity:
        if (this.known.activity(action.functionName)) this.#schedule({ kind: 'activity', id: this.#nextId++, name: action.functionName, input: action.input }, done);
        else this.#unknown.push({ kind: 'activity', name: action.functionName });
        break;
      case ActionType.CallSubOrchestrator:
        if (this.known.orchestrator(action.functionName)) this.#schedule({ kind: 'child', id: this.#nextId++, name: action.functionName, input: action.input, instanceId: action.instanceId }, done);
        else this.#unknown.push({ kind: 'child', name: action.functionName });
        break;
      case ActionType.CallActivityWithRetry:
        this.#withRetry({ actionType: ActionType.CallActivity, functionName: action.functionName, input: action.input }, action.retryOptions, done);
        break;
      case ActionType.CallSubOrchestratorWithRetry: {
        const { functionName, input, instanceId } = action;
        this.#withRetry({ actionType: ActionType.CallSubOrchestrator, functionName, input, ...(instanceId === undefined ? {} : { instanceId }) }, action.retryOptions, done);
        break;
      }
      case ActionType.CreateTimer:
        this.#timer(Date.parse(action.fireAt), action.isCanceled, done);
        break;
      case ActionType.WaitForExternalEvent:
        this.#wait(action.externalEventName, () => done(true));
        break;
      case ActionType.WhenAll:
      case ActionType.WhenAny:
        this.#compound(action.compoundActions, action.actionType === ActionType.WhenAll, done);
        break;
      case ActionType.ContinueAsNew:
        this.#continueAsNew ??= { input: action.input, carried: [] };
        done(true);
        break;
    }
  }

  #schedule(task: Scheduled, done: Finish): void {
    this.#scheduled.set(task.id, task);
    this.#open.set(task.id, done);
  }

  #compound(members: readonly Action[], all: boolean, done: Finish): void {
    let left = all ? members.length : 1;
    for (const member of members) {
      this.#start(member, () => {
        left--;
        if (left === 0) done(true);
      });
    }
  }

  /** A cancelled timer is never the winner of a race: whoever cancelled it had won already. */
  #timer(fireAtMs: number, cancelled: boolean, done: Finish): void {
    const stepAt = fireAtMs - this.#nowMs > longTimerLimitMs ? this.#nowMs + longTimerStepMs : fireAtMs;
    const id = this.#nextId++;
    const fired: Finish = () => {
      if (stepAt === fireAtMs) done(true);
      else if (!cancelled || this.#timersInHistory.has(this.#nextId)) this.#timer(fireAtMs, cancelled, done);
    };
    this.#scheduled.set(id, { kind: 'timer', id, fireAtMs: stepAt });
    if (cancelled) {
      this.#cancelled.push(id);
      this.#zombies.set(id, fired);
    } else {
      this.#open.set(id, fired);
    }
  }

  #withRetry(attempt: Action, options: RetryOptions, done: Finish): void {
    const firstAtMs = this.#nowMs;
    let failures = 0;
    const onEnd: Finish = (ok) => {
      if (ok) return done(true);
      failures++;
      if (failures >= options.maxNumberOfAttempts) {
        // The extension lets one more timer, due at once, pass before the failure surfaces.
        return this.#retryTimer(this.#nowMs, () => done(false));
      }
      const expired = options.retryTimeoutInMilliseconds !== undefined && this.#nowMs >= firstAtMs + options.retryTimeoutInMilliseconds;
      if (!expired) this.#retryTimer(this.#nowMs + retryDelayMs(options, failures), () => this.#start(attempt, onEnd));
      return undefined;
    };
    this.#start(attempt, onEnd);
  }

  #retryTimer(fireAtMs: number, then: Finish): void {
    this.#schedule({ kind: 'timer', id: this.#nextId++, fireAtMs }, then);
  }

  #wait(name: string, done: () => void): void {
    const raised = this.#raised.get(name) ?? 0;
    if (raised > 0) {
      this.#raised.set(name, raised - 1);
      return done();
    }
    this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), done]);
    return undefined;
  }

  #raise(event: HistoryEvent, name: string): void {
    if (this.#continueAsNew) {
      this.#continueAsNew.carried.push(event);
      return;
    }
    const waiter = this.#waiting.get(name)?.shift();
    if (waiter) waiter();
    else this.#raised.set(name, (this.#raised.get(name) ?? 0) + 1);
  }

  #finish(id: number, ok: boolean): void {
    const finish = this.#open.get(id) ?? this.#zombies.get(id);
    this.#open.delete(id);
    this.#zombies.delete(id);
    finish?.(ok);
  }

  #confirm(id: number, kind: Scheduled['kind'], name: string): void {
    const task = this.#scheduled.get(id);
    const was = described[kind];
    if (!task) {
      throw new NonDeterminism(`Non-Deterministic workflow detected: A previous execution of this orchestration scheduled ${was.noun} with sequence ID ${String(id)}` +
        `${was.named(name)}, but the current replay execution hasn't (yet?) scheduled this task. ${changed}`);
    }
    const sameName = task.kind === 'timer' || task.name.toLowerCase() === name.toLowerCase();
    if (task.kind !== kind || !sameName) {
      throw new NonDeterminism(`Non-Deterministic workflow detected: A previous execution of this orchestration scheduled ${was.noun} with sequence number ${String(id)}` +
        `${name === '' ? '' : ` named '${name}'`}, but the current orchestration replay instead produced a ${described[task.kind].action} action` +
        `${task.kind === 'timer' || sameName ? '' : ` named '${task.name}'`} with this sequence number. ${changed}`);
    }
    this.#confirmed.add(id);
  }
}

const changed = 'Was a change made to the orchestrator code after this instance had already started running?';
const described: Readonly<Record<Scheduled['kind'], { noun: string; action: string; named: (name: string) => string }>> = {
  activity: { noun: 'an activity task', action: 'ScheduleTaskOrchestratorAction', named: (name) => ` and name '${name}' (version '')` },
  child: { noun: 'a sub-orchestration task', action: 'CreateSubOrchestrationAction', named: (name) => ` and name '${name}' (version '')` },
  timer: { noun: 'a timer task', action: 'CreateTimerOrchestratorAction', named: () => '' },
};

/** @param failures how many attempts failed so far, from 1 */
function retryDelayMs(options: RetryOptions, failures: number): number {
  const delayMs = options.firstRetryIntervalInMilliseconds * (options.backoffCoefficient ?? 1) ** (failures - 1);
  return Math.min(delayMs, options.maxRetryIntervalInMilliseconds ?? Infinity);
}
