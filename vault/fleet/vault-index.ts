import type { ErrorReport } from '../../errors/holdfast-error';
import { isUnreadable } from '../format/documents';
import { findManifest, ITEM_ID, recoveryPointId } from '../format/manifest';
import type { VaultAccess } from '../format/tree';
import { itemIds } from '../items';
import { UNMARKED } from '../points/mark-fold';
import { type MarkState, readNumberedMarks } from '../points/marks';
import { lastProofOf } from '../proof/proofs';
import { withSmallHeap } from '../small-heap';
import { Breath } from './breath';
import { eachAtOnce } from './each-at-once';
import { Fresh, type Freshness } from './fresh';
import { type ItemNames, namesOfItem, namesOfItems } from './item-names';
import { factsOf, type PointFacts, Shared } from './point-facts';
import { readRun, type RunFacts, withEnd } from './run-facts';
import { type ItemRow, type ProofRow, readSummaries, writeSummary } from './summary';

/** A recovery point as the index knows it. */
export interface IndexedPoint {
  readonly stamp: string;
  /** null when the manifest does not open; then `error` says why. */
  readonly facts: PointFacts | null;
  readonly error: ErrorReport | null;
  readonly marks: MarkState;
  /** The last finished proof; null: never proved. */
  readonly proof: PointProof | null;
}

export type PointProof = Omit<ProofRow, 'lastMs'>;

export type OpenedPoint = IndexedPoint & { readonly facts: PointFacts };

/** An item as the index knows it. A new object each time that anything of it changed, so that what is derived from it can be kept beside it. */
export interface IndexedItem {
  readonly itemId: string;
  /** Live ones and those in the bin whose manifests open, by sequence. */
  readonly points: readonly OpenedPoint[];
  /** The same whose manifests do not open, by stamp. */
  readonly damaged: readonly IndexedPoint[];
  /** Runs of the last RUN_DAYS days, RUNS_KEPT at most, by sequence. */
  readonly runs: readonly RunFacts[];
}

export interface IndexSnapshot {
  /** ISO 8601: what others had written before that instant is in it. What this process wrote is in it in any case. */
  readonly asOf: string;
  /** The same object as long as the version is the same. */
  readonly items: ReadonlyMap<string, IndexedItem>;
  /** Grows with each change of anything. */
  readonly version: number;
}

export interface IndexOptions {
  readonly open: () => Promise<VaultAccess>;
  readonly nowMs: () => number;
  readonly freshness: Freshness;
  readonly log: (message: string, fields?: Readonly<Record<string, string | number | boolean | null>>) => void;
  /** Tells ages, in milliseconds. */
  readonly clock?: () => number;
}

export const RUN_DAYS = 31;
export const RUNS_KEPT = 128;
/** Items that are looked at at once: enough to hide the time of a round trip, few enough not to be throttled. */
const PARALLEL_ITEMS = 24;
/** Manifests that each look opens again, one after the other through all: a file that rots after it was read shows up like that, and by scrubs. */
const RECHECKED = 200;
/** New facts that are worth a summary: this many, and a hundredth of all. */
const SUMMED_FROM = 256;
const SUMMED_SHARE = 0.01;
/** Recovery points and runs in one object of a summary. */
const ROWS_PER_SUMMARY = 2_000;
const DAY_MS = 86_400_000;

const Summed = { point: 1, marks: 2, proof: 4, all: 7 } as const;

interface Entry extends IndexedPoint {
  /** What `marks` and `proof` were read from: names that are the same say the same. */
  readonly markNames: string;
  readonly proofMs: number | null;
  /** What of it stands in a summary: bits of Summed. */
  summed: number;
}

interface Held {
  item: IndexedItem;
  readonly entries: ReadonlyMap<string, Entry>;
  /** When the names began to be listed that it was made from: a number that grows. */
  tick: number;
  runs: readonly RunFacts[];
  lastRun: number;
  runsSummed: number;
}

/** What summaries say, until it is known whether the names are still there. */
interface Known { readonly points: Map<string, PointFacts>; readonly marks: Map<string, ItemRow['marks'][string]>; readonly proofs: Map<string, ProofRow>; runs: RunFacts[]; lastRun: number }

