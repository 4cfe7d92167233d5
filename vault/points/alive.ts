import { HoldfastError } from '../../errors/holdfast-error';
import { PackKind } from '../format/format';
import { PackColumn, PackTable } from '../format/pack-table';
import type { RecordEntry, TreeHistory } from './references';
import type { References } from '../format/tree-builder';

/** A committed run of an item as collection sees it: a recovery point, or what its purge mark keeps of one that is gone. */
export interface HistoryPoint {
  readonly sequence: number;
  readonly parentSequence: number | null;
  /** null where nobody can say any more what a disk referred to. */
  readonly trees: readonly (TreeHistory | null)[];
  /** The pack of each disk's root, where the manifest is there: it must be among what the references say. null for a disk of zeros. */
  readonly rootPacks: readonly (string | null)[] | null;
  /** True when everything it refers to must stay. */
  readonly needed: boolean;
}

/** Reads a record whose content does not stand in the manifest. Throws COLLECTION_REFUSED when it is not there or is another's. */
export type ReadRecord = (point: HistoryPoint, tree: TreeHistory, entry: RecordEntry) => Promise<References>;

/** Records that are read at once. */
const PARALLEL_READS = 16;

/** That it is not known which packs are needed: then nothing may be deleted. */
export const doubt = (why: string, data: Readonly<Record<string, string | number | null>> = {}): HoldfastError =>
  new HoldfastError('COLLECTION_REFUSED', `Nothing was deleted, because it is not certain what is needed: ${why}`, { data: { ...data } });

/** The packs that recovery points need, of any number of items. About 32 bytes for each pack that any walk met. */
export class AliveSet {
  readonly data = new AlivePacks();
  readonly meta = new AlivePacks();

  of(kind: PackKind): AlivePacks {
    return kind === PackKind.data ? this.data : this.meta;
  }
}

const NOT_ALIVE = 0;
const ALIVE = 1;
const SEEN = 2;

class AlivePacks {
  readonly table = new PackTable();
  /** How many regions of the state that the walk stands at refer to the pack. */
  private readonly counts = new PackColumn();
  /** The count of needed points that were passed when the pack came into the state. */
  private readonly since = new PackColumn();
  private readonly flags = new PackColumn();
  needed = 0;

  enter(pack: number, passed: number): void {
    const count = this.counts.get(pack);
    if (count === 0) this.since.set(pack, passed);
    this.counts.set(pack, count + 1);
  }

  leave(pack: number, passed: number): void {
    const count = this.counts.get(pack) - 1;
    this.counts.set(pack, count);
    if (count === 0 && passed > this.since.get(pack) && this.flags.get(pack) === NOT_ALIVE) {
      this.flags.set(pack, ALIVE);
      this.needed++;
    }
  }

  /** True when a needed recovery point refers to the pack. */
  isAlive(id: string): boolean {
    const pack = this.table.find(id);
    return pack >= 0 && this.flags.get(pack) !== NOT_ALIVE;
  }

  /** True when some recovery point, deleted or not, referred to the pack. */
  isKnown(id: string): boolean {
    return this.table.find(id) >= 0;
  }

  /** Notes that a needed pack is in the vault. */
  see(id: string): void {
    const pack = this.table.find(id);
    if (pack >= 0 && this.flags.get(pack) === ALIVE) this.flags.set(pack, SEEN);
  }

  /** Packs that are needed and were not seen, `limit` at most. */
  unseen(limit: number): string[] {
    const found: string[] = [];
    for (let pack = 0; pack < this.table.size && found.length < limit; pack++) if (this.flags.get(pack) === ALIVE) found.push(this.table.id(pack));
    return found;
  }
}

/**
 * Adds to `alive` the packs that the needed points of one item refer to. The item's committed runs form a tree by parent; the walk goes down it and keeps the
 * packs of the point where it stands, region by region, applying references on the way down and undoing them where it has to come back for another
 * branch. A pack is needed when a needed point was passed while it was in that state. So the work grows with what changed, and the memory with the packs of one
 * recovery point (about 40 bytes each, for each region that refers to it), and below a fork with the references along the branch. Branches in which nothing
 * is needed are not walked. Anything that does not fit throws COLLECTION_REFUSED.
 */
