/** Telemetry over the OpenTelemetry API. Where no provider was registered every call is one of the API's own that do nothing. */
import { type Context, context, metrics, propagation, ROOT_CONTEXT, type Span, SpanStatusCode, trace } from '@opentelemetry/api';
import { logs, SeverityNumber } from '@opentelemetry/api-logs';
import { type Attributes, type EventName, type MetricName, metricSpec, type OpenSpan, type Telemetry } from '../activities/telemetry';
import { isHoldfastError, messageOf } from '../errors/holdfast-error';
import { redact } from '../errors/redact';
import { EVENT_NAME, SCOPE, TRACEPARENT } from './names';
import { redactAttributes } from './redact';

export function createTelemetry(): Telemetry {
  return { span: inSpan, measure, event, carrier: () => carrierOf(context.active()) };
}

function inSpan<T>(name: string, attributes: Attributes, work: (span: OpenSpan) => Promise<T>): Promise<T> {
  return trace.getTracer(SCOPE).startActiveSpan(redact(name), { attributes: redactAttributes(attributes) }, async (span) => {
    try {
      return await work({ set: (more) => { span.setAttributes(redactAttributes(more)); }, fail: (code, message) => fail(span, code, message) });
    } catch (error) {
      record(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

function fail(span: Span, code: string, message: string): void {
  span.setAttribute('error.type', code);
  span.setStatus({ code: SpanStatusCode.ERROR, message: redact(message) });
}

/** The exception as an event of the span, written by hand: recordException would take message and stack as they are. */
function record(span: Span, error: unknown): void {
  // What a step throws so that it is repeated carries the failure as its cause.
  const cause = error instanceof Error && isHoldfastError(error.cause) ? error.cause : error;
  const type = isHoldfastError(cause) ? cause.code : error instanceof Error ? error.name : typeof error;
  const stack = error instanceof Error ? error.stack ?? '' : '';
  span.addEvent('exception', { 'exception.type': type, 'exception.message': redact(messageOf(cause)), 'exception.stacktrace': redact(stack) });
  fail(span, type, messageOf(cause));
}

/** Instruments by the meter that made them: after a shutdown there is another one. */
const instruments = new WeakMap<object, Map<string, { record(value: number, attributes: Attributes): void }>>();

function measure(name: MetricName, value: number, attributes: Attributes = {}): void {
  const meter = metrics.getMeter(SCOPE);
  const known = instruments.get(meter) ?? new Map<string, { record(value: number, attributes: Attributes): void }>();
  instruments.set(meter, known);
  let instrument = known.get(name);
  if (!instrument) {
    const { kind, unit, description, buckets } = metricSpec(name);
    const options = { unit, description, ...(buckets ? { advice: { explicitBucketBoundaries: [...buckets] } } : {}) };
    if (kind === 'counter') {
      const counter = meter.createCounter(name, options);
      instrument = { record: (more, of) => counter.add(more, of) };
    } else {
      instrument = kind === 'gauge' ? meter.createGauge(name, options) : meter.createHistogram(name, options);
    }
    known.set(name, instrument);
  }
  instrument.record(value, redactAttributes(attributes) as Attributes);
}

function event(name: EventName, attributes: Attributes): void {
  logs.getLogger(SCOPE).emit({ eventName: name, body: name, severityNumber: SeverityNumber.INFO, severityText: 'INFO', attributes: { [EVENT_NAME]: name, ...redactAttributes(attributes) } });
}

function carrierOf(active: Context): Readonly<Record<string, string>> {
  const carrier: Record<string, string> = {};
  propagation.inject(active, carrier);
  return carrier[TRACEPARENT] === undefined ? {} : { [TRACEPARENT]: carrier[TRACEPARENT] };
}

/** The context that a W3C trace context names: a span that runs elsewhere, as parent for what runs here. */
export const contextOf = (traceparent: string | undefined, tracestate?: string | undefined): Context =>
  propagation.extract(ROOT_CONTEXT, { ...(traceparent ? { traceparent } : {}), ...(tracestate ? { tracestate } : {}) });

/** What the host hands to a function with each invocation. */
export interface HostTraceContext { readonly traceParent?: string | undefined; readonly traceState?: string | undefined }

/** Makes a function run inside the host's trace. Without a trace of the host it runs as it is. */
export function withinHostTrace<A extends unknown[], R>(host: HostTraceContext | undefined, handler: (...args: A) => R): (...args: A) => R {
  const parent = contextOf(host?.traceParent, host?.traceState);
  return trace.getSpanContext(parent) ? context.bind(parent, handler) : handler;
}

/** A log record of a function, as the host would have sent it. */
export function emitLog(level: string, message: string): void {
  logs.getLogger(SCOPE).emit({ body: redact(message), severityNumber: SEVERITY[level] ?? SeverityNumber.UNSPECIFIED, severityText: level });
}

const SEVERITY: Readonly<Record<string, SeverityNumber>> = {
  trace: SeverityNumber.TRACE, debug: SeverityNumber.DEBUG, information: SeverityNumber.INFO, warning: SeverityNumber.WARN, error: SeverityNumber.ERROR, critical: SeverityNumber.FATAL,
};
