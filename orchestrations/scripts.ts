import type { OrchestrationContext } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { RunInput, ScriptResult } from '../activities/types';
import { step, type Steps, wait } from './steps';

const FIRST_POLL_MS = 1_000;
const POLL_GROWTH = 1.5;
const MAX_POLL_MS = 20_000;

/** Runs a script in the guest: begun and then looked at until it ended, or its step says that it never will. Never throws. */
export function* runScript(context: OrchestrationContext, name: string, run: RunInput): Steps<Outcome<ScriptResult>> {
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(pollMs * POLL_GROWTH, MAX_POLL_MS)) {
    const answer = yield* step<ScriptResult>(context, name, run);
    if (!answer.ok || answer.value.state === 'done') return answer;
    yield* wait(context, pollMs);
  }
}
