import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Action } from '../../../local/host/actions';
import type { InvocationRecord } from '../../../local/host/function-calls';
import { EventType, type HistoryEvent } from '../../../local/host/history';

/** What an orchestrator answered when it was last called: everything that it asked for since its start, and how it ended. */
export interface GoldenAnswer {
  readonly isDone: boolean;
  readonly actions: readonly Action[];
  readonly output?: unknown;
  readonly customStatus?: unknown;
  readonly error?: string;
}

/** One execution of one instance: a start, or a generation after continue-as-new. */
export interface GoldenExecution {
  readonly name: string;
  readonly instanceId: string;
  readonly parentInstanceId: string | null;
  readonly input: unknown;
  /** How many of the actions were asked for after each episode. */
  readonly asked: readonly number[];
  /** As the extension sends it at the last call. Members that are null, and `IsPlayed`, are left out in the file and put back when it is read. */
  readonly history: readonly HistoryEvent[];
  readonly answer: GoldenAnswer;
}

/** Real runs of orchestrations, as they stand in test/fixtures/golden/STORY.json. */
export interface GoldenStory {
  readonly story: string;
  readonly about: string;
  readonly executions: readonly GoldenExecution[];
}

/** What an orchestrator returned, without the wrappings. */
export function answerOf(state: unknown): GoldenAnswer {
  const { isDone, actions, output, customStatus, error } = JSON.parse(JSON.stringify(state)) as Omit<GoldenAnswer, 'actions'> & { actions: Action[][] };
  return { isDone, actions: actions.flat(), ...Object.fromEntries(Object.entries({ output, customStatus, error }).filter(([, value]) => value !== undefined)) };
}

export const goldenFolder = path.join(__dirname, '..', '..', '..', '..', 'test', 'fixtures', 'golden');
export const goldenFile = (story: string): string => path.join(goldenFolder, `${story}.json`);
export const goldenNames = (): string[] => readdirSync(goldenFolder).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length)).sort();
/** The same form, recorded from the genuine extension (test/genuine), or what `npm run record:func` wrote anew. */
export const genuineFile = path.join(process.env['HOLDFAST_RECORDINGS'] ?? path.join(goldenFolder, '..', 'genuine'), 'holdfast.json');
export const readGenuine = (): GoldenStory => parseGolden(readFileSync(genuineFile, 'utf8'));
export const readGolden = (story: string): GoldenStory => parseGolden(readFileSync(goldenFile(story), 'utf8'));

const typeNames = new Map<number, string>(Object.entries(EventType).map(([name, type]) => [type, name]));

/** Collects what passes between host and orchestrators, to be given to the host as `onInvocation`. */
export class GoldenRecorder {
  readonly #executions = new Map<string, GoldenExecution>();

  /** @param wanted the orchestrations that are kept; all when it is left out */
  constructor(private readonly wanted?: readonly string[]) {}

  readonly onInvocation = (record: InvocationRecord): void => {
    if (record.kind !== 'orchestration' || (this.wanted && !this.wanted.includes(record.function))) return;
    const input = JSON.parse(JSON.stringify(record.input)) as { input: unknown; instanceId: string; parentInstanceId: string | null; history: HistoryEvent[] };
    const started = input.history.find((event) => event.EventType === EventType.ExecutionStarted);
    if (started?.EventType !== EventType.ExecutionStarted) throw new Error(`the history of ${input.instanceId} has no beginning`);
    const key = `${input.instanceId} ${started.OrchestrationInstance.ExecutionId}`;
    const answer = answerOf(record.output);
    const asked = [...this.#executions.get(key)?.asked ?? []];
    asked[input.history.filter((event) => event.EventType === EventType.OrchestratorStarted).length - 1] = answer.actions.length;
    // The last call of an execution has all of its history, and answers with all that it ever asked for.
    this.#executions.set(key, {
      name: record.function, instanceId: input.instanceId, parentInstanceId: input.parentInstanceId, input: input.input, asked, history: input.history, answer,
    });
  };

  get executions(): readonly GoldenExecution[] {
    return [...this.#executions.values()];
  }
}

/**
 * The file's text: one line for each event and action, without what differs between any two recordings.
 * @param drawn whether a real vault is behind it, whose sizes hang on what was drawn
 */