/**
 * What the vault has, in memory: every recovery point in the few fields that people look at. Manifests, marks, proofs and ended runs are never changed, so that each is read once; what is new,
 * or gone, is found by listing names. What others write is seen after a while (`freshness`, and `asOf` says when); what this process writes is seen at once, if its stores tell `noticed`.
 * A list or a read that fails is thrown, and what was known stays as old as it was: an error is never "there is none".
 */
export class VaultIndex {
  readonly #held = new Map<string, Held>();
  readonly #shared = new Shared();
  readonly #breath = new Breath();
  readonly #dirty = new Set<string>();
  readonly #whole: Fresh<number>;
  #known: Map<string, Known> | undefined;
  #cleaning: Promise<void> | undefined;
  #isLoaded = false;
  #version = 0;
  #shown: Pick<IndexSnapshot, 'items' | 'version'> = { items: new Map(), version: 0 };
  #tick = 0;
  #rechecked = '';

  constructor(private readonly options: IndexOptions) {
    this.#whole = new Fresh(() => (this.#isLoaded ? this.#lookAtAll() : withSmallHeap(() => this.#lookAtAll())), options.freshness, (error) => options.log('The vault could not be listed; what is shown of it grows older', { error: error instanceof Error ? error.message : String(error) }), options.clock);
  }

  /** This process may have created or deleted this object. */
  noticed(name: string): void {
    const [folder, itemId = ''] = name.split('/');
    if ((folder === 'recovery-points' || folder === 'marks' || folder === 'proofs' || folder === 'runs') && ITEM_ID.test(itemId)) this.#dirty.add(itemId);
  }

