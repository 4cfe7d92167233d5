import { isDeepStrictEqual } from 'node:util';
import { collectRegistrations } from '../../../local/host/core-module';
import { readOrchestratorOutput, stateOfFailure } from '../../../local/host/actions';
import { EventType, type HistoryEvent, historyToSend } from '../../../local/host/history';
import { Invoker } from '../../../local/host/invoke';
import { FunctionRegistry } from '../../../local/host/registration';
import { type Known, replay, type Scheduled } from '../../../local/host/replay';
import { messageOf } from '../../../errors/holdfast-error';
import { registerApp } from '../../../functions/app';
import { compose } from '../../../functions/compose';
import { answerOf, type GoldenAnswer, type GoldenExecution } from './fixture';

const REMEDY = 'See docs/orchestration-versioning.md: a change of order needs a new version side by side, or that nothing runs while it is deployed. Then: npm run golden:record.';

/** The orchestrators of the app as it is built, to be called with any history. */
export class Orchestrators {
  readonly registry: FunctionRegistry;
  readonly #invoker: Invoker;
  readonly #known: Known;

  constructor(load: () => void = registerAll) {
    const registrations = collectRegistrations(load, () => undefined);
    this.registry = new FunctionRegistry(registrations.functions);
    this.#invoker = new Invoker(registrations.hooks, () => undefined);
    this.#known = { activity: (name) => this.registry.find('activityTrigger', name) !== undefined, orchestrator: (name) => this.registry.find('orchestrationTrigger', name) !== undefined };
  }

  names(kind: 'orchestrationTrigger' | 'activityTrigger'): string[] {
    return this.registry.ofKind(kind).map(({ name }) => name).sort();
  }

  /**
   * Lives through a recorded execution episode by episode, as a host would whose app was exchanged meanwhile: whatever the code asks for
   * after each part of the history must be what the history says was done next. At the end every argument must be the recorded one, too.
   * Null when it is so, else words that say what differs and what to do.
   */
  async difference(execution: GoldenExecution): Promise<string | null> {
    const episodes = episodesOf(execution.history);
    let answer: GoldenAnswer | undefined;
    for (const [index, { sent, isFirst, recorded }] of episodes.entries()) {
      answer = await this.#call(execution, sent, isFirst);
      if (sent.at(-1)?.EventType === EventType.ExecutionTerminated) return null;
      const where = `${execution.name} (${execution.instanceId}), episode ${index + 1} of ${episodes.length}`;
      const asked = scheduledBy(answer, sent, this.#known);
      if (typeof asked === 'string') return `${where}: the history does not replay: ${asked} ${REMEDY}`;
      // In the last episode nothing of the history follows.
      if (index < episodes.length - 1 && !isDeepStrictEqual(asked, recorded)) return `${where}: the history has ${list(recorded)}, and the code asks for ${list(asked)}. ${REMEDY}`;
    }
    return answer === undefined ? `${execution.name} (${execution.instanceId}) has no history` : differenceOfAnswers(execution, answer);
  }

  async #call(execution: GoldenExecution, history: readonly HistoryEvent[], isFirst: boolean): Promise<GoldenAnswer> {
    const target = this.registry.find('orchestrationTrigger', execution.name);
    if (!target) throw new Error(`The orchestration ${execution.name} is gone, and runs of it may be open. ${REMEDY}`);
    const input = {
      history, input: execution.input, instanceId: execution.instanceId, isReplaying: !isFirst, parentInstanceId: execution.parentInstanceId, upperSchemaVersion: 1, upperSchemaVersionNew: 3,
      longRunningTimerIntervalDuration: '3.00:00:00', maximumShortTimerDuration: '6.00:00:00', defaultHttpAsyncRequestSleepTimeMillseconds: 30000,
    };
    try {
      const { response } = await this.#invoker.invoke(target, { data: { string: JSON.stringify(input) } });
      return answerOf(JSON.parse((await response()).returnValue?.json ?? 'null'));
    } catch (error) {
      const state = stateOfFailure(messageOf(error));
      if (state === undefined) throw error;
      return answerOf(state);
    }
  }
}

/** What the answer asks for that the history does not have, in words, or why the two do not fit. */
function scheduledBy({ isDone, actions, error }: GoldenAnswer, history: readonly HistoryEvent[], known: Known): string[] | string {
  try {
    const { actions: understood } = readOrchestratorOutput({ isDone, actions: [actions], ...(error === undefined ? {} : { error }) });
    return replay(understood, history, known).scheduled.map(inWords);
  } catch (cause) {
    return messageOf(cause);
  }
}

