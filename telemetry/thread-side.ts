// The part that runs in a transfer thread. It loads nothing but Node's own modules.
import { BroadcastChannel, isMainThread } from 'node:worker_threads';
import { observeCalls } from './calls';
import { THREAD_CHANNEL } from './names';
import type { ThreadCall } from './threads';

let current: string | undefined;
let started = false;

/** From now on the requests of this thread count for the activity that `traceparent` names. In the main thread it does nothing: its requests are seen there. */
export function tellCallsOf(traceparent: string): void {
  if (isMainThread) return;
  current = traceparent;
  if (started) return;
  started = true;
  const channel = new BroadcastChannel(THREAD_CHANNEL);
  channel.unref();
  observeCalls(() => current, (call, begun) => channel.postMessage({ traceparent: begun, call } satisfies ThreadCall));
}