export async function addAlive(alive: AliveSet, itemId: string, points: readonly HistoryPoint[], read: ReadRecord): Promise<void> {
  const forest = plant(itemId, points);
  for (const root of forest.roots) await new Walk(alive, itemId, forest.children, read).run(root);
  // What was pruned is named, so that a report can tell the packs of deleted recovery points from packs that nothing explains.
  for (const { trees } of forest.pruned) {
    for (const { references } of trees.flatMap((tree) => tree?.records ?? [])) {
      for (const id of references?.data.taken ?? []) alive.data.table.add(id);
      for (const id of references?.meta.taken ?? []) alive.meta.table.add(id);
    }
  }
}

type Children = ReadonlyMap<number, readonly HistoryPoint[]>;

/** The tree of the item's runs without the branches in which nothing is needed. */
function plant(itemId: string, points: readonly HistoryPoint[]): { roots: HistoryPoint[]; children: Children; pruned: HistoryPoint[] } {
  const sorted = [...points].sort((a, b) => b.sequence - a.sequence);
  const bySequence = new Map(sorted.map((point) => [point.sequence, point]));
  if (bySequence.size !== sorted.length) throw doubt(`two recovery points of ${itemId} have the same sequence number`, { itemId });
  const wanted = new Set<number>();
  const roots: HistoryPoint[] = [];
  const pruned: HistoryPoint[] = [];
  const children = new Map<number, HistoryPoint[]>();
  // From the newest: a parent always has a lower number, so whether something below it is needed is known when it is reached.
  for (const point of sorted) {
    if (!point.needed && !wanted.has(point.sequence)) {
      pruned.push(point);
      continue;
    }
    if (point.trees.some((tree) => tree === null)) throw doubt(`what recovery point ${point.sequence} of ${itemId} referred to is not known any more`, { itemId, sequence: point.sequence });
    if (point.trees.every((tree) => tree && begins(point, tree))) {
      roots.push(point);
      continue;
    }
    const parent = point.parentSequence === null ? undefined : bySequence.get(point.parentSequence);
    if (!parent || parent.sequence >= point.sequence) {
      throw doubt(`recovery point ${point.sequence} of ${itemId} goes on from ${point.parentSequence}, of which nothing is there`, { itemId, sequence: point.sequence });
    }
    wanted.add(parent.sequence);
    children.set(parent.sequence, [point, ...(children.get(parent.sequence) ?? [])]);
  }
  return { roots: roots.reverse(), children, pruned };
}

const begins = (point: HistoryPoint, tree: TreeHistory): boolean => tree.lineage.startsWith(`${point.sequence}.`);

/** The packs that a region, or the root, of one disk refers to, by the numbers of the tables. */
interface RegionPacks { readonly data: Set<number>; readonly meta: Set<number> }
type LineagePacks = Map<string, RegionPacks>;

/** How to go back from a point to its parent. */
interface Undo {
  readonly begun: string[];
  readonly left: [string, LineagePacks][];
  readonly applied: { readonly lineage: string; readonly name: string; readonly references: References }[];
}

interface Frame { readonly children: readonly HistoryPoint[]; next: number; readonly undo: Undo | null }

class Walk {
  private readonly lineages = new Map<string, LineagePacks>();
  /** Needed points that were passed so far, from 1 for each walk, so that 0 stands for none. */
  private passed = 0;

  constructor(private readonly alive: AliveSet, private readonly itemId: string, private readonly children: Children, private readonly read: ReadRecord) {}

  async run(root: HistoryPoint): Promise<void> {
    const frames: Frame[] = [await this.enter(root, false)];
    for (let frame = frames.at(-1); frame; frame = frames.at(-1)) {
      const child = frame.children[frame.next++];
      if (!child) {
        frames.pop();
        if (frame.undo) this.undo(frame.undo);
        continue;
      }
      // Only who has to come back, to a sibling of its own or of one above, needs to know the way.
      frames.push(await this.enter(child, frame.undo !== null || frame.next < frame.children.length));
    }
    for (const packs of this.lineages.values()) this.leave(packs);
  }

