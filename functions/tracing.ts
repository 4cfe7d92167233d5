import { app } from '@azure/functions';
import { emitLog, withinHostTrace } from '../telemetry/otel';

/** Runs every function inside the trace that the host hands over with it, so that what it does, and what it starts, hangs under the host's span. */
export function registerTracing(): void {
  app.hook.preInvocation((context) => {
    context.functionHandler = withinHostTrace(context.invocationContext.traceContext, context.functionHandler);
  });
}

/**
 * Where this process sends its own telemetry: the host then no longer sends functions' logs for it (WorkerOpenTelemetryEnabled), so they are sent from here, and
 * what is left is sent before the host ends the process.
 */
export function registerExport(running: { stop(): Promise<void> }): void {
  app.setup({ capabilities: { WorkerOpenTelemetryEnabled: true } });
  app.hook.log((context) => emitLog(context.level, context.message));
  app.hook.appTerminate(() => running.stop());
}
