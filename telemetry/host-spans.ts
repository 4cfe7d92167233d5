/** Spans that the embedded host tells of, as OpenTelemetry has them. Their ids were given away before they ended, which no tracer does. */
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { hrTimeDuration, millisToHrTime } from '@opentelemetry/core';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { SCOPE } from './names';

export interface HostSpan {
  readonly name: string;
  /** 'server' for what came from outside or out of a queue, 'internal' for an orchestration as a whole. */
  readonly kind: 'server' | 'internal';
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly startMs: number;
  readonly endMs: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, string | number>>;
}

export function readableHostSpan(span: HostSpan, resource: Resource): ReadableSpan {
  const [startTime, endTime] = [millisToHrTime(span.startMs), millisToHrTime(span.endMs)];
  const identity = (spanId: string): ReturnType<ReadableSpan['spanContext']> => ({ traceId: span.traceId, spanId, traceFlags: TraceFlags.SAMPLED });
  return {
    name: span.name, kind: span.kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL, spanContext: () => identity(span.spanId),
    ...(span.parentSpanId === null ? {} : { parentSpanContext: identity(span.parentSpanId) }),
    startTime, endTime, duration: hrTimeDuration(startTime, endTime), ended: true, status: { code: span.failed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes: span.attributes, links: [], events: [], resource, instrumentationScope: { name: `${SCOPE}-host` },
    droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0,
  };
}
