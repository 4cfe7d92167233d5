import assert from 'node:assert/strict';
import { HoldfastError } from '../../errors/holdfast-error';
import type { ByteRange, ObjectInfo, Store } from '../../vault/store/store';

/** One call that an actor makes of its store. */
interface Call { readonly operation: 'create' | 'read' | 'stat' | 'list' | 'delete' | 'serverTimeMs'; readonly name: string; readonly data: Uint8Array | null }
/** What a call answers: a value, or the code of what it throws. */
type Answer = { readonly key: string; readonly value: unknown } | { readonly key: string; readonly missing: string };

/**
 * What an actor has seen so far: the answers to its calls, in their order. The code is deterministic, so this decides what it does next; it is found out once, by
 * running the code from its start with these answers, and remembered.
 */
interface Node { readonly id: number; readonly parent: Node | null; readonly answer: Answer | null; readonly next: Map<string, Node>; call?: Call | 'done' }

export type Actor = (store: Store) => Promise<void>;

interface Stored { readonly content: number; readonly epoch: number }
/** What is in the vault: names in order, and for each what was written, and when. */
export type Objects = ReadonlyMap<string, Stored>;
/** A state of the vault, and what each actor's next call makes of it. */
interface World { readonly id: number; readonly objects: Objects; readonly after: Map<string, { readonly world: World; readonly node: Node }> }
/** `running` is who went on last, and may go on for nothing; `switches` is how often one that could go on was made to wait for another, or for the clock. */
interface State { readonly world: World; readonly epoch: number; readonly at: readonly Node[]; readonly running: number; readonly switches: number }

export interface Exploration {
  readonly states: number;
  readonly steps: number;
  /** Runs of real code, from its start to its next call. */
  readonly replays: number;
  /** States of the vault by themselves. */
  readonly worlds: number;
}

export interface ExploreOptions {
  readonly start: readonly { readonly name: string; readonly data: Buffer; readonly epoch: number }[];
  /** What the store's clock says, one after another, the first for what is old; when it goes on is up to the exploration too. */
  readonly epochsMs: readonly number[];
  readonly actors: readonly Actor[];
  /** Names of objects that nobody ever deletes: to read one that is there, or to find its name taken, has no influence on anybody, and none on it. */
  readonly isLasting: (name: string) => boolean;
  /** Names that no two ever create, so that one that was seen and is gone stays away. */
  readonly isUnique: (name: string) => boolean;
  /** Prefixes below which nobody writes. */
  readonly isQuiet: (prefix: string) => boolean;
  /** Prefixes below which an actor may create or delete anything while it has not ended; an actor that does so elsewhere fails the exploration. */
  readonly writes: (actor: Actor) => readonly string[];
  /** Throws when the vault in this state is not as it must be. */
  readonly check: (objects: Objects, contentOf: (content: number) => Buffer) => void;
  readonly maxStates: number;
  /**
   * Only the orders in which, at most so often, an actor is stopped although it could go on, or the clock goes on; who goes first, and next when one has ended, is open all the same. Every order when not
   * given. Most races need few such switches (Musuvathi and Qadeer, Iterative context bounding, 2007), and their number grows far less fast than that of all orders.
   */
  readonly maxSwitches?: number;
}

/**
 * Goes through every interleaving of actors over one store, at the granularity of its calls, with the clock as one more actor: every order in which their calls can
 * take effect. States that are the same (the vault, the clock, and what every actor has seen) are gone on from once. A call whose answer and effect are the same whenever it
 * comes (see isLasting, isUnique, isQuiet) is not put in any order. An actor's calls that it makes at once take effect in the order in which it makes them.
 */
export function explore(options: ExploreOptions): Promise<Exploration> {
  return new Explorer(options).run();
}

/** Plays random schedules of the same kind, `walks` of them, each to its end; for more actors than every order can be gone through of. The seed decides which. */
export function sample(options: ExploreOptions, walks: number, seed: number): Promise<Exploration> {
  return new Explorer(options).walk(walks, seed);
}

class Explorer {
  private readonly contents: Buffer[] = [];
  private readonly contentOfNode = new Map<number, number>();
  private readonly worlds = new Map<string, World>();
  private nodes = 0;
  private replays = 0;

  constructor(private readonly options: ExploreOptions) {}

