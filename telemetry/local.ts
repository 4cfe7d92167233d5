/** The local home's outlet: metrics as the text that Prometheus reads, and spans, events and logs as JSON lines in a folder. */
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { type ExportResult, ExportResultCode, hrTimeToMilliseconds } from '@opentelemetry/core';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { BatchLogRecordProcessor, type ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { BatchSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { EVENT_NAME } from './names';
import { type RunningTelemetry, startProviders } from './providers';

/** A file that has this size becomes the one before, and the one before it goes: the folder holds twice as much at most. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

export interface LocalTelemetry extends RunningTelemetry {
  /** The state of all metrics, in the text format of Prometheus. */
  metricsText(): Promise<string>;
}

/** @param folder where traces.jsonl and events.jsonl are written; made when it is not there */
export function startLocalTelemetry(folder: string, keepPercent: number): LocalTelemetry {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const prometheus = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer();
  const running = startProviders({
    spans: new BatchSpanProcessor(lines(path.join(folder, 'traces.jsonl'), spanLine)), metrics: [prometheus],
    logs: [new BatchLogRecordProcessor({ exporter: lines(path.join(folder, 'events.jsonl'), logLine) })], keepPercent, appName: 'local',
  });
  return {
    ...running,
    async metricsText() {
      const { resourceMetrics, errors } = await prometheus.collect();
      if (errors.length > 0) throw errors[0];
      return serializer.serialize(resourceMetrics);
    },
  };
}

interface LineExporter<T> { export(batch: T[], done: (result: ExportResult) => void): void; shutdown(): Promise<void>; forceFlush(): Promise<void> }

function lines<T>(file: string, toLine: (one: T) => object): LineExporter<T> {
  return {
    export(batch, done) {
      try {
        if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) >= MAX_FILE_BYTES) renameSync(file, file.replace(/\.jsonl$/, '.1.jsonl'));
        appendFileSync(file, batch.map((one) => `${JSON.stringify(toLine(one))}\n`).join(''), { mode: 0o600 });
        done({ code: ExportResultCode.SUCCESS });
      } catch (error) {
        // A full disk must not stop a backup: what cannot be written is lost, and the backup says of itself that the disk is full.
        done({ code: ExportResultCode.FAILED, error: error as Error });
      }
    },
    shutdown: () => Promise.resolve(),
    forceFlush: () => Promise.resolve(),
  };
}

const spanLine = (span: ReadableSpan): object => ({
  traceId: span.spanContext().traceId, spanId: span.spanContext().spanId, parentSpanId: span.parentSpanContext?.spanId ?? null, name: span.name, kind: SpanKind[span.kind],
  start: new Date(hrTimeToMilliseconds(span.startTime)).toISOString(), durationMs: hrTimeToMilliseconds(span.duration),
  status: span.status.code === SpanStatusCode.ERROR ? 'error' : 'ok', ...(span.status.message === undefined ? {} : { message: span.status.message }), attributes: span.attributes,
  ...(span.events.length === 0 ? {} : { events: span.events.map(({ name, attributes }) => ({ name, attributes })) }),
});

function logLine(record: ReadableLogRecord): object {
  const { [EVENT_NAME]: event, ...attributes } = record.attributes;
  return { time: new Date(hrTimeToMilliseconds(record.hrTime)).toISOString(), ...(event === undefined ? { severity: record.severityText, body: record.body } : { event }), traceId: record.spanContext?.traceId ?? null, attributes };
}
