/** Direct access to instances, for tests and for the command line; functions use the durable client instead. */
import { HoldfastError } from '../../errors/holdfast-error';
import type { Clock } from './clock';
import type { DurableEngine } from './engine';
import { isFinished } from './episode';
import { events, type HistoryEvent } from './history';
import type { Journal } from './journal';
import { instanceStatus, type InstanceStatus } from './status-json';

export class HostClient {
  constructor(private readonly journal: Journal, private readonly engine: DurableEngine, private readonly clock: Clock) {}

  /** Starts an orchestration and returns its id. Throws HOST_INSTANCE_EXISTS when the id is in use by one that has not finished. */
  startNew(name: string, options: { readonly instanceId?: string; readonly input?: unknown } = {}): string {
    const { instanceId, input } = options;
    return this.engine.startNew(name, { input: input === undefined ? null : JSON.stringify(input), ...(instanceId === undefined ? {} : { instanceId }) });
  }

  /** undefined when there is no such instance. */
  find(instanceId: string): InstanceStatus | undefined {
    const instance = this.journal.instance(instanceId);
    return instance && instanceStatus(instance, { showInput: true });
  }

  /** Throws HOST_NO_SUCH_INSTANCE. */
  getStatus(instanceId: string, options: { readonly showHistory?: boolean; readonly showHistoryOutput?: boolean } = {}): InstanceStatus {
    const instance = this.journal.instance(instanceId);
    if (!instance) throw new HoldfastError('HOST_NO_SUCH_INSTANCE', `No instance with ID '${instanceId}' found.`, { data: { instanceId } });
    const history = options.showHistory ? { history: this.journal.history(instanceId), showHistoryOutput: options.showHistoryOutput === true } : {};
    return instanceStatus(instance, { showInput: true, ...history });
  }

  /** All instances, by id. */
  list(): InstanceStatus[] {
    return this.journal.list({}).map((instance) => instanceStatus(instance, { showInput: true }));
  }

  /** The events of the current execution as the journal holds them. */
  history(instanceId: string): HistoryEvent[] {
    return this.journal.history(instanceId);
  }

  isFinished(instanceId: string): boolean {
    const instance = this.journal.instance(instanceId);
    return instance === undefined || isFinished(instance.status);
  }

  /** The following return false when the instance has finished, and throw HOST_NO_SUCH_INSTANCE when there is none. */
  raiseEvent(instanceId: string, name: string, data: unknown = null): boolean {
    return this.engine.post(instanceId, events.eventRaised(name, JSON.stringify(data), this.clock.now()));
  }

  terminate(instanceId: string, reason: string | null = null): boolean {
    return this.engine.post(instanceId, events.executionTerminated(reason, this.clock.now()));
  }

  suspend(instanceId: string, reason: string | null = null): boolean {
    return this.engine.post(instanceId, events.suspended(reason, this.clock.now()));
  }

  resume(instanceId: string, reason: string | null = null): boolean {
    return this.engine.post(instanceId, events.resumed(reason, this.clock.now()));
  }
}
