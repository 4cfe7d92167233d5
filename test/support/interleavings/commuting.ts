import assert from 'node:assert/strict';
import type { Node, Stage } from './actor-graph';
import { callText, type Objects } from './vault-worlds';

/** Prefixes of names, or what they follow from: what the actor has seen and not forgotten. */
type Prefixes = readonly string[] | ((seen: readonly string[]) => readonly string[]);

/** What an actor may still do from a stage on, to its end. An actor that does more fails the exploration. */
export interface Footprint {
  readonly looks: Prefixes;
  readonly creates: Prefixes;
  readonly deletes?: Prefixes;
  /** Of what it looks at: where it does not notice what is created from now on. */
  readonly blind?: Prefixes;
}

export interface NameRules {
  /** Names of objects that nobody ever deletes. */
  readonly isLasting: (name: string) => boolean;
  /** Names that no two ever create, so that one that was seen and is gone stays away. */
  readonly isUnique: (name: string) => boolean;
  /** Names whose time of writing somebody looks at. */
  readonly isTimed: (name: string) => boolean;
  /** Areas of names, by prefix, the more special ones first; at most 31. A name belongs to the first that fits. */
  readonly areas: readonly string[];
  /** What the check looks at together, so that it might tell in which order two changes were made; see `conflicts`. */
  readonly checked: { readonly points: string; readonly packs: string; readonly marks: string; readonly ends: string; /** The only recovery point that is ever marked. */ readonly marked: string };
}

/** By areas, a bit each. */
export interface Masks { readonly looks: number; readonly creates: number; readonly deletes: number; readonly blind: number }
const NOTHING: Masks = { looks: 0, creates: 0, deletes: 0, blind: 0 };

/** What the vault's state is to the question of what commutes. */
export interface Presence {
  /** Names that are there, a bit each. */
  readonly present: number;
  /** Areas of a single object that is there for good: nobody creates it any more. */
  readonly closed: number;
}

/** What is to be known of an actor's next call, and of all that it may do after it. */
export interface Move {
  readonly kind: 'end' | 'time' | 'look' | 'create' | 'delete';
  /** Its name's bit; 0 for a list. */
  readonly name: number;
  /** Its name's area, or those of a list; 0 where the answer makes no difference. */
  readonly area: number;
  readonly lasting: boolean;
  readonly unique: boolean;
  /** What it answers or does depends on the clock. */
  readonly timed: boolean;
  readonly later: Masks;
}

/** Knows names and areas by their bits, and which calls commute. */
export class Commuting {
  private readonly names = new Map<string, number>();
  private readonly points: number;
  private readonly packs: number;
  private readonly marks: number;
  private readonly ends: number;
  private readonly marked: number;
  private readonly timed: number;

  constructor(private readonly rules: NameRules) {
    const { points, packs, marks, ends, marked } = rules.checked;
    [this.points, this.packs, this.marks, this.ends, this.marked] = [this.areasOf(points), this.areasOf(packs), this.areasOf(marks), this.areasOf(ends), this.areasOf(marked)];
    this.timed = rules.areas.reduce((mask, area, index) => (rules.isTimed(area) ? mask | (1 << index) : mask), 0);
  }

  presence(objects: Objects): Presence {
    const { areas, isLasting } = this.rules;
    return {
      present: [...objects.keys()].reduce((mask, name) => mask | this.nameBit(name), 0),
      closed: areas.reduce((mask, area, index) => (!area.endsWith('/') && isLasting(area) && objects.has(area) ? mask | (1 << index) : mask), 0),
    };
  }

  move({ calls: [call], kept }: Node, stage: (Stage & Footprint) | undefined): Move {
    if (!call) return { kind: 'end', name: 0, area: 0, lasting: false, unique: false, timed: false, later: NOTHING };
    assert.ok(stage, `${callText(call)} is in no stage`);
    const mask = (prefixes: Prefixes = []): number => (typeof prefixes === 'function' ? prefixes(kept) : prefixes).reduce((all, prefix) => all | this.areasOf(prefix), 0);
    const later = { looks: mask(stage.looks), creates: mask(stage.creates), deletes: mask(stage.deletes), blind: mask(stage.blind) };
    const { operation, name } = call;
    const { isLasting, isUnique, isTimed } = this.rules;
    const ignored = stage.ignores?.test(callText(call)) === true;
    if (operation === 'serverTimeMs') return { kind: 'time', name: 0, area: 0, lasting: false, unique: false, timed: true, later };
    if (operation === 'list' || operation === 'listNames') return { kind: 'look', name: 0, area: ignored ? 0 : this.areasOf(name), lasting: false, unique: false, timed: false, later };
    const kind = operation === 'create' || operation === 'delete' ? operation : 'look';
    return { kind, name: this.nameBit(name), area: ignored ? 0 : this.areaOf(name), lasting: isLasting(name), unique: isUnique(name), timed: kind === 'create' && isTimed(name), later };
  }

  /** Areas in which names with the prefix can be: those within it, and the first that it is within. */
  private areasOf(prefix: string): number {
    const { areas } = this.rules;
    const around = areas.findIndex((area) => prefix.startsWith(area));
    return areas.reduce((mask, area, index) => (area.startsWith(prefix) || index === around ? mask | (1 << index) : mask), 0);
  }

