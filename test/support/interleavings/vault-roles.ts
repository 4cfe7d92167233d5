import { writtenBefore } from '../../../vault/points/collect-plan';
import { MARGINS } from '../../../vault/points/margins';
import { openDocument } from '../../../vault/format/sealed-document';
import { START_MS } from '../vault-kit';
import type { Actor } from './actor-graph';
import type { ExploreOptions, Role } from './explore';
import { checker, collector, DAY_MS, FIRST_PACKS, firstRun, keys, ownPacks, retention, RUN_2, STAMP_1, undeleter, writer, type WriterOptions } from './vault-actors';

// What may be said of the actors so that fewer orders need be gone through one by one. All of it is looked at by the exploration, or by its `prove`: docs/decisions/interleavings.md.

const S2 = 'runs/item/0000000002';
const END_2 = `${S2}/end`;
const MARKS_1 = `marks/item/${STAMP_1}/`;
const POINT_1 = `recovery-points/item/${STAMP_1}`;
const POINT_2 = `recovery-points/item/${RUN_2.stamp}`;
const RECORDS = [`${S2}/verdict`, END_2, POINT_2];

type Seen = readonly string[];
/** Of what was seen, what begins so. */
const those = (...beginnings: Seen) => (seen: Seen): string[] => seen.filter((one) => beginnings.some((beginning) => one.startsWith(beginning)));

