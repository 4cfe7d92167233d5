/** Sends to Application Insights. Loaded only where its connection string is set: it takes some hundred milliseconds of a cold start. */
import { AzureMonitorLogExporter, AzureMonitorMetricExporter, AzureMonitorTraceExporter } from '@azure/monitor-opentelemetry-exporter';
import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { type RunningTelemetry, startProviders } from './providers';

type ExporterOptions = NonNullable<ConstructorParameters<typeof AzureMonitorTraceExporter>[0]>;

export interface AzureMonitorOptions {
  readonly connectionString: string;
  /** Where the resource takes no connection string alone (local authentication off). */
  readonly credential?: ExporterOptions['credential'];
  readonly keepPercent: number;
  readonly appName: string;
}

const OFF = ['APPLICATION_INSIGHTS_NO_STATSBEAT', 'APPLICATIONINSIGHTS_STATSBEAT_DISABLED', 'APPLICATIONINSIGHTS_SDKSTATS_DISABLED', 'APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED'];
const METRICS_EVERY_MS = 60_000;

export function startAzureMonitor({ connectionString, credential, keepPercent, appName }: AzureMonitorOptions): RunningTelemetry {
  // The exporter would report on its own use to Microsoft, and send a record about the resource with every batch: nobody asked for that here.
  for (const name of OFF) process.env[name] ??= 'true';
  const options: ExporterOptions = { connectionString, ...(credential ? { credential } : {}) };
  return startProviders({
    spans: new BatchSpanProcessor(new AzureMonitorTraceExporter(options)),
    metrics: [new PeriodicExportingMetricReader({ exporter: new AzureMonitorMetricExporter(options), exportIntervalMillis: METRICS_EVERY_MS })],
    logs: [new BatchLogRecordProcessor({ exporter: new AzureMonitorLogExporter(options) })],
    keepPercent, appName,
  });
}