  /** What there is. Throws what the store throws when it is too long ago that it could be listed. */
  async snapshot(): Promise<IndexSnapshot> {
    const asOfMs = await this.#whole.get();
    while (this.#dirty.size > 0 || this.#cleaning) {
      this.#cleaning ??= this.#clean().finally(() => {
        this.#cleaning = undefined;
      });
      await this.#cleaning;
    }
    if (this.#shown.version !== this.#version) this.#shown = { version: this.#version, items: new Map([...this.#held].map(([itemId, { item }]) => [itemId, item])) };
    return { asOf: new Date(asOfMs).toISOString(), ...this.#shown };
  }

  /** Writes what is not in any summary yet, if that is much (`atLeast` facts). Returns how many recovery points and runs it wrote. */
  async summarize(vault: VaultAccess, stamp: string, atLeast?: number): Promise<number> {
    await this.snapshot();
    const [fresh, all] = [...this.#held.values()].reduce(([news, sum], held) => [news + unsummedOf(held), sum + held.entries.size], [0, 0]);
    if (fresh === 0 || fresh < (atLeast ?? Math.max(SUMMED_FROM, SUMMED_SHARE * all))) return 0;
    let [part, rows] = [0, 0];
    let batch: { row: ItemRow; written: () => void }[] = [];
    const at = new Date(this.options.nowMs()).toISOString();
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return;
      await writeSummary(vault, stamp, part++, batch.map(({ row }) => row), at);
      for (const { written } of batch) written();
      [batch, rows] = [[], 0];
    };
    for (const held of this.#held.values()) {
      const made = rowOf(held);
      if (!made) continue;
      batch.push(made);
      rows += made.row.points.length + made.row.runs.length + 1;
      if (rows >= ROWS_PER_SUMMARY) await flush();
    }
    await flush();
    return fresh;
  }

  async #lookAtAll(): Promise<number> {
    const asOfMs = this.options.nowMs();
    const tick = ++this.#tick;
    const vault = await this.options.open();
    if (!this.#isLoaded) this.#known = await readKnown(vault, this.#shared);
    const seen = new Set<string>();
    await eachAtOnce(namesOfItems(vault.store), PARALLEL_ITEMS, async (names) => {
      seen.add(names.itemId);
      await this.#breath.take();
      await this.#take(vault, names, tick);
    });
    for await (const itemId of itemIds(vault)) if (ITEM_ID.test(itemId)) seen.add(itemId);
    await eachAtOnce(seen, PARALLEL_ITEMS, (itemId) => this.#followRuns(vault, itemId));
    for (const [itemId, { tick: heldTick }] of this.#held) {
      if (seen.has(itemId) || heldTick >= tick) continue;
      this.#held.delete(itemId);
      this.#version++;
    }
    [this.#known, this.#isLoaded] = [undefined, true];
    await this.#recheckSome(vault);
    return asOfMs;
  }

  /** What this process changed. Where that fails, it stays to be done. */
  async #clean(): Promise<void> {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    try {
      const vault = await this.options.open();
      await eachAtOnce(dirty, PARALLEL_ITEMS, async (itemId) => {
        const tick = ++this.#tick;
        await this.#take(vault, await namesOfItem(vault.store, itemId), tick);
        await this.#followRuns(vault, itemId);
      });
    } catch (error) {
      for (const itemId of dirty) this.#dirty.add(itemId);
      throw error;
    }
  }

  /** Takes over what an item's names say, unless somebody has listed them later than at `tick`. */
  async #take(vault: VaultAccess, names: ItemNames, tick: number): Promise<void> {
    const { itemId } = names;
    const before = this.#held.get(itemId);
    if (before && before.tick > tick) return;
    const known = this.#known?.get(itemId);
    const entries = new Map<string, Entry>();
    for (const stamp of names.stamps) {
      const entry = await this.#entry(vault, names, stamp, before?.entries.get(stamp), known);
      if (entry) entries.set(stamp, entry);
    }
    const now = this.#held.get(itemId);
    if (now && now.tick > tick) return;
    if (now && now.entries.size === entries.size && [...entries].every(([stamp, entry]) => now.entries.get(stamp) === entry)) {
      now.tick = tick;
      return;
    }
    const { runs, lastRun, runsSummed } = now ?? { runs: [], lastRun: 0, runsSummed: 0 };
    this.#held.set(itemId, { item: itemOf(itemId, entries, runs), entries, tick, runs, lastRun, runsSummed });
    this.#version++;
  }

  /** The same object as before where nothing of it changed; undefined when its manifest has gone since it was listed. */
  async #entry(vault: VaultAccess, { itemId, marks, proofs }: ItemNames, stamp: string, before: Entry | undefined, known: Known | undefined): Promise<Entry | undefined> {
    const id = recoveryPointId(itemId, stamp);
    const numbers = marks.get(stamp) ?? [];
    const markNames = numbers.join(' ');
    const proofMs = proofs.get(stamp)?.at(-1) ?? null;
    if (before && before.markNames === markNames && before.proofMs === proofMs) return before;
    // What is not there need not be in a summary.
    let summed = before ? (before.summed & Summed.point) | (before.markNames === markNames ? before.summed & Summed.marks : 0) | (before.proofMs === proofMs ? before.summed & Summed.proof : 0)
      : (markNames === '' ? Summed.marks : 0) | (proofMs === null ? Summed.proof : 0);
    let opened: Pick<Entry, 'facts' | 'error'> | undefined = before;
    const knownFacts = known?.points.get(stamp);
    if (!opened && knownFacts) {
      opened = { facts: knownFacts, error: null };
      summed |= Summed.point;
    }
    opened ??= await this.#open(vault, itemId, stamp);
    if (!opened) return undefined;
    let state = before?.markNames === markNames ? before.marks : numbers.length === 0 ? UNMARKED : undefined;
    const knownMarks = known?.marks.get(stamp);
    if (!state && knownMarks?.count === numbers.length && isWhole(numbers)) [state, summed] = [knownMarks.state, summed | Summed.marks];
    let proof = before?.proofMs === proofMs ? before.proof : proofMs === null ? null : undefined;
    const knownProof = known?.proofs.get(stamp);
    if (proof === undefined && knownProof?.lastMs === proofMs) [proof, summed] = [inMemory(knownProof), summed | Summed.proof];
    return {
      stamp, facts: opened.facts, error: opened.error, marks: state ?? await readNumberedMarks(vault, id, numbers), markNames,
      proof: proof !== undefined ? proof : await readProofRow(vault, id, proofs.get(stamp) ?? []), proofMs, summed,
    };
  }

  async #open(vault: VaultAccess, itemId: string, stamp: string): Promise<Pick<Entry, 'facts' | 'error'> | undefined> {
    await this.#breath.take();
    try {
      const found = await findManifest(vault, itemId, stamp);
      return found && { facts: this.#shared.facts(factsOf(found.manifest)), error: null };
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return { facts: null, error: error.toJSON() };
    }
  }

  /** Run numbers have no gaps, and are taken one after the other: so the next one is there or none is. */
  async #followRuns(vault: VaultAccess, itemId: string): Promise<void> {
    await this.#breath.take();
    const held = this.#held.get(itemId);
    const known = this.#known?.get(itemId);
    const oldestMs = this.options.nowMs() - RUN_DAYS * DAY_MS;
    let runs: RunFacts[] = [];
    let last = held?.lastRun ?? 0;
    if (last === 0) {
      runs = [...known?.runs ?? []];
      last = Math.max(known?.lastRun ?? 0, ...[...held?.entries.values() ?? []].map(({ facts }) => facts?.sequence ?? 0));
      // Those before it that are of late and that no summary has.
      const back: RunFacts[] = [];
      for (let sequence = last; sequence > Math.max(known?.lastRun ?? 0, last - RUNS_KEPT); sequence--) {
        const run = await readRun(vault, itemId, sequence);
        if (run) back.push(run);
        if (run && run.startedAt !== '' && Date.parse(run.startedAt) < oldestMs) break;
      }
      runs.push(...back.reverse());
    } else {
      runs.push(...held?.runs ?? []);
    }
    for (let next = await readRun(vault, itemId, last + 1); next; next = await readRun(vault, itemId, last + 1)) {
      runs.push(next);
      last = next.sequence;
    }
    for (const [at, run] of runs.entries()) if (run.outcome === 'running') runs[at] = await withEnd(vault, itemId, run);
    const kept = runs.filter(({ startedAt }) => !(Date.parse(startedAt) < oldestMs)).slice(-RUNS_KEPT).map((run) => this.#sharedRun(run));
    if (last > 0) this.#keepRuns(itemId, kept, last, known);
  }

  #keepRuns(itemId: string, kept: readonly RunFacts[], last: number, known: Known | undefined): void {
    const held = this.#held.get(itemId) ?? { item: itemOf(itemId, new Map(), []), entries: new Map<string, Entry>(), tick: 0, runs: [], lastRun: 0, runsSummed: 0 };
    if (held.lastRun === 0) held.runsSummed = known?.lastRun ?? 0;
    const same = held.runs.length === kept.length && held.runs.every((run, at) => run.sequence === kept[at]?.sequence && run.outcome === kept[at]?.outcome);
    // Somebody else may have followed them further meanwhile.
    if (last < held.lastRun || (same && last === held.lastRun)) return;
    held.lastRun = last;
    if (!same) [held.runs, held.item] = [kept, { ...held.item, runs: kept }];
    this.#held.set(itemId, held);
    if (!same) this.#version++;
  }

  #sharedRun(run: RunFacts): RunFacts {
    const share = this.#shared;
    return { ...run, policy: share.text(run.policy), owner: run.owner.startsWith('process:') ? share.text(run.owner) : run.owner, code: share.text(run.code), message: share.text(run.message), remedy: share.text(run.remedy) };
  }

  /** Opens some manifests and marks again, going on where the last look stopped. */
  async #recheckSome(vault: VaultAccess): Promise<void> {
    const items = [...this.#held.keys()].sort();
    const from = items.findIndex((itemId) => itemId > this.#rechecked);
    let left = RECHECKED;
    for (const itemId of [...items.slice(Math.max(0, from)), ...items.slice(0, Math.max(0, from))]) {
      const held = this.#held.get(itemId);
      if (!held) continue;
      const changed = new Map<string, Entry>();
      await eachAtOnce(held.entries, PARALLEL_ITEMS, async ([stamp, entry]) => {
        const opened = await this.#open(vault, itemId, stamp);
        const marks = entry.markNames === '' ? entry.marks : await readNumberedMarks(vault, recoveryPointId(itemId, stamp), entry.markNames.split(' '));
        const same = opened && (opened.facts === null) === (entry.facts === null) && (marks.damaged === null) === (entry.marks.damaged === null);
        if (opened && !same) changed.set(stamp, { ...entry, ...opened, marks });
      });
      const now = this.#held.get(itemId);
      if (now && changed.size > 0) {
        const entries = new Map([...now.entries].map(([stamp, entry]) => [stamp, entry === held.entries.get(stamp) ? changed.get(stamp) ?? entry : entry]));
        this.#held.set(itemId, { ...now, entries, item: itemOf(itemId, entries, now.runs) });
        this.#version++;
      }
      this.#rechecked = itemId;
      left -= held.entries.size;
      if (left <= 0) return;
    }
  }
}

