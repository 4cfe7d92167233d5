import type { LogRecordProcessor, SdkLogRecord } from '@opentelemetry/sdk-logs';
import { redactAttributes, redactValue } from './redact';

/** Stands before what exports log records, so that whoever made one, no secret leaves with it. */
export const redactingLogs: LogRecordProcessor = {
  onEmit(record: SdkLogRecord): void {
    if (record.body !== undefined) record.setBody(redactValue(record.body) as string);
    record.setAttributes(redactAttributes(record.attributes as Parameters<typeof redactAttributes>[0]) as Parameters<SdkLogRecord['setAttributes']>[0]);
  },
  forceFlush: () => Promise.resolve(),
  shutdown: () => Promise.resolve(),
};