export function goldenText({ story, about, executions }: GoldenStory, drawn: boolean): string {
  const parts = executions.map(({ history, answer: { actions, ...answer }, ...about_ }) => [
    '    {', ...Object.entries(about_).map(([key, value]) => `      ${JSON.stringify(key)}: ${JSON.stringify(value)},`),
    '      "history": [', lines(history.map(compactEvent)), '      ],', '      "actions": [', lines(actions), '      ],', `      "answer": ${JSON.stringify(answer)}`, '    }',
  ].join('\n'));
  return stable(drawn, `{\n  "story": ${JSON.stringify(story)},\n  "about": ${JSON.stringify(about)},\n  "executions": [\n${parts.join(',\n')}\n  ]\n}\n`);
}

const lines = (items: readonly unknown[]): string => items.map((item) => `        ${JSON.stringify(item)}`).join(',\n');

function compactEvent(event: HistoryEvent): object {
  const { EventType: type, ...rest } = event;
  const shown = type === EventType.TaskFailed ? { ...rest, Details: withoutStacks((rest as { Details: string }).Details) } : rest;
  return { type: typeNames.get(type), ...Object.fromEntries(Object.entries(shown).filter(([key, value]) => value !== null && key !== 'IsPlayed' && !(key === 'EventId' && value === -1))) };
}

/** Of a failure's details what an orchestrator may read: stacks name files of the machine. */
function withoutStacks(details: string): string {
  const { $type, Message, InnerException } = JSON.parse(details) as { $type: string; Message: string; InnerException: { $type: string; RemoteMessage: string } };
  return JSON.stringify({ $type, Message, InnerException: { $type: InnerException.$type, RemoteMessage: InnerException.RemoteMessage } });
}

function parseGolden(text: string): GoldenStory {
  type Stored = Omit<GoldenExecution, 'history' | 'answer'> & { history: ({ type: keyof typeof EventType } & Record<string, unknown>)[]; actions: Action[]; answer: Omit<GoldenAnswer, 'actions'> };
  const { executions, ...rest } = JSON.parse(text) as Omit<GoldenStory, 'executions'> & { executions: Stored[] };
  return {
    ...rest,
    executions: executions.map(({ history, actions, answer, ...execution }) => ({
      ...execution, answer: { ...answer, actions },
      history: history.map(({ type, ...event }) => ({ Result: null, Input: null, ParentInstance: null, Generation: null, EventId: -1, IsPlayed: false, EventType: EventType[type], ...event }) as unknown as HistoryEvent),
    })),
  };
}

/** Ids that are drawn anew each time become numbered ones; the same id stays the same throughout. */
function stable(drawn: boolean, text: string): string {
  const seen = new Map<string, string>();
  const numbered = (id: string, make: (n: number) => string): string => {
    const known = seen.get(id) ?? make(seen.size + 1);
    seen.set(id, known);
    return known;
  };
  return text
    .replace(/(?<![0-9a-f-])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, (id) => numbered(id, (n) => `00000000-0000-0000-0000-${n.toString(16).padStart(12, '0')}`))
    .replace(/\b[0-9a-f]{32}\b/g, (id) => numbered(id, (n) => n.toString(16).padStart(32, '0')))
    // What is stored holds drawn ids and is compressed: it is a few bytes longer or shorter each time. Sums of nothing are nothing.
    .replace(drawn ? /(?<=\b(?:storedBytes|allBytes|deletedBytes|unneededBytes|waitingBytes)\\?":)\d+/g : /(?!)/g, '0')
    .replace(drawn ? /(?<=\bbudgetBytes\\?":)\d+/g : /(?!)/g, '1')
    .replace(/(?<=\bpacks\/(?:data|meta)\/)[0-9a-f]{2}\//g, '00/')
    .replace(/(?<=\bopened\\?":\[\\?")[0-9a-f]{16}/g, '0'.repeat(16))
    // The end of an item's id, a hash of where its machine is.
    .replace(/(?<=\b(?:web01|a-bad|b-good|c-good)-)[0-9a-f]{8}\b/g, (id) => numbered(id, (n) => n.toString(16).padStart(8, '0')));
}