  async run(): Promise<Exploration> {
    const { maxStates } = this.options;
    /** For each state the fewest switches that led to it. */
    const seen = new Map<string, number>();
    const bounded = this.options.maxSwitches !== undefined;
    const stack: State[] = [this.start()];
    let steps = 0;
    for (let state = stack.pop(); state; state = stack.pop()) {
      const key = `${state.world.id}.${state.epoch}.${state.at.map(({ id }) => id).join('.')}${bounded ? `.${state.running}` : ''}`;
      if ((seen.get(key) ?? Infinity) <= (bounded ? state.switches : 0)) continue;
      seen.set(key, bounded ? state.switches : 0);
      assert.ok(seen.size <= maxStates, `more than ${maxStates} states`);
      const next = await this.nextOf(state);
      stack.push(...next);
      steps += next.length;
    }
    return { states: seen.size, steps, worlds: this.worlds.size, replays: this.replays };
  }

  async walk(walks: number, seed: number): Promise<Exploration> {
    let [steps, drawn] = [0, seed | 1];
    const first = this.start();
    for (let walk = 0; walk < walks; walk++) {
      for (let next = await this.nextOf(first); next.length > 0; steps++) {
        // The steps of a 32-bit xorshift generator (Marsaglia, 2003).
        drawn ^= drawn << 13;
        drawn ^= drawn >>> 17;
        drawn ^= drawn << 5;
        next = await this.nextOf(next[(drawn >>> 0) % next.length] as State);
      }
    }
    return { states: steps, steps, worlds: this.worlds.size, replays: this.replays };
  }

