/** Sets OpenTelemetry up for this process: one tracer, one meter and one logger, with what a home reads from them. */
import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { logs } from '@opentelemetry/api-logs';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider, type LogRecordProcessor } from '@opentelemetry/sdk-logs';
import { MeterProvider, type MetricReader } from '@opentelemetry/sdk-metrics';
import { AlwaysOnSampler, BasicTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { spansOfCalls } from './call-spans';
import { type HostSpan, readableHostSpan } from './host-spans';
import { KeepingProcessor } from './keeping';
import { createTelemetry } from './otel';
import { redactingLogs } from './redacting-logs';
import { listenToThreads } from './threads';

export interface Outlets {
  readonly spans: SpanProcessor;
  readonly metrics: readonly MetricReader[];
  readonly logs: readonly LogRecordProcessor[];
  /** Of a hundred single calls that succeeded, how many are kept as spans. */
  readonly keepPercent: number;
  /** Tells apps apart that report to one place. */
  readonly appName: string;
}

export interface RunningTelemetry {
  /** A span of the embedded host. In Azure the Functions host reports its own. */
  hostSpan(span: HostSpan): void;
  flush(): Promise<void>;
  /** Sends what is left and takes everything down again, so that another one can be started. */
  stop(): Promise<void>;
}

/** The sampler is always on: what is left out is decided when a span ends and it is known that it did not fail. */
export function startProviders(outlets: Outlets): RunningTelemetry {
  const resource = resourceFromAttributes({ 'service.name': 'holdfast', 'service.instance.id': outlets.appName });
  const processor = new KeepingProcessor(outlets.spans, outlets.keepPercent);
  const tracers = new BasicTracerProvider({ resource, sampler: new AlwaysOnSampler(), spanProcessors: [processor] });
  const meters = new MeterProvider({ resource, readers: [...outlets.metrics] });
  const loggers = new LoggerProvider({ resource, processors: [redactingLogs, ...outlets.logs] });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(tracers);
  metrics.setGlobalMeterProvider(meters);
  logs.setGlobalLoggerProvider(loggers);
  const telemetry = createTelemetry();
  const undo = [spansOfCalls(telemetry), listenToThreads(telemetry)];
  // One of the three that cannot deliver keeps the others from nothing, and nobody's backup from anything.
  const all = async (work: (provider: { forceFlush(): Promise<void>; shutdown(): Promise<void> }) => Promise<void>): Promise<void> => { await Promise.allSettled([tracers, meters, loggers].map(work)); };
  return {
    hostSpan: (span) => processor.onEnd(readableHostSpan(span, resource)),
    flush: () => all((provider) => provider.forceFlush()),
    async stop() {
      for (const step of undo) step();
      await all((provider) => provider.shutdown());
      for (const api of [trace, metrics, logs, propagation, context]) api.disable();
    },
  };
}
