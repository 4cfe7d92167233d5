/** Writes down what passes between a host and the app's durable functions, from inside the app: the hooks of `@azure/functions` are called by any host. */
import { app } from '@azure/functions';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

/** Where the app writes; the script that started the host reads it. */
export const RECORDING_SETTING = 'HOLDFAST_RECORDING';

/** One call of an orchestrator or a step, a line of the file. */
export interface InvocationLine {
  /** When it ended, milliseconds since 1970. */
  readonly atMs: number;
  readonly function: string;
  readonly trigger: string;
  readonly invocationId: string;
  readonly input: unknown;
  /** Absent where the handler threw. */
  readonly output?: unknown;
  readonly threw?: string;
}

/** To be called while the app is loaded. */
export function recordInvocations(file: string): void {
  app.hook.preInvocation(({ inputs, hookData }) => {
    // As text at once: the library marks events of a history while it works through them.
    hookData['input'] = JSON.stringify(inputs[0]);
  });
  app.hook.postInvocation(({ invocationContext, hookData, result, error }) => {
    const trigger = invocationContext.options.trigger.type;
    if (trigger !== 'orchestrationTrigger' && trigger !== 'activityTrigger') return;
    const input = hookData['input'] as string | undefined;
    const ended = error === null || error === undefined ? { output: result } : { threw: error instanceof Error ? error.message : String(error) };
    const line = { atMs: Date.now(), function: invocationContext.functionName, trigger, invocationId: invocationContext.invocationId, input: input === undefined ? '$undefined' : JSON.parse(input) as unknown, ...ended };
    appendFileSync(file, `${JSON.stringify(line)}\n`);
  });
}

/** What was written so far; a line that is being written is left for the next look. */
export function readInvocations(file: string): InvocationLine[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as InvocationLine);
}
