/** Drives a pattern of the recordings against a host and writes down the same anew. */
import { setTimeout as delay } from 'node:timers/promises';
import { type CalledHost, perform } from '../local/host/conformance-stories';
import type { OrchestratorInput, RecordedEvent, Recording } from '../local/host/recordings';
import type { InvocationLine } from './invocations';

/** A host that runs the functions of the recordings. */
export interface PatternHost {
  fetch(address: string, init?: RequestInit): Promise<Response>;
  invocations(): InvocationLine[];
}

/** A pattern's instances get this long to end; those of some patterns never do. */
const REST_MS = 30_000;
const POLL_MS = 250;
const LONGEST_TEXT = 6000;
/** Three frames of a stack or more, as they are or inside texts of JSON. */
const FRAMES = /((?:(?:\n|\\+n)\s+at [^\n"\\]+){2})(\n|\\+n)(\s+at [^\n"\\]+(?:(?:\n|\\+n)\s+at [^\n"\\]+)*)/g;
const FINISHED = new Set(['Completed', 'Failed', 'Terminated']);

/** The same calls as in `pattern` at the same times; answers what passed, in the form of the recordings. */
export async function recordPattern(host: PatternHost, pattern: Recording): Promise<Recording> {
  const earlier = host.invocations().length;
  const binding = await (await host.fetch('/api/clientRaw')).json() as { rpcBaseUrl: string; requiredQueryStringParameters: string };
  const system = new URLSearchParams(binding.requiredQueryStringParameters).get('code') ?? '';
  // The other keys are the host's own secrets; a `func` that was started without authentication asks for none.
  const called: CalledHost = { fetch: (address, init) => host.fetch(address, init), keys: { system, master: '', function: '' } };
  const startMs = Date.now();
  const since = (atMs: number): number => Math.round(atMs - startMs) / 1000;
  const calls: Omit<RecordedEvent, 'n'>[] = [];
  for (const event of pattern.events.filter(({ kind }) => kind === 'clientCall' || kind === 'http')) {
    await delay(Math.max(0, startMs + event.t * 1000 - Date.now()));
    const reply = await perform(called, event);
    const { op, args, request } = event;
    calls.push(event.kind === 'clientCall'
      ? { t: since(Date.now()), kind: 'clientCall', op, args, outcome: reply.body as RecordedEvent['outcome'] }
      : { t: since(Date.now()), kind: 'http', request, response: { status: reply.status, headers: reply.headers, body: reply.body } });
  }
  const own = (): InvocationLine[] => host.invocations().slice(earlier);
  const statusOf = async (id: string): Promise<{ httpStatus: number; body: unknown }> => {
    const response = await fetch(new URL(`instances/${encodeURIComponent(id)}?showHistory=true&showHistoryOutput=true&showInput=true`, binding.rpcBaseUrl));
    const text = await response.text();
    return { httpStatus: response.status, body: text === '' ? '' : JSON.parse(text) as unknown };
  };
  const finalStatus = await atRest(pattern, () => instancesOf(own()), statusOf);
  const passed = own().map((line) => ({ t: since(line.atMs), kind: 'invocation' as const, function: line.function, trigger: line.trigger, invocationId: line.invocationId, input: line.input, ...answerOf(line) }));
  const events = [...calls, ...passed].sort((a, b) => a.t - b.t).map((event, index) => ({ n: index + 1, ...event }));
  return normalised({ ...pattern, events, finalStatus }, system) as Recording;
}

const answerOf = ({ output, threw }: InvocationLine): Pick<RecordedEvent, 'output' | 'handlerThrew'> => (threw === undefined ? { output } : { handlerThrew: { $error: { message: threw } } });

const instancesOf = (lines: readonly InvocationLine[]): string[] => [...new Set(lines.filter(({ trigger }) => trigger === 'orchestrationTrigger').map(({ input }) => (input as OrchestratorInput).instanceId))];

/** The status of every instance once those have ended that ended in the recording, or the time for that is over. */
async function atRest(pattern: Recording, instances: () => string[], statusOf: (id: string) => Promise<{ httpStatus: number; body: unknown }>): Promise<Recording['finalStatus']> {
  const finished = ({ body }: { readonly body: unknown }): boolean => FINISHED.has((body as { runtimeStatus?: string }).runtimeStatus ?? '');
  const openThere = new Set(Object.entries(pattern.finalStatus).filter(([, status]) => !finished(status)).map(([id]) => id));
  const untilMs = Date.now() + REST_MS;
  for (;;) {
    const statuses: Record<string, { httpStatus: number; body: unknown }> = {};
    for (const id of instances()) statuses[id] = await statusOf(id);
    const open = Object.entries(statuses).filter(([id, status]) => status.httpStatus !== 404 && !finished(status) && !openThere.has(id));
    if (open.length === 0 || Date.now() >= untilMs) return statuses;
    await delay(POLL_MS);
  }
}

/** What the recordings' README says is replaced: keys, paths, runs of stack frames, long texts, lists of known functions. */
export function normalised(value: unknown, systemKey: string): unknown {
  if (typeof value === 'string') return normalisedText(value, systemKey);
  if (Array.isArray(value)) return value.map((one) => normalised(one, systemKey));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, normalised(one, systemKey)]));
}

function normalisedText(text: string, systemKey: string): string {
  const without = (systemKey === '' ? text : text.replaceAll(systemKey, '<systemKey>'))
    .replace(/code=[^&"\s<]+/g, 'code=<systemKey>')
    .replace(/(?:file:\/\/)?(?:[A-Za-z]:)?[/\\][^\s"'():]*[/\\]node_modules(?=[/\\])/g, '<node_modules>')
    .replace(/(?:file:\/\/)?(?:[A-Za-z]:)?[/\\][^\s"'():]*[/\\](?=(?:worker-bundle|WorkerContext)\b)/g, '<worker>/')
    .replace(/(?:file:\/\/)?(?:[A-Za-z]:)?[/\\][^\s"'():]*[/\\]dist(?=[/\\])/g, '<app>')
    .replace(/ in [/\\A-Za-z][^\s"]*\.cs:line \d+/g, '')
    .replace(/known orchestrator functions: .*$/s, 'known orchestrator functions: <list>')
    .replace(FRAMES, (_all, kept: string, newline: string, more: string) => `${kept}${newline}   ...<${more.split(' at ').length - 1} more frames>`);
  return without.length <= LONGEST_TEXT ? without : `${without.slice(0, 100)}...<${without.length} chars in total>...${without.slice(-100)}`;
}
