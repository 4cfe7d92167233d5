/** Which spans leave this process: all but a share of the single calls that succeeded. What failed is never left out, nor is anything that led to it. */
import { type Context, SpanStatusCode, trace } from '@opentelemetry/api';
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { redact } from '../errors/redact';
import { CALL, SAMPLE_RATE } from './names';
import { redactAttributes } from './redact';

interface Open { keep: boolean; readonly sampled: boolean; readonly parent: Open | undefined }

/**
 * Decides at the end of a span, when it is known how it went. Spans that are no calls are kept always. Of calls that went well `keepPercent` of a hundred are
 * kept, by their span id, with the rate written on them, so that Application Insights counts right; a call inside a call shares its fate. One that failed is
 * kept, and so is every call that it happened in. What is passed on holds no secret.
 */
export class KeepingProcessor implements SpanProcessor {
  private readonly open = new Map<string, Open>();

  constructor(private readonly next: SpanProcessor, private readonly keepPercent: number) {}

  onStart(span: Span, context: Context): void {
    const parentId = trace.getSpanContext(context)?.spanId;
    const parent = parentId === undefined ? undefined : this.open.get(parentId);
    const isCall = span.attributes[CALL] !== undefined;
    const { spanId } = span.spanContext();
    const keep = !isCall || (parent?.sampled ? parent.keep : shareOf(spanId) < this.keepPercent);
    this.open.set(spanId, { keep, sampled: isCall, parent });
    this.next.onStart(span, context);
  }

  onEnd(span: ReadableSpan): void {
    const { spanId } = span.spanContext();
    const state = this.open.get(spanId);
    this.open.delete(spanId);
    const failed = span.status.code === SpanStatusCode.ERROR;
    if (failed) for (let above = state?.parent; above; above = above.parent) above.keep = true;
    if (failed || (state?.keep ?? true)) this.next.onEnd(withoutSecrets(span, state?.sampled && !failed && this.keepPercent < 100 ? this.keepPercent : null));
  }

  forceFlush(): Promise<void> {
    return this.next.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.next.shutdown();
  }
}

/** 0 to 100, evenly over span ids, which are random. */
const shareOf = (spanId: string): number => (parseInt(spanId.slice(0, 8), 16) / 0x1_0000_0000) * 100;

/** The same span, redacted: whatever set its attributes, other libraries included. */
function withoutSecrets(span: ReadableSpan, sampleRate: number | null): ReadableSpan {
  const own = Object.entries(redactAttributes(span.attributes)).filter(([name]) => name !== CALL);
  const kept = Object.fromEntries(sampleRate === null ? own : [...own, [SAMPLE_RATE, sampleRate]]);
  return new Proxy(span, {
    get(target, name) {
      switch (name) {
        case 'attributes': return kept;
        case 'name': return redact(target.name);
        case 'status': return target.status.message === undefined ? target.status : { ...target.status, message: redact(target.status.message) };
        case 'events': return target.events.map((event) => ({ ...event, ...(event.attributes ? { attributes: redactAttributes(event.attributes) } : {}) }));
        default: {
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
        }
      }
    },
  });
}
