import assert from 'node:assert/strict';
import { HoldfastError } from '../../../errors/holdfast-error';
import type { ByteRange, ObjectInfo, Store } from '../../../vault/store/store';
import { type Answer, type Call, callText, type Contents } from './vault-worlds';

export type Actor = (store: Store) => Promise<void>;

/** A part of what an actor does, from one call to another. */
export interface Stage {
  /** The call that begins it, as callText writes it. A stage may begin anew, or be passed over. */
  readonly begins: RegExp;
  /** What of what was seen before it (`call = answer`, one after another) still matters; all else is forgotten. Everything matters where this is not given. */
  readonly keeps?: (seen: readonly string[]) => readonly string[];
  /** What of an answer in this stage matters at all, from `call = answer` and what was seen before it; the whole of it where this is not given. */
  readonly sees?: (one: string, seen: readonly string[]) => string;
  /** Calls of this stage whose answers make no difference, whatever they are. */
  readonly ignores?: RegExp;
}

/** Where an actor stands: what it asks next, after what it has seen. */
export interface Node {
  readonly id: number;
  /** How it was first reached. */
  readonly parent: Node | null;
  readonly answer: Answer | null;
  /** What it asks now, and what it has asked for already to be answered after that; empty when it has ended. */
  readonly calls: readonly Call[];
  readonly stage: number;
  /** What it has seen and not forgotten. */
  readonly kept: readonly string[];
  readonly next: Map<string, { readonly answer: Answer; readonly node: Node }>;
}

/** Ways through the code that were gone again, of how many there are. */
export interface Ways { readonly gone: number; readonly all: number }

/**
 * All that one actor's code does, found out call by call: the real code is run from its start with recorded answers until it asks for what is not recorded. It is deterministic, so its answers so far decide
 * what it asks next. Two ways that lead to the same question with the same things kept in mind are gone on from as one. That they are one for the code too is what `prove` looks at.
 */
export class ActorGraph {
  readonly nodes: Node[] = [];
  /** Runs of the code, from its start to its next call. */
  replays = 0;
  private readonly byKey = new Map<string, Node>();
  private first: Node | undefined;

  constructor(readonly actor: Actor, private readonly stages: readonly Stage[], private readonly contents: Contents) {}

  async start(): Promise<Node> {
    return this.first ??= this.node(null, null, await this.asked([]));
  }

  /** The node after an answer to the first of the node's calls. */
  async after(node: Node, answer: Answer): Promise<Node> {
    const known = node.next.get(answer.key);
    if (known) return known.node;
    const answers = [...answersTo(node), answer];
    const next = this.node(node, answer, (await this.asked(answers)).slice(answers.length));
    node.next.set(answer.key, { answer, node: next });
    return next;
  }

  /**
   * Runs the real code along ways through the graph from end to end, and throws where it asks for anything else than the graph says. All of them when there are at most `limit`: then no two ways were wrongly
   * taken for one. Else from each way to come to a node with each way to go on from it, `limit` of them at most and evenly, each to a random end.
   */
  async prove(limit: number, random: (below: number) => number): Promise<Ways> {
    const start = await this.start();
    const counts = new Map<Node, number>();
    const count = (node: Node): number => {
      const known = counts.get(node);
      if (known !== undefined) return known;
      // Met again below itself it would be what is there until it is known.
      counts.set(node, Number.NaN);
      const all = node.next.size === 0 ? 1 : [...node.next.values()].reduce((sum, { node: next }) => sum + count(next), 0);
      counts.set(node, all);
      return all;
    };
    const all = count(start);
    assert.ok(all > 0, 'the graph leads back to where it was');
    let gone = 0;
    for (const way of all <= limit ? everyWay(start, []) : this.crossings(limit, random)) {
      await this.proveWay(start, way);
      gone++;
    }
    return { gone, all };
  }

  private async proveWay(start: Node, way: readonly Answer[]): Promise<void> {
    const expected: string[] = [];
    let node = start;
    for (const answer of way) {
      expected.push(callText(node.calls[0] as Call));
      node = (node.next.get(answer.key) as { node: Node }).node;
    }
    assert.deepEqual((await this.asked(way)).map(callText), [...expected, ...node.calls.map(callText)], 'what was forgotten made a difference');
  }