function itemOf(itemId: string, entries: ReadonlyMap<string, Entry>, runs: readonly RunFacts[]): IndexedItem {
  const shown = [...entries.values()].filter(({ marks }) => marks.state !== 'purged');
  const points = shown.filter((entry): entry is Entry & OpenedPoint => entry.facts !== null).sort((a, b) => a.facts.sequence - b.facts.sequence);
  const damaged = shown.filter(({ facts }) => facts === null).sort((a, b) => (a.stamp < b.stamp ? -1 : 1));
  return { itemId, points, damaged, runs };
}

const isWhole = (numbers: readonly string[]): boolean => numbers.every((number, at) => Number(number) === at + 1 && number.length === 4);

const inMemory = ({ at, ok, by, damaged }: PointProof): PointProof => ({ at, ok, by, damaged });

async function readProofRow(vault: VaultAccess, id: string, finishedMs: readonly number[]): Promise<PointProof | null> {
  const proof = await lastProofOf(vault, id, { finishedMs: [...finishedMs], partsMs: [] });
  return proof && { at: proof.at, ok: proof.ok, by: proof.by, damaged: proof.damage.length };
}

async function readKnown(vault: VaultAccess, shared: Shared): Promise<Map<string, Known>> {
  const items = new Map<string, Known>();
  await readSummaries(vault, (row) => {
    const known = items.get(row.itemId) ?? { points: new Map<string, PointFacts>(), marks: new Map<string, ItemRow['marks'][string]>(), proofs: new Map<string, ProofRow>(), runs: [], lastRun: 0 };
    items.set(row.itemId, known);
    for (const facts of row.points) known.points.set(facts.stamp, shared.facts(facts));
    for (const [stamp, marks] of Object.entries(row.marks)) known.marks.set(stamp, marks);
    for (const [stamp, proof] of Object.entries(row.proofs)) known.proofs.set(stamp, proof);
    // Two processes may have written the same runs.
    known.runs.push(...row.runs.filter(({ sequence }) => sequence > known.lastRun));
    known.lastRun = Math.max(known.lastRun, row.lastRun);
  });
  return items;
}

