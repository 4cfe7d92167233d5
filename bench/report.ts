import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import type { CaseName, CaseResult } from './cases';
import type { ImagesAbout } from './images';
import { GIB, MIB } from './options';
import { type BenchOutcome, judge, medianOf } from './targets';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly restic: string | null;
  readonly at: string;
  readonly command: string;
}

export const describeMachine = (restic: string | null, args: readonly string[]): Machine => ({
  processor: os.cpus()[0]?.model.trim() ?? 'unknown', cores: os.availableParallelism(), memoryBytes: os.totalmem(), kernel: `${os.type()} ${os.release()}`,
  node: process.version, restic, at: new Date().toISOString().slice(0, 16).replace('T', ' '), command: ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' '),
});

/** A Markdown table whose columns also line up in a terminal. */
export function table(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headers.map((header, column) => Math.max(3, header.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]): string => `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(headers), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}

const CASE_TEXT: Readonly<Record<CaseName, string>> = {
  first: 'first backup to a folder',
  'second-known': 'second backup, 2 % changed',
  'second-compared': 'second backup, 2 % changed, ranges unknown',
  restore: 'restore to a file',
  'restore-differential': 'restore of what differs',
  scrub: 'proof of all that is stored',
  'azurite-first': 'first backup to Azurite',
};

/** The tables of a comparison. */
export function describeOutcome(outcome: BenchOutcome, machine: Machine, image: ImagesAbout, runs: number, remarks: readonly string[]): string {
  const rows = outcome.cases.map((one) => [CASE_TEXT[one.case], nameOf(one), seconds(one, 'wallSeconds'), spread(one), seconds(one, 'cpuSeconds'), mebibytes(one, 'peakBytes'), mebibytes(one, 'addedBytes')]);
  const activity = outcome.activity.map(({ diskBytes, windows, runs: measured }) =>
    [`${diskBytes / GIB} GiB`, String(windows), `${Math.round(Math.max(...measured.map(({ peakBytes }) => peakBytes ?? Number.NaN)) / MIB)}`]);
  const targets = judge(outcome).map(({ what, wanted, measured, reached, margin }) =>
    [what, wanted, measured, reached === null ? 'not measured' : reached ? 'reached' : 'MISSED', margin]);
  return [
    machineText(machine),
    `Image: ${image.sizeBytes / MIB} MiB, ext4 with ${image.files} files of ${Math.round(image.fileBytes / MIB)} MiB; changed: ${(image.changedBytes / MIB).toFixed(1)} MiB in ${image.changedRanges} ranges (seed ${image.seed}).`,
    `Medians of ${runs}; peak memory of a transfer activity is the largest run's.`,
    table(['case', 'contender', 'wall s', 'least-most', 'CPU s', 'peak MiB', 'stored MiB'], rows),
    ...(activity.length > 0 ? ['One transfer activity, one lane, one region:', table(['disk', 'windows', 'peak MiB'], activity)] : []),
    table(['target', 'wanted', 'measured', 'outcome', 'margin'], targets),
    ...remarks,
  ].join('\n\n');
}

export const machineText = (machine: Machine): string =>
  `${machine.at} UTC, \`${machine.command}\`, ${machine.cores} cores (${machine.processor}), ${(machine.memoryBytes / GIB).toFixed(0)} GiB memory, ${machine.kernel}, Node ${machine.node}, ${machine.restic ?? 'no restic'}.`;

const nameOf = ({ contender, way, case: name }: CaseResult): string => (name === 'restore' && contender === 'restic' ? `${contender} ${way}` : contender);

const seconds = (one: CaseResult, quantity: 'wallSeconds' | 'cpuSeconds'): string => medianOf(one, quantity)?.toFixed(2) ?? '?';

const spread = ({ runs }: CaseResult): string => {
  const walls = runs.map(({ wallSeconds }) => wallSeconds);
  return `${Math.min(...walls).toFixed(2)}-${Math.max(...walls).toFixed(2)}`;
};

function mebibytes(one: CaseResult, quantity: 'peakBytes' | 'addedBytes'): string {
  const bytes = medianOf(one, quantity);
  return bytes === null ? '' : (bytes / MIB).toFixed(quantity === 'peakBytes' ? 0 : 1);
}

/** Replaces what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` in a document. Throws an Error when the markers are missing. */
export function writeBetweenMarkers(file: string, name: string, text: string): void {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const before = readFileSync(file, 'utf8');
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no ${begin} with ${end} after it`);
  writeFileSync(file, `${before.slice(0, from + begin.length)}\n${text}\n${before.slice(to)}`);
}
