import type { Outcome } from './outcome';
import { withinLimit } from './step-limit';
import type { Attributes, Telemetry } from './telemetry';

/** What of a step's input says which part of which job it is. */
const ABOUT = ['itemId', 'sequence', 'stamp', 'disk', 'pass', 'region', 'restoreId', 'policy', 'recoveryPoint'] as const;

/** A step as a span of the trace that the host handed over: what it does in the vault and in Azure hangs under it, and an outcome that is a failure is seen as one. */
export const observed = <I, O>(telemetry: Telemetry, name: string, step: (input: I) => Promise<Outcome<O>>) => (input: I): Promise<Outcome<O>> =>
  telemetry.span(`step ${name}`, { 'holdfast.step': name, ...about(input) }, async (span) => {
    const outcome = await step(input);
    if (!outcome.ok) span.fail(outcome.error.code, outcome.error.message);
    return outcome;
  });

function about(input: unknown): Attributes {
  if (typeof input !== 'object' || input === null) return {};
  const values = input as Readonly<Record<string, unknown>>;
  return Object.fromEntries(ABOUT.flatMap((key) => (typeof values[key] === 'string' || typeof values[key] === 'number' ? [[`holdfast.${key}`, values[key]]] : [])));
}

/** What is registered of a step: seen, and within its limit of time. */
export const stepOf = <I, O>(telemetry: Telemetry, name: string, step: (input: I) => Promise<Outcome<O>>): ((input: I) => Promise<Outcome<O>>) =>
  observed(telemetry, name, withinLimit(name, step));
