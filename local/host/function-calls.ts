/** Calls orchestrators and activities and turns how they ended into what the engine records. */
import { messageOf } from '../../errors/holdfast-error';
import { readOrchestratorOutput, stateOfFailure } from './actions';
import type { Clock } from './clock';
import { orchestratorInput, outcomeOf, unknownOrchestrator, type Outcome, type PreparedEpisode } from './episode';
import { events, EventType, timestamp, type HistoryEvent } from './history';
import type { Invoker, LogSink } from './invoke';
import type { ActivityItem, Instance } from './journal';
import type { Metrics } from './metrics';
import type { FunctionRegistry, TypedData } from './registration';
import type { HostTraces, TraceContext } from './traces';
import { activityFailure, activityInputData, resultText, workerError } from './wire-values';

/** What passed between host and function; for tests and tracing. */
export interface InvocationRecord {
  readonly kind: 'orchestration' | 'activity';
  readonly function: string;
  readonly instanceId: string;
  readonly input: unknown;
  readonly output: unknown;
}

export interface FunctionCallsDeps {
  readonly registry: FunctionRegistry;
  readonly invoker: Invoker;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: LogSink;
  readonly traces: HostTraces;
  readonly onInvocation: ((record: InvocationRecord) => void) | undefined;
  /** The durableClient binding object, for activities that ask for it. */
  readonly durableClient: () => unknown;
}

export class FunctionCalls {
  readonly #deps: FunctionCallsDeps;

  constructor(deps: FunctionCallsDeps) {
    this.#deps = deps;
  }

  async orchestrator(instance: Instance, prepared: PreparedEpisode): Promise<Outcome> {
    const { registry, invoker, onInvocation } = this.#deps;
    const target = registry.find('orchestrationTrigger', instance.name);
    if (!target) return { failure: unknownOrchestrator(instance.name, registry.ofKind('orchestrationTrigger').map(({ name }) => name)) };
    const input = orchestratorInput(instance, prepared);
    const seen = (output: unknown): void => onInvocation?.({ kind: 'orchestration', function: target.name, instanceId: instance.instanceId, input, output });
    try {
      const { response } = await invoker.invoke(target, { data: { string: JSON.stringify(input) }, trace: this.#deps.traces.contextOf(instance.instanceId) });
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

  /** Never rejects: a failure is an event as well. */
  async activity(item: ActivityItem): Promise<HistoryEvent> {
    const { traces } = this.#deps;
    const isFailure = ({ EventType: type }: HistoryEvent): boolean => type === EventType.TaskFailed;
    return traces.run(`activity:${item.name}`, traces.of(item.instanceId), { 'durabletask.task.instance_id': item.instanceId, 'durabletask.task.task_id': item.taskId }, (trace) => this.#activity(item, trace), isFailure);
  }

  async #activity(item: ActivityItem, trace: TraceContext | null): Promise<HistoryEvent> {
    const { registry, clock, metrics, invoker, onInvocation, durableClient } = this.#deps;
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
      const { returned, response } = await invoker.invoke(target, { data, triggerMetadata: metadata, durableClient, trace });
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
}