  private *crossings(limit: number, random: (below: number) => number): Generator<Answer[]> {
    const pairs: [Node, Answer, Node, Answer][] = [];
    for (const node of this.nodes) for (const { answer, node: next } of node.next.values()) for (const { answer: then } of next.next.values()) if (next.parent !== node || next.answer !== answer) pairs.push([node, answer, next, then]);
    const every = Math.max(1, pairs.length / limit);
    for (let at = random(Math.ceil(every)); at < pairs.length; at += every) {
      const [node, answer, middle, then] = pairs[Math.floor(at)] as [Node, Answer, Node, Answer];
      const way = [...answersTo(node), answer, then];
      for (let one = middle.next.get(then.key)?.node; one && one.next.size > 0;) {
        const turn = [...one.next.values()][random(one.next.size)];
        if (turn) way.push(turn.answer);
        one = turn?.node;
      }
      yield way;
    }
  }

  private node(parent: Node | null, answer: Answer | null, calls: readonly Call[]): Node {
    let kept: readonly string[] = parent && answer ? [...parent.kept, this.seen(parent, answer)] : [];
    let stage = parent?.stage ?? -1;
    const [call] = calls;
    const begun = call ? this.stages.findIndex(({ begins }, index) => index >= stage && begins.test(callText(call))) : this.stages.length;
    if (begun >= 0) {
      stage = begun;
      kept = call ? [...this.stages[begun]?.keeps?.(kept) ?? kept] : [];
    }
    const key = [stage, ...kept, '', ...calls.map(callText)].join('\n');
    let node = this.byKey.get(key);
    if (!node) {
      this.byKey.set(key, node = { id: this.nodes.length, parent, answer, calls, stage, kept, next: new Map() });
      this.nodes.push(node);
    }
    return node;
  }

  private seen({ calls, stage, kept }: Node, { key }: Answer): string {
    const call = callText(calls[0] as Call);
    const { sees, ignores } = this.stages[stage] ?? {};
    if (ignores?.test(call)) return call;
    return sees?.(`${call} = ${key}`, kept) ?? `${call} = ${key}`;
  }

  /** What the code asks for, one after another, when it gets these answers; at the end stands what it waits for then. */
  private async asked(answers: readonly Answer[]): Promise<Call[]> {
    this.replays++;
    const asked: Call[] = [];
    await new Promise<void>((resolve, reject) => {
      // All that it asks for at once has been asked for when nothing is left to do but to wait.
      this.actor(this.replayed(answers.values(), asked, () => setImmediate(resolve))).then(resolve, reject);
    });
    return asked;
  }

  /** A store that gives the recorded answers, and then never answers. */
  private replayed(answers: Iterator<Answer>, asked: Call[], onEnd: () => void): Store {
    let before: Promise<unknown> = Promise.resolve();
    const ask = (operation: Call['operation'], name: string, data?: Uint8Array): Promise<unknown> => {
      asked.push({ operation, name, content: data ? this.contents.add(name, Buffer.from(data)) : -1 });
      // One call at a time, in the order in which they are made.
      const mine = before.then(() => {
        const { value: answer, done } = answers.next();
        if (done) {
          onEnd();
          return new Promise<never>(() => undefined);
        }
        if ('missing' in answer) throw new HoldfastError('STORE_OBJECT_NOT_FOUND', `There is no ${answer.missing}`);
        return answer.value;
      });
      before = mine.catch(() => undefined);
      return mine;
    };
    return {
      description: 'replayed',
      create: (name, data) => ask('create', name, data) as Promise<'created' | 'exists'>,
      read: async (name, range?: ByteRange) => {
        const bytes = await ask('read', name) as Buffer;
        return Buffer.from(range ? bytes.subarray(range.offset, range.offset + range.length) : bytes);
      },
      stat: (name) => ask('stat', name) as Promise<ObjectInfo | undefined>,
      async *list(prefix) { yield* await ask('list', prefix) as ObjectInfo[]; },
      async *listNames(prefix) { yield* await ask('listNames', prefix) as string[]; },
      delete: (name) => ask('delete', name) as Promise<'deleted' | 'absent'>,
      serverTimeMs: () => ask('serverTimeMs', '') as Promise<number>,
      close: () => Promise.resolve(),
    };
  }
}

/** The answers by which a node was first reached. */
export function answersTo(node: Node): Answer[] {
  const answers: Answer[] = [];
  for (let one: Node | null = node; one?.answer; one = one.parent) answers.unshift(one.answer);
  return answers;
}

function* everyWay(node: Node, before: readonly Answer[]): Generator<readonly Answer[]> {
  if (node.next.size === 0) yield before;
  for (const { answer, node: next } of node.next.values()) yield* everyWay(next, [...before, answer]);
}
