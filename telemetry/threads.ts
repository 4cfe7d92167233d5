/**
 * Requests that transfer threads make. A thread says what it asked for over a channel of the process, with the trace of the activity that it works for, and the
 * main thread makes spans and metrics of it: a thread loads no OpenTelemetry, and its requests hang under the activity that they were made for.
 */
import { BroadcastChannel, isMainThread } from 'node:worker_threads';
import type { Telemetry } from '../activities/telemetry';
import { recordCall } from './call-spans';
import type { Call } from './calls';
import { THREAD_CHANNEL } from './names';
import { contextOf } from './otel';

export interface ThreadCall { readonly traceparent: string; readonly call: Call }

/** Main thread: takes what threads say. Returns the function that stops it. */
export function listenToThreads(telemetry: Pick<Telemetry, 'measure'>): () => void {
  if (!isMainThread) throw new Error('Only the main thread listens to the others');
  const channel = new BroadcastChannel(THREAD_CHANNEL);
  channel.unref();
  channel.onmessage = (message: unknown): void => {
    const { traceparent, call } = (message as { data: ThreadCall }).data;
    recordCall(telemetry, call, contextOf(traceparent));
  };
  return () => channel.close();
}
