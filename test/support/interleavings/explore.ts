import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type Actor, ActorGraph, answersTo, type Node, type Stage, type Ways } from './actor-graph';
import { Commuting, type Footprint, type Move, type NameRules, type Presence } from './commuting';
import { StateSet } from './state-set';
import { type Call, callText, Contents, type Objects, perform, type VaultRules } from './vault-worlds';

/** What somebody does, as code and as what is said of it. Two actors of one role are each other's likeness. */
export interface Role {
  readonly actor: Actor;
  readonly stages: readonly (Stage & Footprint)[];
}

export interface ExploreOptions extends VaultRules, NameRules {
  readonly start: readonly { readonly name: string; readonly data: Buffer; readonly epoch: number }[];
  readonly actors: readonly Role[];
  /** Throws when the vault in this state is not as it must be. */
  readonly check: (objects: Objects, contentOf: (content: number) => Buffer) => void;
  readonly maxStates: number;
  /** True: every order is gone through one by one, and nothing of what is said of the roles is made use of. */
  readonly whole?: boolean;
}

export interface Exploration {
  /** States from which there is more than one way to go on. */
  readonly states: number;
  readonly steps: number;
  /** States of the vault by themselves. */
  readonly worlds: number;
  /** Points in the code of each role. */
  readonly points: readonly number[];
  /** Runs of real code, from its start to its next call. */
  readonly replays: number;
  /** What the vault can be like when all have ended: objects, meanings, times. */
  readonly ends: ReadonlySet<string>;
  /** Looks at whether what is said of the roles is true of what was met: see ActorGraph.prove, for `limit` ways of each role, and Explorer.proveUnnoticed. */
  readonly prove: (limit: number, seed: number) => Promise<{ readonly ways: readonly Ways[]; readonly unnoticed: number }>;
}

/**
 * Goes through every interleaving of actors over one store, at the granularity of its calls, with the clock as one more actor: every order in which their calls can take effect. It is the actors' real code that decides
 * what is called; see ActorGraph. An actor's calls that it makes at once take effect in the order in which it makes them. What need not be gone through one by one, and why, is in docs/decisions/interleavings.md.
 */
export const explore = (options: ExploreOptions): Promise<Exploration> => new Explorer(options).run();

/** Plays `walks` random schedules of the same kind, each to its end; the seed decides which. Returns how many states of the vault were met. */
export const sample = (options: ExploreOptions, walks: number, seed: number): Promise<number> => new Explorer(options).walk(walks, seed);

/** The steps of a 32-bit xorshift generator (Marsaglia, 2003). */
function randomFrom(seed: number): (below: number) => number {
  let drawn = seed | 1;
  return (below) => {
    drawn ^= drawn << 13;
    drawn ^= drawn >>> 17;
    drawn ^= drawn << 5;
    return (drawn >>> 0) % below;
  };
}

interface World extends Presence { readonly id: number; readonly objects: Objects }
interface Done { readonly world: World; readonly point: Point }
/** A node, what is to be known of its next call, and by world (and epoch, where that makes a difference) what comes of it. */
interface Point extends Move { readonly node: Node; readonly after: Map<number, Done> }
/** A role, and its code as far as it was gone through. */
interface Part { readonly graph: ActorGraph; readonly role: Role; readonly points: Point[] }

class Explorer {
  private readonly contents: Contents;
  private readonly commuting: Commuting;
  private readonly worlds: World[] = [];
  private readonly worldIds = new Map<string, World>();
  private readonly parts: Part[];
  private readonly partOf: Part[];
  private readonly reduced: boolean;

  constructor(private readonly options: ExploreOptions) {
    this.contents = new Contents(options.meaningOf);
    this.commuting = new Commuting(options);
    this.reduced = options.whole !== true;
    this.parts = [...new Set(options.actors)].map((role) => {
      const stages = this.reduced ? role.stages : role.stages.map(({ begins }) => ({ begins }));
      return { role, points: [], graph: new ActorGraph(role.actor, stages, this.contents) };
    });
    this.partOf = options.actors.map((role) => this.parts.find((part) => part.role === role) as Part);
  }

