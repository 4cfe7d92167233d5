/** Turns requests to Azure into metrics, all of them, and into spans, of which the processor keeps a share (keeping.ts). */
import { type Context, context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { isTracingSuppressed } from '@opentelemetry/core';
import type { Telemetry } from '../activities/telemetry';
import { type Call, observeCalls } from './calls';
import { CALL, SCOPE } from './names';

const THROTTLED: ReadonlySet<number> = new Set([429, 503]);
/** Answers that say no more than that something is not there, or is there already: what was asked, and no failure. */
const ANSWERS: ReadonlySet<number> = new Set([404, 409, 412]);

export function recordCall(telemetry: Pick<Telemetry, 'measure'>, call: Call, parent: Context): void {
  const result = resultOf(call);
  const { service, method, operation } = call;
  telemetry.measure('holdfast.requests', 1, { service, result });
  telemetry.measure('holdfast.request.duration', (call.endMs - call.startMs) / 1000, { service });
  if (result === 'throttled') telemetry.measure('holdfast.throttles', 1, { service });
  const span = trace.getTracer(SCOPE).startSpan(`${service} ${method} ${operation}`.trimEnd(), {
    kind: SpanKind.CLIENT, startTime: call.startMs,
    attributes: {
      [CALL]: true, 'holdfast.service': service, 'holdfast.operation': operation, 'http.request.method': method, 'url.full': call.url, 'server.address': call.host,
      ...(call.status === 0 ? {} : { 'http.response.status_code': call.status }), ...(call.responseBytes === 0 ? {} : { 'http.response.body.size': call.responseBytes }),
      ...(call.error === null ? {} : { 'error.type': call.error }),
    },
  }, parent);
  if (result !== 'ok') span.setStatus({ code: SpanStatusCode.ERROR, message: call.error ?? `HTTP ${call.status}` });
  span.end(call.endMs);
}

function resultOf({ status, error }: Call): 'ok' | 'throttled' | 'refused' | 'failed' {
  if (THROTTLED.has(status)) return 'throttled';
  if (error !== null || status === 0 || status >= 500) return 'failed';
  return status < 400 || ANSWERS.has(status) ? 'ok' : 'refused';
}

/** Sees the requests of this thread, but for those of the exporters, which suppress tracing. Returns the function that stops it. */
export const spansOfCalls = (telemetry: Pick<Telemetry, 'measure'>): (() => void) =>
  observeCalls(() => (isTracingSuppressed(context.active()) ? undefined : context.active()), (call, parent) => recordCall(telemetry, call, parent));
