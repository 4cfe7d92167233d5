import type { CaseName, CaseResult } from './cases';
import type { ActivityResult } from './memory';
import { GIB, MIB } from './options';
import type { Measurement } from './process';

export interface BenchOutcome {
  readonly cases: readonly CaseResult[];
  readonly activity: readonly ActivityResult[];
}

/** One target of the benchmark: reached or not, or null with the reason why nobody can say. */
export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly measured: string;
  readonly reached: boolean | null;
  /** By how much: positive is better than the target. */
  readonly margin: string;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle] as number : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

type Quantity = 'wallSeconds' | 'cpuSeconds' | 'peakBytes' | 'addedBytes';

/** The median of a quantity over a case's runs; null when it was not measured. */
export function medianOf(result: CaseResult, quantity: Quantity): number | null {
  const values = result.runs.map((one) => one[quantity]).filter((value) => value !== null);
  return values.length === 0 ? null : median(values);
}

/** The fastest way a contender has: restic restores by `restore` and by `dump`. */
export function fastest(cases: readonly CaseResult[], name: CaseName, contender: CaseResult['contender']): CaseResult | undefined {
  return cases.filter((one) => one.case === name && one.contender === contender)
    .sort((a, b) => (medianOf(a, 'wallSeconds') ?? 0) - (medianOf(b, 'wallSeconds') ?? 0))[0];
}

/** All targets, in the order of the issue that set them. */
export function judge({ cases, activity }: BenchOutcome): readonly Target[] {
  const ratio = (what: string, name: CaseName, quantity: Quantity, limit: { atLeast: number } | { atMost: number }, resticCase: CaseName = name): Target => {
    const ours = fastest(cases, name, 'holdfast');
    const theirs = fastest(cases, resticCase, 'restic');
    const [a, b] = [ours && medianOf(ours, quantity), theirs && medianOf(theirs, quantity)];
    const wanted = 'atLeast' in limit ? `at least ${limit.atLeast} times as fast` : `at most ${limit.atMost} of restic's`;
    if (a === undefined || b === undefined || a === null || b === null) return unknown(what, wanted);
    if ('atLeast' in limit) return bounded(what, wanted, b / a, limit.atLeast, true, `${(b / a).toFixed(2)} times`);
    return bounded(what, wanted, a / b, limit.atMost, false, (a / b).toFixed(3));
  };
  return [
    ratio('first backup: wall', 'first', 'wallSeconds', { atLeast: 2.5 }),
    ratio('first backup: CPU', 'first', 'cpuSeconds', { atMost: 0.5 }),
    ratio('second backup, ranges known: wall', 'second-known', 'wallSeconds', { atLeast: 12 }),
    ratio('second backup, ranges known: bytes stored', 'second-known', 'addedBytes', { atMost: 0.25 }),
    ratio('second backup, compared: wall', 'second-compared', 'wallSeconds', { atLeast: 3.5 }, 'second-known'),
    ratio('restore to a file: wall', 'restore', 'wallSeconds', { atLeast: 1.5 }),
    differential(cases),
    ratio('scrub of all that is stored: wall', 'scrub', 'wallSeconds', { atLeast: 1 }),
    ratio('scrub of all that is stored: CPU', 'scrub', 'cpuSeconds', { atMost: 1 }),
    ratio('first backup to Azurite: wall', 'azurite-first', 'wallSeconds', { atLeast: 2 }),
    memoryTarget('peak memory of the process, all cases', 350, cases.filter(({ contender }) => contender === 'holdfast').flatMap(({ runs }) => runs.map(({ peakBytes }) => peakBytes))),
    ...activity.map(({ diskBytes, runs }) =>
      memoryTarget(`peak memory of a transfer activity, disk of ${diskBytes / GIB} GiB`, 256, runs.map(({ peakBytes }) => peakBytes))),
  ];
}

/** Holdfast against itself: what is different alone, against all of the disk. */
function differential(cases: readonly CaseResult[]): Target {
  const [what, wanted] = ['differential restore after a 2 % change: wall', 'at least 5 times as fast as a full one'];
  const [part, whole] = (['restore-differential', 'restore'] as const).map((name) => fastest(cases, name, 'holdfast')).map((one) => one && medianOf(one, 'wallSeconds'));
  if (typeof part !== 'number' || typeof whole !== 'number') return unknown(what, wanted);
  return bounded(what, wanted, whole / part, 5, true, `${(whole / part).toFixed(2)} times`);
}

/** The targets of a day's retention and collection over a large vault. */
export function judgeLifecycle(runs: readonly Measurement[]): readonly Target[] {
  const seconds = median(runs.map(({ wallSeconds }) => wallSeconds));
  return [
    bounded('retention and collection of 100 items with 1,000 recovery points each: wall', 'under 60 s', seconds, 60, false, `${seconds.toFixed(1)} s`),
    memoryTarget('the same: peak memory', 300, runs.map(({ peakBytes }) => peakBytes)),
  ];
}

/** The largest of all runs counts: a limit on memory is not a matter of medians. */
function memoryTarget(what: string, limitMiB: number, peaks: readonly (number | null)[]): Target {
  const known = peaks.filter((peak) => peak !== null);
  if (known.length === 0) return unknown(what, `under ${limitMiB} MiB`);
  const peakMiB = Math.max(...known) / MIB;
  return bounded(what, `under ${limitMiB} MiB`, peakMiB, limitMiB, false, `${peakMiB.toFixed(0)} MiB`);
}

const unknown = (what: string, wanted: string): Target => ({ what, wanted, measured: 'not measured', reached: null, margin: '' });

function bounded(what: string, wanted: string, value: number, limit: number, more: boolean, measured: string): Target {
  const percent = 100 * (more ? value / limit - 1 : 1 - value / limit);
  const reached = more ? value >= limit : value <= limit;
  return { what, wanted, measured, reached, margin: `${Math.abs(percent).toFixed(0)} % ${percent >= 0 ? 'better' : 'short'}` };
}
