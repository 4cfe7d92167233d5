import type { Attributes as OtelAttributes } from '@opentelemetry/api';
import { redact } from '../errors/redact';

/** Attributes as they may leave this process: no value holds what opens a door (I7). Applied where attributes enter, and once more before export. */
export function redactAttributes(attributes: OtelAttributes): OtelAttributes {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, redactValue(value)])) as OtelAttributes;
}

/** Any JSON-like value with every text in it redacted. */
export function redactValue(value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map(redactValue);
  if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, redactValue(inner)]));
  }
  return value;
}