  async run(): Promise<Exploration> {
    const count = this.partOf.length;
    const clock = 1 << count;
    const last = this.options.epochsMs.length - 1;
    const branched = new StateSet(1 + Math.ceil(count / 2));
    const at: Point[] = await this.starts();
    const stack: number[] = [];
    const push = (world: World, epoch: number): void => {
      stack.push(world.id | (epoch << 24));
      for (const { node } of at) stack.push(node.id);
    };
    push(this.firstWorld(), 1);
    const ends = new Set<World>();
    let steps = 0;
    while (stack.length > 0) {
      const base = stack.length - count - 1;
      const head = stack[base] as number;
      let world = this.worlds[head & 0xffffff] as World;
      let epoch = head >>> 24;
      for (let actor = 0; actor < count; actor++) at[actor] = (this.partOf[actor] as Part).points[stack[base + 1 + actor] as number] as Point;
      stack.length = base;
      // Where there is one way to go on it is gone at once, and the states in between are not kept.
      let moves = this.moves(world, epoch < last, at);
      for (; (moves & (moves - 1)) === 0 && moves !== 0; moves = this.moves(world, epoch < last, at)) {
        steps++;
        if (moves === clock) {
          epoch++;
          continue;
        }
        const actor = 31 - Math.clz32(moves);
        const done = this.known(at[actor] as Point, world, epoch) ?? await this.step(this.partOf[actor] as Part, at[actor] as Point, world, epoch);
        at[actor] = done.point;
        world = done.world;
      }
      if (moves === 0) {
        ends.add(world);
        continue;
      }
      if (this.sortTwins(at)) moves = this.moves(world, epoch < last, at);
      if (!branched.add(rowOf(world, epoch, at))) continue;
      if (branched.size > this.options.maxStates) throw new Error(`more than ${this.options.maxStates} states; ${this.worlds.length} of the vault, ${this.parts.map(({ points }) => points.length).join()} points`);
      for (let actor = 0; actor < count; actor++) {
        if ((moves & (1 << actor)) === 0) continue;
        steps++;
        const before = at[actor] as Point;
        const done = this.known(before, world, epoch) ?? await this.step(this.partOf[actor] as Part, before, world, epoch);
        at[actor] = done.point;
        push(done.world, epoch);
        at[actor] = before;
      }
      if (moves & clock) {
        steps++;
        push(world, epoch + 1);
      }
    }
    return {
      states: branched.size, steps, worlds: this.worlds.length, points: this.parts.map(({ points }) => points.length), replays: this.parts.reduce((sum, { graph }) => sum + graph.replays, 0),
      ends: new Set([...ends].map(({ objects }) => this.describe(objects))),
      prove: async (limit, seed) => {
        const ways: Ways[] = [];
        for (const { graph } of this.parts) ways.push(await graph.prove(limit, randomFrom(seed)));
        return { ways, unnoticed: await this.proveUnnoticed() };
      },
    };
  }

  async walk(walks: number, seed: number): Promise<number> {
    const random = randomFrom(seed);
    const last = this.options.epochsMs.length - 1;
    for (let walk = 0; walk < walks; walk++) {
      const at: Point[] = await this.starts();
      let world = this.firstWorld();
      let epoch = 1;
      for (;;) {
        const moves = this.commuting.moves(world, epoch < last, at, false);
        if (moves === 0) break;
        const able = Array.from({ length: at.length + 1 }, (_, actor) => actor).filter((actor) => moves & (1 << actor));
        const actor = able[random(able.length)] as number;
        if (actor === at.length) {
          epoch++;
          continue;
        }
        const done = this.known(at[actor] as Point, world, epoch) ?? await this.step(this.partOf[actor] as Part, at[actor] as Point, world, epoch);
        at[actor] = done.point;
        world = done.world;
      }
    }
    return this.worlds.length;
  }

  private async starts(): Promise<Point[]> {
    const at: Point[] = [];
    for (const part of this.partOf) at.push(this.point(part, await part.graph.start()));
    return at;
  }

