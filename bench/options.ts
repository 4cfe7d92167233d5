import path from 'node:path';
import { parseArgs } from 'node:util';

export const MIB = 1024 * 1024;
export const GIB = 1024 * MIB;

const BENCH_CASES = ['folder', 'azurite', 'memory'] as const;
export type BenchCase = (typeof BENCH_CASES)[number];

export interface BenchOptions {
  readonly sizeBytes: number;
  /** Bytes of files put into the image's file system. */
  readonly fillBytes: number;
  readonly runs: number;
  readonly mode: 'compare' | 'chunking' | 'profile' | 'lifecycle' | 'api';
  readonly cases: ReadonlySet<BenchCase>;
  /** Only to see that it works: nothing is judged. */
  readonly smoke: boolean;
  readonly jsonFile: string | null;
  readonly markdown: boolean;
  readonly keep: boolean;
}

export const USAGE = `npm run bench -- [options]
  --size 4GiB         size of the disk image
  --fill 2.4GiB       bytes of system files in it; by default six tenths of the size
  --runs 3            how often each case runs; the medians count
  --only CASES        of folder,azurite,memory; by default all
  --json FILE         write every measurement as JSON
  --markdown          write the tables into docs/benchmarks.md (with --chunking: into the decision record)
  --chunking          measure chunk sizes, zstd levels and pack sizes instead
  --lifecycle         measure retention and collection of a vault with 100,000 recovery points instead
  --api               measure instead how quickly the app answers the portal, 50 requests at once, with 100,000 recovery points in the vault; ends with 1 where a target is missed
  --profile           profile one first backup instead, and print where the time goes
  --smoke             a disk of 128 MiB, one run, into a folder: that it works and restores what it was given, in less than a minute. Its figures mean nothing
  --keep              leave .bench/work as it is at the end
`;

/** The root of the repository, seen from dist/bench/. */
export const ROOT = path.resolve(__dirname, '..', '..');
export const BENCH_FOLDER = path.join(ROOT, '.bench');

/** Throws an Error that names the option and the value received. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      size: { type: 'string' }, fill: { type: 'string' }, runs: { type: 'string' }, only: { type: 'string' },
      json: { type: 'string' }, markdown: { type: 'boolean', default: false }, chunking: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false }, lifecycle: { type: 'boolean', default: false }, api: { type: 'boolean', default: false }, smoke: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
    },
  });
  const usual = values.smoke ? { size: '128MiB', runs: '1', only: 'folder' } : { size: '4GiB', runs: '3', only: undefined };
  const { size, runs: runsText, only } = { size: values.size ?? usual.size, runs: values.runs ?? usual.runs, only: values.only ?? usual.only };
  const sizeBytes = parseBytes('--size', size);
  const fillBytes = values.fill === undefined ? Math.floor(sizeBytes * 0.6) : parseBytes('--fill', values.fill);
  if (sizeBytes % MIB !== 0 || sizeBytes < 64 * MIB) throw new Error(`--size ${size}: a whole number of MiB, 64 at least, is needed`);
  if (fillBytes > sizeBytes * 0.9) throw new Error(`--fill ${fillBytes} leaves no room for the file system in ${sizeBytes} bytes`);
  const runs = Number(runsText);
  if (!Number.isInteger(runs) || runs < 1 || runs > 99) throw new Error(`--runs ${runsText}: a number from 1 to 99 is needed`);
  const others = [values.chunking, values.profile, values.lifecycle, values.api].filter(Boolean).length;
  if (others > 1) throw new Error('--chunking, --profile, --lifecycle and --api are different measurements: give one of them');
  if (values.smoke && (values.markdown || others > 0)) throw new Error('--smoke is no measurement: give it without --markdown, --chunking, --profile, --lifecycle and --api');
  return {
    sizeBytes, fillBytes, runs, mode: values.chunking ? 'chunking' : values.profile ? 'profile' : values.lifecycle ? 'lifecycle' : values.api ? 'api' : 'compare',
    cases: parseCases(only), smoke: values.smoke, jsonFile: values.json ?? null, markdown: values.markdown, keep: values.keep,
  };
}

function parseCases(text: string | undefined): ReadonlySet<BenchCase> {
  if (text === undefined) return new Set(BENCH_CASES);
  return new Set(text.split(',').map((name) => {
    const found = BENCH_CASES.find((known) => known === name);
    if (found === undefined) throw new Error(`--only ${text}: ${JSON.stringify(name)} is none of ${BENCH_CASES.join(', ')}`);
    return found;
  }));
}

function parseBytes(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(MiB|GiB)$/i.exec(text);
  if (!match) throw new Error(`${option} ${text}: write it as 256MiB or 4GiB`);
  return Math.floor(Number(match[1]) * (match[2]?.toLowerCase() === 'gib' ? GIB : MIB));
}