const endedBefore = ({ runs, lastRun }: Held): number => (runs.find(({ outcome }) => outcome === 'running')?.sequence ?? lastRun + 1) - 1;

function unsummedOf(held: Held): number {
  let count = Math.max(0, endedBefore(held) - held.runsSummed);
  for (const { facts, summed } of held.entries.values()) if ((summed | (facts ? 0 : Summed.point)) !== Summed.all) count++;
  return count;
}

/** What of an item no summary has, and what to do once one has it; null when there is nothing. What is damaged is left out: it is looked at each time. */
function rowOf(held: Held): { readonly row: ItemRow; readonly written: () => void } | null {
  const ended = endedBefore(held);
  const row: ItemRow = { itemId: held.item.itemId, points: [], marks: {}, proofs: {}, runs: held.runs.filter(({ sequence }) => sequence > held.runsSummed && sequence <= ended), lastRun: ended };
  const after: (() => void)[] = [];
  for (const entry of held.entries.values()) {
    const { stamp, facts, marks, proof, proofMs, summed } = entry;
    if (facts && (summed & Summed.point) === 0) row.points.push({ ...facts, disks: facts.disks, warnings: facts.warnings });
    if ((summed & Summed.marks) === 0 && !marks.damaged) row.marks[stamp] = { count: marks.count, state: marks };
    if ((summed & Summed.proof) === 0 && proof && proofMs !== null) row.proofs[stamp] = { ...proof, lastMs: proofMs };
    after.push(() => {
      entry.summed = facts ? Summed.all : Summed.marks | Summed.proof;
    });
  }
  if (row.points.length + row.runs.length === 0 && Object.keys(row.marks).length + Object.keys(row.proofs).length === 0) return null;
  return { row, written: () => {
    for (const done of after) done();
    held.runsSummed = ended;
  } };
}
