/** Drives a recorded story against the embedded host: the same calls at the same times of a virtual clock. */
import { createHost, type EmbeddedHost } from '../../../local/host/host';
import { VirtualClock } from '../../../local/host/clock';
import type { InvocationRecord } from '../../../local/host/function-calls';
import { registerRecordedApp } from './recorded-app';
import { normalise, recordedHostJson, type OrchestratorInput, type RecordedEvent, type Recording } from './recordings';

export interface Reply {
  readonly event: RecordedEvent;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface StoryRun {
  readonly host: EmbeddedHost;
  readonly invocations: readonly InvocationRecord[];
  readonly replies: readonly Reply[];
  readonly ticks: readonly unknown[];
}

const defaultStartMs = Date.UTC(2026, 10, 22, 22, 46);

export async function recordedHost(invocations: InvocationRecord[] = [], ticks: unknown[] = [], startMs = defaultStartMs): Promise<EmbeddedHost> {
  const clock = new VirtualClock(startMs);
  const host = await createHost({
    stateFolder: ':memory:', clock, maxConcurrentActivities: 10, hostJsonPath: recordedHostJson,
    load: () => registerRecordedApp(clock, ticks),
    onInvocation: (record) => invocations.push(structuredCloneOf(record)),
    // What was recorded has payloads of 60 KB and an id of 300 characters.
    onLargePayload: () => undefined,
  });
  await host.start();
  return host;
}

/** When the story began, for calls that name a time. */
function recordedStartMs(recording: Recording): number {
  const first = recording.events.find((event) => event.trigger === 'orchestrationTrigger');
  const at = (first?.input as OrchestratorInput | undefined)?.history[0]?.['Timestamp'];
  return first && typeof at === 'string' ? Math.floor(Date.parse(at) - first.t * 1000) : defaultStartMs;
}

function structuredCloneOf(record: InvocationRecord): InvocationRecord {
  return { ...record, input: cloneJson(record.input), output: cloneJson(record.output) };
}

const cloneJson = (value: unknown): unknown => (value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown));

/** Lets `use` look at the host after the story, then stops it. */
export async function runStory(recording: Recording, use: (run: StoryRun) => Promise<void> | void, choose: (event: RecordedEvent) => boolean = () => true): Promise<void> {
  const invocations: InvocationRecord[] = [];
  const ticks: unknown[] = [];
  const host = await recordedHost(invocations, ticks, recordedStartMs(recording));
  const replies: Reply[] = [];
  const startMs = host.clock.now();
  try {
    for (const event of recording.events.filter(choose)) {
      if (event.kind !== 'clientCall' && event.kind !== 'http') continue;
      await host.advanceTo(startMs + Math.round(event.t * 1000));
      const reply = perform(host, event);
      await host.settle();
      // A call that waits for its instance waits in virtual time.
      if (/[?&]timeout=/.test(event.request?.url ?? '')) await host.advanceTo(host.clock.now() + 10_000);
      replies.push(await reply);
      await host.settle();
    }
    await host.advanceTo(host.clock.now() + 60_000);
    await use({ host, invocations, replies, ticks });
  } finally {
    await host.stop();
  }
}

/** A host that a recorded call can be made to. */
export type CalledHost = Pick<EmbeddedHost, 'fetch' | 'keys'>;

/** Makes a recorded call anew. */
export async function perform(host: CalledHost, event: RecordedEvent): Promise<Reply> {
  const response = event.kind === 'clientCall'
    ? await host.fetch('/api/client', { method: 'POST', body: JSON.stringify({ op: event.op, args: event.args }) })
    : await host.fetch(withKeys(host, event.request?.url ?? '/'), requestInit(host, event));
  const text = await response.text();
  const cookies = response.headers.getSetCookie().join(', ');
  return { event, status: response.status, headers: { ...Object.fromEntries(response.headers), ...(cookies ? { 'set-cookie': cookies } : {}) }, body: parsed(text) };
}

function withKeys(host: CalledHost, url: string): string {
  return url.replace('<systemKey>', host.keys.system).replace('<masterKey>', host.keys.master).replace('<functionKey>', host.keys.function);
}

function requestInit(host: CalledHost, event: RecordedEvent): RequestInit {
  const { method, headers, body } = event.request ?? { method: 'GET' };
  const sent = Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, withKeys(host, value)]));
  if (body === undefined || method === 'GET' || method === 'HEAD') return { method, headers: sent };
  const text = sent['Content-Type'] === 'application/json' ? jsonBody(body) : String(body as string);
  // A Buffer, because fetch would add a content type to a string.
  return { method, headers: sent, body: Buffer.from(text) };
}

/** The recordings hold a body as text; a start with JSON has it unquoted in a few places. */
function jsonBody(body: unknown): string {
  if (typeof body !== 'string') return JSON.stringify(body);
  const plainWords = ['hi', 'waiting'];
  return plainWords.includes(body) ? JSON.stringify(body) : body;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Not JSON: the text itself is compared.
    return text;
  }
}

/** The inputs that each instance's orchestrator got, normalised, one list an instance, in an order of their own. */
export function inputsByInstance(invocations: readonly { readonly function: string; readonly input: OrchestratorInput }[], concurrent: (instanceId: string) => boolean): unknown[] {
  const lists = new Map<string, { name: string; instanceId: string; inputs: OrchestratorInput[] }>();
  for (const { function: name, input } of invocations) {
    const list = lists.get(input.instanceId) ?? { name, instanceId: input.instanceId, inputs: [] };
    lists.set(input.instanceId, { ...list, inputs: [...list.inputs, input] });
  }
  const described = [...lists.values()].map(({ name, instanceId, inputs }) => normalise(
    concurrent(instanceId) ? { name, last: withoutOrder(inputs.at(-1)) } : { name, inputs }));
  return described.map((item) => JSON.stringify(item)).sort().map((item) => JSON.parse(item) as unknown);
}

const arrivalId = (event: Readonly<Record<string, unknown>>): string => String(event['TaskScheduledId'] ?? event['TimerId'] ?? event['Name']);

/** The history without the marks of episodes and with what arrived in the order of ids: for completions that overtake each other. */
function withoutOrder(input: OrchestratorInput | undefined): unknown {
  const events = (input?.history ?? []).filter((event) => event['EventType'] !== 12 && event['EventType'] !== 13).map((event): Readonly<Record<string, unknown>> => ({ ...event, IsPlayed: undefined }));
  const scheduled = events.filter((event) => event['EventId'] !== -1);
  const arrived = events.filter((event) => event['EventId'] === -1).sort((left, right) => arrivalId(left).localeCompare(arrivalId(right)));
  return { scheduled, arrived };
}
