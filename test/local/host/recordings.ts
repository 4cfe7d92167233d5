/** Reads the recordings and brings recorded and own values to a form in which they can be compared. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface RecordedEvent {
  readonly n: number;
  /** Seconds since the start of the story. */
  readonly t: number;
  readonly kind: 'invocation' | 'clientHttp' | 'clientCall' | 'http' | 'timer-in' | 'timer-out';
  readonly function?: string;
  readonly trigger?: string;
  readonly input?: unknown;
  readonly output?: unknown;
  readonly handlerThrew?: { readonly $error?: { readonly message: string } };
  readonly op?: string;
  readonly args?: readonly unknown[];
  readonly outcome?: { readonly ok?: boolean; readonly result?: unknown; readonly name?: string; readonly message?: string };
  readonly note?: string;
  readonly status?: number;
  readonly request?: { readonly method: string; readonly url: string; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown };
  readonly response?: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: unknown; readonly bodyIsText?: boolean };
}

export interface Recording {
  readonly pattern: string;
  readonly events: readonly RecordedEvent[];
  readonly finalStatus: Readonly<Record<string, { readonly httpStatus: number; readonly body: unknown }>>;
}

/** Those of the repository, or what `npm run record:func` wrote anew. */
export const durableFolder = process.env['HOLDFAST_RECORDINGS'] ?? join(__dirname, '..', '..', '..', '..', 'test', 'fixtures', 'durable');

/** The settings that the recordings were made with. */
export const recordedHostJson = join(durableFolder, 'host.json');

export function readRecording(name: string): Recording {
  return JSON.parse(readFileSync(join(durableFolder, `${name}.json`), 'utf8')) as Recording;
}

export interface OrchestratorInput {
  readonly history: readonly Readonly<Record<string, unknown>>[];
  readonly instanceId: string;
  readonly isReplaying: boolean;
}

/** What a recorded orchestrator returned, whether by returning or by throwing. */
export function recordedState(event: RecordedEvent): unknown {
  if (event.output !== undefined && event.output !== null) return event.output;
  const message = event.handlerThrew?.$error?.message ?? '';
  const at = message.indexOf('$OutOfProcData$:');
  return at < 0 ? undefined : (JSON.parse(message.slice(at + '$OutOfProcData$:'.length)) as unknown);
}

const timePattern = /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|\+00:00)/g;

/** Placeholders for what differs between any two runs; forms stay, so that an id with dashes never equals one without. */
export function normaliseText(text: string): string {
  return text
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<guid>')
    .replace(/\b[0-9a-f]{32}\b/g, '<hex32>')
    .replace(timePattern, '<time>')
    .replace(/(RemoteStackTrace\\*":\\*").*?(\\*",\\*"RemoteMessage)/gs, '$1<stack>$2')
    .replace(/(Stack: ).*?(\\*",\\*"Data)/gs, '$1<stack>$2')
    .replace(/(StackTrace\\*":\\*") {3}at .*?(\\*"\})/gs, '$1<stack>$2')
    .replace(/(, StackTrace:) {4}at .*$/s, '$1 <stack>')
    .replace(/http:\/\/(127\.0\.0\.1|localhost):\d+/g, 'http://<host>')
    .replace(/code=[\w<>-]+/g, 'code=<key>')
    .replace(/known orchestrator functions: .*$/s, 'known orchestrator functions: <list>');
}

function sameJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    // A failure's text, not JSON.
    return text;
  }
}

/** @param skip members that are left out wherever they stand */
export function normalise(value: unknown, skip: readonly string[] = []): unknown {
  if (typeof value === 'string') return normaliseText(value);
  if (Array.isArray(value)) return value.map((item) => normalise(item, skip));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !skip.includes(key)).map(([key, item]) => {
    // .NET writes the same JSON a little differently: 1E+21, an escaped U+2028.
    if (key === 'Result' && typeof item === 'string') return [key, normaliseText(sameJson(item))];
    return [normaliseText(key), normalise(item, skip)];
  }));
}