  private start(): State {
    const { start, actors } = this.options;
    const objects: Objects = new Map([...start].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, data, epoch }) => [name, { content: this.contents.push(data) - 1, epoch }]));
    return { world: this.world(objects), epoch: 1, at: actors.map(() => this.node(null, null)), running: -1, switches: 0 };
  }

  /** Every state that can follow; a single one where the order does not matter. */
  private async nextOf(state: State): Promise<State[]> {
    for (const [actor, node] of state.at.entries()) node.call ??= await this.replay(actor, node);
    const eager = state.at.findIndex((node, actor) => this.isUnordered(state.world, node.call) || this.isAlone(state, actor));
    if (eager >= 0) return [this.step(state, eager)];
    const able = [...state.at.keys()].filter((actor) => state.at[actor]?.call !== 'done');
    const stopped = able.includes(state.running) ? 1 : 0;
    const next = able.map((actor) => ({ ...this.step(state, actor), running: actor, switches: state.switches + (actor === state.running ? 0 : stopped) }));
    // When all have ended, time makes no difference.
    if (next.length > 0 && state.epoch + 1 < this.options.epochsMs.length) next.push({ ...state, epoch: state.epoch + 1, switches: state.switches + stopped });
    return next.filter(({ switches }) => switches <= (this.options.maxSwitches ?? Infinity));
  }

  /** A look at what none of the others that go on may change any more, or at a clock that does not go on: its answer is the same whenever it comes, and it changes nothing. */
  private isAlone({ epoch, at }: State, actor: number): boolean {
    const call = at[actor]?.call;
    if (call === undefined || call === 'done') return false;
    const { actors, epochsMs, writes } = this.options;
    if (call.operation === 'serverTimeMs') return epoch + 1 === epochsMs.length;
    if (call.operation === 'create' || call.operation === 'delete') return false;
    return at.every(({ call: theirs }, other) => other === actor || theirs === 'done' || writes(actors[other] as Actor).every((prefix) => !call.name.startsWith(prefix) && !prefix.startsWith(call.name)));
  }

  private node(parent: Node | null, answer: Answer | null): Node {
    return { id: this.nodes++, parent, answer, next: new Map() };
  }

  /** The one world of these objects; it is checked when it is met for the first time. */
  private world(objects: Objects): World {
    let key = '';
    for (const [name, { content, epoch }] of objects) key += `${name}.${content}.${epoch};`;
    let world = this.worlds.get(key);
    if (!world) {
      this.options.check(objects, (content) => this.contents[content] as Buffer);
      this.worlds.set(key, world = { id: this.worlds.size, objects, after: new Map() });
    }
    return world;
  }

  private isUnordered({ objects }: World, call: Node['call']): boolean {
    if (call === undefined || call === 'done') return false;
    const { operation, name } = call;
    const { isLasting, isUnique, isQuiet } = this.options;
    if (operation === 'list') return isQuiet(name);
    if (operation === 'serverTimeMs') return false;
    if (objects.has(name)) return operation !== 'delete' && isLasting(name);
    return operation !== 'create' && operation !== 'read' && isUnique(name);
  }

  private step(state: State, actor: number): State {
    const { world, epoch, at } = state;
    const node = at[actor] as Node;
    const { operation, name } = node.call as Call;
    const { actors, writes } = this.options;
    if (operation === 'create' || operation === 'delete') assert.ok(writes(actors[actor] as Actor).some((prefix) => name.startsWith(prefix)), `actor ${actor} was not said to write ${name}`);
    const change = `${node.id}.${epoch}`;
    let done = world.after.get(change);
    if (!done) {
      const { objects, answer } = this.perform(world.objects, epoch, node, node.call as Call);
      let next = node.next.get(answer.key);
      if (!next) node.next.set(answer.key, next = this.node(node, answer));
      world.after.set(change, done = { world: objects === world.objects ? world : this.world(objects), node: next });
    }
    const { world: after, node: next } = done;
    return { ...state, world: after, at: at.map((one, index) => (index === actor ? next : one)) };
  }

  private perform(objects: Objects, epoch: number, node: Node, { operation, name, data }: Call): { objects: Objects; answer: Answer } {
    const info = (one: string, { content, epoch: written }: Stored): ObjectInfo => ({ name: one, sizeBytes: (this.contents[content] as Buffer).length, modifiedAtMs: this.options.epochsMs[written] as number });
    const there = objects.get(name);
    switch (operation) {
      case 'serverTimeMs': return { objects, answer: { key: String(epoch), value: this.options.epochsMs[epoch] } };
      case 'read': return { objects, answer: there ? { key: String(there.content), value: this.contents[there.content] } : { key: '-', missing: name } };
      case 'stat': return { objects, answer: there ? { key: `${there.content}.${there.epoch}`, value: info(name, there) } : { key: '-', value: undefined } };
      case 'list': {
        const found = [...objects].filter(([one]) => one.startsWith(name));
        return { objects, answer: { key: found.map(([one, { epoch: written }]) => `${one}.${written}`).join(), value: found.map(([one, stored]) => info(one, stored)) } };
      }
      case 'delete': {
        if (!there) return { objects, answer: { key: 'absent', value: 'absent' } };
        return { objects: new Map([...objects].filter(([one]) => one !== name)), answer: { key: 'deleted', value: 'deleted' } };
      }
      case 'create': {
        if (there) return { objects, answer: { key: 'exists', value: 'exists' } };
        // What an actor writes follows from what it has seen, but for random nonces: it is drawn once.
        let content = this.contentOfNode.get(node.id);
        if (content === undefined) this.contentOfNode.set(node.id, content = this.contents.push(Buffer.from(data as Uint8Array)) - 1);
        const more: Objects = new Map([...objects, [name, { content, epoch }] as const].sort(([a], [b]) => (a < b ? -1 : 1)));
        return { objects: more, answer: { key: 'created', value: 'created' } };
      }
    }
  }

  /** What the actor does next, after what it has seen. */
  private async replay(actor: number, node: Node): Promise<Call | 'done'> {
    this.replays++;
    const answers: Answer[] = [];
    for (let one: Node | null = node; one?.answer; one = one.parent) answers.unshift(one.answer);
    return new Promise((resolve, reject) => {
      const store = replayedStore(answers.values(), (call) => resolve(call));
      (this.options.actors[actor] as Actor)(store).then(() => resolve('done'), reject);
    });
  }
}

/** A store that gives the recorded answers, and then says what is asked next and never answers. */
function replayedStore(answers: Iterator<Answer>, onCall: (call: Call) => void): Store {
  let before: Promise<unknown> = Promise.resolve();
  const ask = (operation: Call['operation'], name: string, data: Uint8Array | null = null): Promise<unknown> => {
    // One call at a time, in the order in which they are made.
    const mine = before.then(() => {
      const { value: answer, done } = answers.next();
      if (done) {
        onCall({ operation, name, data });
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
    delete: (name) => ask('delete', name) as Promise<'deleted' | 'absent'>,
    serverTimeMs: () => ask('serverTimeMs', '') as Promise<number>,
    close: () => Promise.resolve(),
  };
}