/**
 * Whether the embedded host does with an execution what the host did that recorded it: after each part of the history, the recorded actions must lead to what was
 * recorded next. No code of an orchestration is run. Null when it is so.
 */
export function misunderstanding({ name, instanceId, history, answer, asked: counts }: GoldenExecution): string | null {
  for (const [index, { sent, recorded }] of episodesOf(history).slice(0, -1).entries()) {
    const asked = scheduledBy({ ...answer, actions: answer.actions.slice(0, counts[index]) }, sent, { activity: () => true, orchestrator: () => true });
    if (!isDeepStrictEqual(asked, recorded)) return `${name} (${instanceId}), episode ${index + 1}: recorded was ${list(recorded)}, and the embedded host does ${typeof asked === 'string' ? asked : list(asked)}`;
  }
  return null;
}

/** What `func start` would load; nothing of it is opened before it is used. */
const registerAll = (): void => registerApp(compose({ HOLDFAST_VAULT: '/nowhere', AZURE_SUBSCRIPTION_IDS: '00000000-0000-0000-0000-000000000000' }));

interface Episode { readonly sent: readonly HistoryEvent[]; readonly isFirst: boolean; readonly recorded: readonly string[] }

/** The histories that were sent, call by call, and what was scheduled after each. */
function episodesOf(history: readonly HistoryEvent[]): Episode[] {
  const starts = history.flatMap((event, at) => (event.EventType === EventType.OrchestratorStarted ? [at] : []));
  return starts.map((start, index) => {
    const own = history.slice(start, starts[index + 1]);
    const scheduledAt = own.findIndex(({ EventId }) => EventId !== -1);
    const before = own.slice(0, scheduledAt < 0 ? own.length : scheduledAt);
    // A generation after continue-as-new is sent with its completion mark; any other mark comes after the call.
    const isLast = index === starts.length - 1;
    const continued = index === 0 && (isLast || scheduledAt >= 0) && before.some(({ EventType: type }) => type === EventType.OrchestratorCompleted);
    const arrived = before.filter(({ EventType: type }) => continued || type !== EventType.OrchestratorCompleted);
    return { sent: historyToSend(history.slice(0, start), arrived), isFirst: index === 0, recorded: own.filter(({ EventId }) => EventId !== -1).map(eventInWords) };
  });
}

function eventInWords(event: HistoryEvent): string {
  if (event.EventType === EventType.TaskScheduled) return `activity ${event.Name}`;
  if (event.EventType === EventType.SubOrchestrationInstanceCreated) return `${event.Name} as ${event.InstanceId}`;
  return event.EventType === EventType.TimerCreated ? `a timer until ${new Date(event.FireAt).toISOString()}` : `event ${event.EventType}`;
}

function inWords(task: Scheduled): string {
  if (task.kind === 'activity') return `activity ${task.name}`;
  return task.kind === 'child' ? `${task.name} as ${task.instanceId ?? 'an instance without a name'}` : `a timer until ${new Date(task.fireAtMs).toISOString()}`;
}

const list = (words: readonly string[]): string => (words.length === 0 ? 'nothing' : words.join(', '));

/** The same steps with other arguments, another result or another status: it replays, but whoever understands the old ones must understand the new. */
function differenceOfAnswers(execution: GoldenExecution, answer: GoldenAnswer): string | null {
  const { answer: golden } = execution;
  if (isDeepStrictEqual(answer, golden)) return null;
  const at = golden.actions.findIndex((action, index) => !isDeepStrictEqual(action, answer.actions[index]));
  const keys = (['isDone', 'output', 'customStatus', 'error'] as const).filter((key) => !isDeepStrictEqual(golden[key], answer[key]));
  const what = at >= 0 ? `action ${at + 1} was ${short(golden.actions[at])} and is ${short(answer.actions[at])}`
    : answer.actions.length > golden.actions.length ? `there are ${answer.actions.length - golden.actions.length} actions more, first ${short(answer.actions[golden.actions.length])}`
      : keys.map((key) => `${key} was ${short(golden[key])} and is ${short(answer[key])}`).join('; ');
  return `${execution.name} (${execution.instanceId}): ${what}. Steps and parents of runs that are open were started by the code before and must understand both. ${REMEDY}`;
}

const short = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 400);