  areaOf(name: string): number {
    const found = this.rules.areas.findIndex((area) => name.startsWith(area));
    assert.ok(found >= 0 && found < 31, `${name} is in no area`);
    return 1 << found;
  }

  private nameBit(name: string): number {
    const known = this.names.get(name) ?? this.names.size;
    assert.ok(known < 31, 'too many names');
    this.names.set(name, known);
    return 1 << known;
  }

  /** What an actor does is within what was said of it, and what it may do becomes no more as it goes on. */
  assertWithin(move: Move, then: Move, presence: Presence, what: string): void {
    const { kind, area, later: said } = move;
    const does = isChange(move, presence);
    const within = (how: string, mask: number): void => {
      if (mask !== 0) assert.fail(`${what} was not said ${how} ${this.rules.areas.filter((_, index) => mask & (1 << index)).join(', ')}`);
    };
    within('to look at', ((does ? 0 : area) | then.later.looks) & ~said.looks);
    within('to create', ((does && kind === 'create' ? area : 0) | then.later.creates) & ~said.creates);
    within('to delete', ((does && kind === 'delete' ? area : 0) | then.later.deletes) & ~said.deletes);
    within('to notice again what is created in', said.blind & then.later.looks & ~then.later.blind);
  }

  /**
   * Whose moves are gone on with, by bits; the clock's is the bit after the actors'. None: all have ended. What is left out for now commutes with all of these moves, whatever the others do in between, and is gone
   * on with later: a persistent set (Godefroid, Partial-Order Methods, 1996), found from what each actor may still do. Time only goes on, and nobody goes back, so nothing is put off for ever.
   */
  moves(presence: Presence, ticks: boolean, at: readonly Move[], reduced: boolean): number {
    const count = at.length;
    let all = 0;
    for (let actor = 0; actor < count; actor++) {
      const move = at[actor] as Move;
      if (move.kind === 'end') continue;
      if (isUnordered(move, presence)) return 1 << actor;
      all |= 1 << actor;
    }
    // When all have ended, time makes no difference.
    if (all === 0) return 0;
    if (ticks) all |= 1 << count;
    if (!reduced) return all;
    let [best, fewest] = [all, bits(all)];
    for (let first = 0; first < count && fewest > 1; first++) {
      if ((all & (1 << first)) === 0) continue;
      const set = this.closure(1 << first, all, presence, at);
      if (bits(set) < fewest) [best, fewest] = [set, bits(set)];
    }
    return best;
  }

  /** With everybody who might ever do what one of the set's next moves does not commute with, and so on. */
  private closure(first: number, all: number, presence: Presence, at: readonly Move[]): number {
    const count = at.length;
    const clock = 1 << count;
    let set = first;
    for (let todo = set; todo !== 0;) {
      const bit = todo & -todo;
      todo &= ~bit;
      const mine = bit === clock ? undefined : at[31 - Math.clz32(bit)] as Move;
      let added = 0;
      for (let other = 0; other < count; other++) {
        if ((all & ~set & (1 << other)) === 0) continue;
        const theirs = at[other] as Move;
        if (mine ? this.conflicts(mine, theirs, presence) : theirs.kind === 'time' || (theirs.later.creates & ~presence.closed & this.timed) !== 0) added |= 1 << other;
      }
      if (mine?.timed && (mine.kind === 'time' || (presence.present & mine.name) === 0)) added |= clock & all & ~set;
      set |= added;
      todo |= added;
    }
    return set;
  }

  /**
   * Whether what one does now and what another may do later do not commute, or the check could tell in which order they were done. What is wrong for the check is a recovery point without one of its packs, or
   * a committed run without its recovery point, either unless marked as purged. Such a state lies between changes of those kinds (the point is made, the pack goes or is still to come, the mark is still to come), so an order that
   * keeps theirs goes through one too.
   */
  private conflicts(mine: Move, theirs: Move, { present, closed }: Presence): boolean {
    if (mine.kind === 'time') return false;
    const { packs, marks, points, ends, marked } = this;
    const { looks, deletes, blind } = theirs.later;
    const creates = theirs.later.creates & ~closed;
    const { area, kind } = mine;
    const isThere = (present & mine.name) !== 0;
    if (kind === 'look' || isThere === (kind === 'create')) return (area & (deletes | (creates & ~mine.later.blind))) !== 0;
    const makes = creates | deletes;
    if (area & makes) return true;
    if (area & points && makes & (points | packs | ends)) return true;
    if (area & (packs | ends) && makes & points) return true;
    if (area & marked && creates & marks) return true;
    if (kind === 'create') return (area & looks & ~blind) !== 0 || ((area & marks) !== 0 && ((makes & marked) | (deletes & packs)) !== 0);
    return (area & looks) !== 0 || ((area & packs) !== 0 && (creates & marks) !== 0);
  }
}

/** To create what is there, or to delete what is not, is to look. */
const isChange = ({ kind, name }: Move, { present }: Presence): boolean => (kind === 'create' && (present & name) === 0) || (kind === 'delete' && (present & name) !== 0);

/** A call whose answer and effect are the same whenever it comes. */
function isUnordered({ kind, name, lasting, unique }: Move, { present }: Presence): boolean {
  if (name === 0) return false;
  if (present & name) return kind !== 'delete' && lasting;
  return kind !== 'create' && unique;
}

function bits(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count++;
  return count;
}