  private async enter(point: HistoryPoint, comesBack: boolean): Promise<Frame> {
    const undo: Undo = { begun: [], left: [], applied: [] };
    const named = new Set<string>();
    for (const tree of point.trees as readonly TreeHistory[]) {
      if (named.has(tree.lineage)) throw this.doubt(point, `two disks of it are of the lineage ${tree.lineage}`);
      named.add(tree.lineage);
      if (begins(point, tree)) {
        this.lineages.set(tree.lineage, new Map());
        undo.begun.push(tree.lineage);
      } else if (!this.lineages.has(tree.lineage)) {
        throw this.doubt(point, `it goes on in the lineage ${tree.lineage}, which its parent does not have`);
      }
    }
    for (const [lineage, packs] of [...this.lineages]) {
      if (named.has(lineage)) continue;
      this.leave(packs);
      this.lineages.delete(lineage);
      undo.left.push([lineage, packs]);
    }
    for (const { tree, entry, references } of await this.recordsOf(point)) {
      this.apply(point, tree.lineage, entry.name, references);
      if (comesBack) undo.applied.push({ lineage: tree.lineage, name: entry.name, references });
    }
    this.assertRoots(point);
    if (point.needed) this.passed++;
    return { children: this.children.get(point.sequence) ?? [], next: 0, undo: comesBack ? undo : null };
  }

  private undo({ begun, left, applied }: Undo): void {
    for (const { lineage, name, references } of applied.reverse()) this.change(this.regionOf(lineage, name), swapped(references));
    for (const lineage of begun) this.lineages.delete(lineage);
    for (const [lineage, packs] of left) {
      this.lineages.set(lineage, packs);
      for (const { data, meta } of packs.values()) {
        for (const pack of data) this.alive.data.enter(pack, this.passed);
        for (const pack of meta) this.alive.meta.enter(pack, this.passed);
      }
    }
  }

  private async recordsOf(point: HistoryPoint): Promise<{ tree: TreeHistory; entry: RecordEntry; references: References }[]> {
    const wanted = (point.trees as readonly TreeHistory[]).flatMap((tree) => tree.records.map((entry) => ({ tree, entry })));
    const found: { tree: TreeHistory; entry: RecordEntry; references: References }[] = [];
    for (let next = 0; next < wanted.length; next += PARALLEL_READS) {
      found.push(...await Promise.all(wanted.slice(next, next + PARALLEL_READS).map(async ({ tree, entry }) => ({ tree, entry, references: entry.references ?? await this.read(point, tree, entry) }))));
    }
    return found;
  }

  private apply(point: HistoryPoint, lineage: string, name: string, references: References): void {
    if (!this.change(this.regionOf(lineage, name), references)) throw this.doubt(point, `its references ${lineage}/${name} do not fit those before it`);
  }

  private regionOf(lineage: string, name: string): RegionPacks {
    const packs = this.lineages.get(lineage) as LineagePacks;
    const found = packs.get(name) ?? { data: new Set(), meta: new Set() };
    packs.set(name, found);
    return found;
  }

  /** False when a pack is given up that was not there, or taken up that was. */
  private change(region: RegionPacks, references: References): boolean {
    for (const kind of ['data', 'meta'] as const) {
      const packs = this.alive[kind];
      for (const id of references[kind].given) {
        const pack = packs.table.find(id);
        if (!region[kind].delete(pack)) return false;
        packs.leave(pack, this.passed);
      }
      for (const id of references[kind].taken) {
        const pack = packs.table.add(id);
        if (region[kind].has(pack)) return false;
        region[kind].add(pack);
        packs.enter(pack, this.passed);
      }
    }
    return true;
  }

  private leave(packs: LineagePacks): void {
    for (const { data, meta } of packs.values()) {
      for (const pack of data) this.alive.data.leave(pack, this.passed);
      for (const pack of meta) this.alive.meta.leave(pack, this.passed);
    }
  }

  /** The manifest and the references were written by different steps: where they disagree on so much as the root, neither is trusted. */
  private assertRoots(point: HistoryPoint): void {
    for (const [disk, rootPack] of point.rootPacks?.entries() ?? []) {
      const root = this.lineages.get((point.trees[disk] as TreeHistory).lineage)?.get('root')?.meta;
      const fits = rootPack === null ? (root?.size ?? 0) === 0 : root?.has(this.alive.meta.table.find(rootPack)) === true;
      if (!fits) throw this.doubt(point, `the references of its disk ${disk} do not lead to its root`);
    }
  }

  private doubt(point: HistoryPoint, why: string): HoldfastError {
    return doubt(`recovery point ${point.sequence} of ${this.itemId}: ${why}`, { itemId: this.itemId, sequence: point.sequence });
  }
}

const swapped = ({ data, meta }: References): References => ({ data: { taken: data.given, given: data.taken }, meta: { taken: meta.given, given: meta.taken } });