  private firstWorld(): World {
    const { start, isTimed } = this.options;
    return this.world(new Map([...start].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, data, epoch }) => [name, { content: this.contents.add(name, data), epoch: isTimed(name) ? epoch : 0 }])));
  }

  private moves(world: World, ticks: boolean, at: readonly Point[]): number {
    return this.commuting.moves(world, ticks, at, this.reduced);
  }

  /** Actors of one role at each other's places are the same state. False when they stood in order. */
  private sortTwins(at: Point[]): boolean {
    let moved = false;
    for (let one = 0; one < at.length && this.reduced; one++) {
      for (let two = one + 1; two < at.length; two++) {
        const [first, second] = [at[one] as Point, at[two] as Point];
        if (this.partOf[one] !== this.partOf[two] || first.node.id <= second.node.id) continue;
        [at[one], at[two]] = [second, first];
        moved = true;
      }
    }
    return moved;
  }

  private known({ after, timed }: Point, world: World, epoch: number): Done | undefined {
    return after.get(world.id * 8 + (timed ? epoch : 0));
  }

  private async step(part: Part, point: Point, world: World, epoch: number): Promise<Done> {
    const { node, timed, lasting, unique } = point;
    const call = node.calls[0] as Call;
    const { objects, answer } = perform(world.objects, epoch, call, this.contents, this.options);
    if (answer.key === 'deleted') assert.ok(!lasting, `${call.name} was said to be lasting, and is deleted`);
    // What is not there and was not seen could still be created.
    if (unique && call.operation !== 'create' && !world.objects.has(call.name)) assert.ok(answersTo(node).some(({ key }) => key.includes(call.name)), `${call.name} is looked for, and was never seen`);
    const next = await part.graph.after(node, answer);
    assert.ok(next.id < 65_536, 'too many points');
    const done = { world: objects === world.objects ? world : this.world(objects), point: this.point(part, next) };
    if (this.reduced) this.commuting.assertWithin(point, done.point, world, `${callText(call)}, in stage ${node.stage},`);
    point.after.set(world.id * 8 + (timed ? epoch : 0), done);
    return done;
  }

  private point(part: Part, node: Node): Point {
    return part.points[node.id] ??= { ...this.commuting.move(node, part.role.stages[node.stage]), node, after: new Map() };
  }

  /** The one world of these objects; it is checked when it is met for the first time. */
  private world(objects: Objects): World {
    let text = '';
    for (const [name, { content, epoch }] of objects) text += `${name}.${content}.${epoch};`;
    let world = this.worldIds.get(text);
    if (!world) {
      this.options.check(objects, (content) => this.contents.of(content));
      this.worldIds.set(text, world = { id: this.worlds.length, objects, ...this.commuting.presence(objects) });
      this.worlds.push(world);
      assert.ok(this.worlds.length < 1 << 24, 'too many states of the vault');
    }
    return world;
  }

  private describe(objects: Objects): string {
    const { meaningOf } = this.options;
    return [...objects].map(([name, { content, epoch }]) => `${name} ${epoch} ${createHash('sha256').update(meaningOf(name, this.contents.of(content))).digest('hex').slice(0, 16)}`).join('\n');
  }

  /**
   * Looks at what actors are said not to notice: the answers of calls that make no difference, which must lead to the same point whatever they are, in every world that was met; and lists of what they are blind to, which must lead to the
   * same point with anything more in them that others can create after the actor asked for the time. Returns how many answers were tried.
   */
  private async proveUnnoticed(): Promise<number> {
    let tried = 0;
    for (const { graph, points } of this.parts) {
      for (const { node, kind, name, area, later, after } of points) {
        const call = node.calls[0];
        const isBlind = name === 0 && (area & later.blind) !== 0;
        if (!call || kind !== 'look' || (area !== 0 && !isBlind)) continue;
        const worlds = area === 0 ? this.worlds : [...new Set([...after.keys()].map((key) => this.worlds[Math.floor(key / 8)] as World))];
        const bases = new Map<string, Objects>();
        for (const { objects } of worlds) {
          const part: Objects = new Map([...objects].filter(([one]) => one.startsWith(call.name)));
          const key = `${callText(call)} ${[...part].map(([one, { epoch }]) => `${one}.${epoch}`).join()}`;
          bases.set(key, part);
        }
        let same: Node | undefined;
        for (const base of bases.values()) {
          if (isBlind) same = undefined;
          for (const objects of isBlind ? this.withMore(base, node, call.name, later.blind) : [base]) {
            const next = await graph.after(node, perform(objects, 0, call, this.contents, this.options).answer);
            same ??= next;
            assert.ok(next === same, `${callText(call)}, in stage ${node.stage}, was said not to notice a difference in ${[...objects.keys()].join()}`);
            tried++;
          }
        }
      }
    }
    return tried;
  }

  /** The objects, with any others that anybody creates there, at any time from when the actor asked for it. */
  private *withMore(objects: Objects, node: Node, prefix: string, blind: number): Generator<Objects> {
    const more = new Map<string, number>();
    for (const { points } of this.parts) {
      for (const { kind, area, node: { calls: [call] } } of points) if (call && kind === 'create' && area & blind && call.name.startsWith(prefix) && !objects.has(call.name)) more.set(call.name, call.content);
    }
    const asked = answersTo(node).find((answer) => 'value' in answer && typeof answer.value === 'number');
    const epochs = Array.from(this.options.epochsMs.keys()).filter((epoch) => epoch >= Number(asked?.key ?? 1));
    let made: Objects[] = [objects];
    for (const [name, content] of more) {
      made = made.flatMap((before) => [before, ...(this.options.isTimed(name) ? epochs : [0]).map((epoch) => new Map([...before, [name, { content, epoch }] as const].sort(([a], [b]) => (a < b ? -1 : 1))))]);
    }
    yield* made;
  }
}

function rowOf(world: World, epoch: number, at: readonly Point[]): Int32Array {
  const row = new Int32Array(1 + Math.ceil(at.length / 2));
  row[0] = world.id | (epoch << 24);
  for (const [actor, { node }] of at.entries()) row[1 + (actor >> 1)] = (row[1 + (actor >> 1)] as number) | (node.id << (16 * (actor & 1)));
  return row;
}
