/** Names that more than one file of this room needs. */
export const SCOPE = 'holdfast';

/** Set on spans of single calls (to the vault, to Azure), of which only some are kept when they succeed. */
export const CALL = 'holdfast.call';

/** What Application Insights reads as the percentage of its like that a record stands for. */
export const SAMPLE_RATE = '_MS.sampleRate';

/** What makes a log record a custom event in Application Insights. */
export const EVENT_NAME = 'microsoft.custom_event.name';

/** What carries an activity's trace into transfer threads (W3C Trace Context). */
export const TRACEPARENT = 'traceparent';

/** The channel of this process over which transfer threads tell of their requests. */
export const THREAD_CHANNEL = 'holdfast-telemetry';
