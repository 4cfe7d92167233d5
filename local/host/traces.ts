/**
 * The host's own spans, as the genuine one with distributed tracing V2 has them: one for each trigger, one for each orchestration from its start to its end, and
 * one for each execution of an activity; sub-orchestrations and activities hang under the orchestration that called them, an orchestration under whoever started it.
 * What a function is handed is the span that it runs in (W3C Trace Context). An orchestration's span is in the journal, so a trace goes on after a restart.
 */
import { randomBytes } from 'node:crypto';
import type { HostSpan } from '../../telemetry/host-spans';
import type { InstanceTrace, Journal } from './journal';

export type SpanSink = (span: HostSpan) => void;
type SpanIds = Pick<InstanceTrace, 'traceId' | 'spanId'>;

/** As the worker hands it to a function. */
export interface TraceContext { readonly traceParent: string; readonly traceState: string; readonly attributes: Readonly<Record<string, string>> }

export class HostTraces {
  constructor(private readonly journal: Pick<Journal, 'trace' | 'saveTrace'>, private readonly sink: SpanSink | undefined) {}

  /** Runs an invocation as a span of its own. Without a sink there are no traces, and functions are handed none. */
  async run<T>(name: string, parent: SpanIds | undefined, attributes: HostSpan['attributes'], work: (trace: TraceContext | null) => Promise<T>, isFailure: (result: T) => boolean = () => false): Promise<T> {
    if (!this.sink) return work(null);
    const span = newSpan(parent);
    let failed = true;
    try {
      const result = await work(contextOf(span));
      failed = isFailure(result);
      return result;
    } finally {
      this.sink({ ...span, name, kind: 'server', endMs: Date.now(), failed, attributes });
    }
  }

  /** A new instance, within the transaction that makes it. */
  started(instanceId: string, parent: SpanIds | undefined): void {
    if (this.sink) this.journal.saveTrace(instanceId, newSpan(parent));
  }

  ended(instanceId: string, name: string, failed: boolean): void {
    const trace = this.sink && this.journal.trace(instanceId);
    if (trace) this.sink?.({ ...trace, name: `orchestration:${name}`, kind: 'internal', endMs: Date.now(), failed, attributes: { 'durabletask.task.instance_id': instanceId } });
  }

  /** The span of an instance, for what it calls. */
  of(instanceId: string): InstanceTrace | undefined {
    return this.sink && this.journal.trace(instanceId);
  }

  contextOf(instanceId: string): TraceContext | null {
    const trace = this.of(instanceId);
    return trace ? contextOf(trace) : null;
  }
}

const newSpan = (parent: SpanIds | undefined): InstanceTrace =>
  ({ traceId: parent?.traceId ?? randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex'), parentSpanId: parent?.spanId ?? null, startMs: Date.now() });

const contextOf = ({ traceId, spanId }: SpanIds): TraceContext => ({ traceParent: `00-${traceId}-${spanId}-01`, traceState: '', attributes: {} });

/** The span that a `traceparent` header names; undefined for none, or for one that is no such header. */
export function parseTraceparent(header: string | null): SpanIds | undefined {
  const [, traceId, spanId] = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(header ?? '') ?? [];
  return traceId === undefined || spanId === undefined || /^0+$/.test(traceId) || /^0+$/.test(spanId) ? undefined : { traceId, spanId };
}