export function writerRole(mark: string, options: WriterOptions = {}, actor: Actor = writer(mark, options)): Role {
  const packs = ownPacks(mark);
  const seals = { looks: ['recovery-points/', `${S2}/`, 'marks/'], creates: RECORDS };
  const refers = { looks: [...seals.looks, 'references/'], creates: [...seals.creates, 'references/'] };
  const stores = { looks: [...refers.looks, ...packs], creates: [...refers.creates, ...packs] };
  const plans = { looks: [...stores.looks, 'runs/', 'work/'], creates: [...stores.creates, 'work/'] };
  const opens = { looks: plans.looks, creates: [...plans.creates, `${S2}/open`] };
  // One that asked for the time writes it down at the end. One that pinned late keeps the recovery point that it read then, and everything else too.
  const stage = (begins: RegExp, footprint: typeof plans, ...kept: string[]): Role['stages'][number] => ({ begins, ...footprint, ...(options.pinsLate ? {} : { keeps: those('serverTimeMs', ...kept) }) });
  return {
    actor,
    stages: [
      ...(options.begins ? [{ begins: /^serverTimeMs/, ...opens }, { begins: /^listNames runs\/item\/$/, ...opens }] : [{ begins: /^listNames runs\/item\/$/, ...plans }]),
      // That no newer one was found is nothing to it: it is not told what it passed over.
      ...(options.begins ? [] : [stage(/^read runs\/item\/0000000001\/end$/, plans), stage(/^read recovery-points\//, plans)]),
      // From here on the plan says which parent.
      stage(/^create work\//, plans),
      stage(/^create packs\/data\//, stores, 'read recovery-points/'),
      stage(/^create references\/.*\/0000 /, refers, 'read recovery-points/'),
      stage(/^create references\/.*\/root /, refers, 'read recovery-points/', 'read references/'),
      // What is sealed stands in the call.
      { ...stage(/^create runs\/.*\/verdict /, seals), sees: (one) => one.replace(/^(create \S+).* = /, '$1 = ') },
      stage(/^create recovery-points\//, { looks: ['recovery-points/', END_2], creates: [END_2, POINT_2] }),
      stage(/^create runs\/.*\/end /, { looks: [END_2], creates: [END_2] }),
    ],
  };
}

/** What the survey of the runs comes to: the time, and whether the second run is over, or since when it is open. */
function surveyed(seen: Seen): string[] {
  const before = those('serverTimeMs', 'run 2')(seen);
  if (before.length > 1) return before;
  const runs = those('listNames runs/')(seen).join();
  if (!runs.includes(S2)) return [...before, 'run 2 is not there'];
  const isOver = runs.includes(END_2) || seen.some((one) => one.startsWith(`read ${S2}/verdict = #`) || one.startsWith(`create ${S2}/verdict`));
  return [...before, isOver ? 'run 2 is over' : `run 2 is open: ${those(`stat ${S2}/open`)(seen).join()}`];
}

/** The time that a line ends with, by the number of its epoch. */
const timeOf = (epochsMs: readonly number[], line: string | undefined): number | undefined => epochsMs[Number(line?.split(/[. ]/).at(-1))];

/** Of packs that are listed, only those that are old enough to go. */
const oldPacks = (epochsMs: readonly number[]) => (one: string, seen: Seen): string => {
  const [, call, list = ''] = /^(list packs\/\w+\/ = )(.*)$/.exec(one) ?? [];
  if (call === undefined) return one;
  const nowMs = timeOf(epochsMs, those('serverTimeMs')(seen)[0]) ?? 0;
  const openedMs = timeOf(epochsMs, those('run 2 is open')(seen)[0]);
  const beforeMs = writtenBefore(openedMs === undefined ? nowMs : Math.min(nowMs, openedMs - MARGINS.beforeRunMs));
  return call + list.split(' ').filter((pack) => (timeOf(epochsMs, pack) ?? nowMs) < beforeMs).map((pack) => pack.split('.')[0]).join(' ');
};

const LOOKS_LAST = ['work/', 'references/', 'restores/', 'proofs/', `${S2}/`];
const LOOKS = ['packs/', 'recovery-points/', 'marks/', ...LOOKS_LAST];

export interface CollectorOptions {
  readonly actor?: Actor;
  /** False: nothing is said of what it is too early for. */
  readonly knowsAge?: boolean;
}

/** `epochsMs` is what the clock can say. */
export function collectorRole(epochsMs: readonly number[], { actor = collector, knowsAge = true }: CollectorOptions = {}): Role {
  /** What it does only when the time that it was told is that late. */
  const late = (afterMs: number, ...prefixes: string[]) => (seen: Seen): string[] => ((timeOf(epochsMs, those('serverTimeMs')(seen)[0]) ?? Infinity) > afterMs || !knowsAge ? prefixes : []);
  const purges = late(START_MS + MARGINS.binMs, MARKS_1);
  const sweeps = late(START_MS + 22 * DAY_MS, 'references/');
  const goes = (seen: Seen): string[] => [...late(START_MS + MARGINS.binMs, 'packs/')(seen), ...sweeps(seen)];
  const withPoint = (seen: Seen): string[] => [POINT_1, ...goes(seen)];
  // What is stored after it asked for the time is too young for it.
  const blind = { blind: knowsAge ? ['packs/', 'work/'] : ['work/'] };
  const marks = { looks: LOOKS, creates: purges, deletes: withPoint, ...blind };
  const kept = (seen: Seen): string[] => [...surveyed(seen), ...those(`stat ${END_2}`)(seen)];
  const history = those('listNames recovery-points/item/', 'read recovery-points/', 'listNames marks/item/', 'read marks/', 'create marks/', 'delete recovery-points/');
  return {
    actor,
    stages: [
      { begins: /^serverTimeMs/, looks: [''], creates: [...RECORDS, MARKS_1], deletes: ['packs/', 'references/', POINT_1] },
      // Of a run that has not ended, when it ended is asked together with when it began.
      { begins: /^listNames runs\//, ignores: /^stat .*\/end$/, looks: [''], creates: (seen) => [...RECORDS, ...purges(seen)], deletes: withPoint, ...blind },
      // Whoever commits or ends the run: from here on it is over.
      { begins: /^create recovery-points\//, keeps: surveyed, looks: [''], creates: (seen) => [END_2, POINT_2, ...purges(seen)], deletes: withPoint, ...blind },
      { begins: /^create runs\/.*\/end /, keeps: surveyed, looks: [''], creates: (seen) => [END_2, ...purges(seen)], deletes: withPoint, ...blind },
      // The items are those that have runs.
      { begins: /^listNames recovery-points\/$/, keeps: surveyed, ignores: /^listNames (recovery-points|marks)\/$/, ...marks },
      { begins: /^listNames recovery-points\/item\/$/, keeps: surveyed, ...marks },
      { begins: /^list packs\/data\/$/, keeps: (seen) => [...kept(seen), ...history(seen)], ...(knowsAge ? { sees: oldPacks(epochsMs) } : {}), looks: LOOKS, creates: [], deletes: goes, ...blind },
      { begins: /^listNames recovery-points\/$/, looks: LOOKS, creates: [], deletes: goes, ...blind },
      // What is to be deleted was asked for already.
      { begins: /^stat packs\//, keeps: kept, looks: ['packs/', ...LOOKS_LAST], creates: [], deletes: goes, ...blind },
      { begins: /^listNames work\//, keeps: kept, ignores: /^listNames work\//, looks: LOOKS_LAST, creates: [], deletes: sweeps, blind: ['work/'] },
      { begins: /^list restores\//, keeps: those('serverTimeMs', 'list references/'), looks: ['restores/', 'proofs/', 'references/'], creates: [], deletes: sweeps },
    ],
  };
}

const deciderRole = (actor: Actor): Role => {
  const footprint = { looks: [MARKS_1, POINT_1], creates: [MARKS_1] };
  return { actor, stages: [{ begins: /^serverTimeMs/, ...footprint }, { begins: /^listNames marks\//, keeps: those('serverTimeMs', 'create marks/'), ...footprint }] };
};

/** The actors of the vault, for a clock that says one after another of `epochsMs`. */
export const rolesOf = (epochsMs: readonly number[]): Readonly<Record<'writer' | 'twin' | 'beginner' | 'collector' | 'retention' | 'undeleter', Role>> => ({
  writer: writerRole('b'), twin: writerRole('d'), beginner: writerRole('b', { begins: true }), collector: collectorRole(epochsMs), retention: deciderRole(retention), undeleter: deciderRole(undeleter),
});

/** A vault of two runs: the first was committed long ago; the second is open, unless `isOpen` is false. */
export const optionsOf = async (actors: readonly Role[], epochsMs: readonly number[], isOpen = true): Promise<ExploreOptions> => ({
  start: await firstRun(isOpen), epochsMs, actors, check: checker(), maxStates: 1_000_000,
  isLasting: (name) => /^(runs|marks|work)\//.test(name) || name === POINT_2,
  isUnique: (name) => name.startsWith('packs/'),
  isTimed: (name) => /^(packs|marks)\/|^runs\/.*\/(open|end)$/.test(name),
  meaningOf: (name, data) => (name.startsWith('packs/') ? data.toString('latin1') : JSON.stringify(openDocument(keys, name, data))),
  areas: [
    `${S2}/open`, `${S2}/verdict`, END_2, 'runs/', `${MARKS_1}0001`, `${MARKS_1}0002`, MARKS_1, 'marks/', POINT_1, POINT_2, 'recovery-points/', ...FIRST_PACKS, ...ownPacks('b'), ...ownPacks('d'), 'packs/',
    'work/item/0000000002/plan', 'work/', 'references/item/0000000002/0-0/0000', 'references/item/0000000002/0-0/root', 'references/', 'restores/', 'proofs/',
  ],
  checked: { points: 'recovery-points/', packs: 'packs/', marks: 'marks/', ends: END_2, marked: POINT_1 },
});
