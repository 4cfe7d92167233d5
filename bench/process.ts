import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { BENCH_FOLDER } from './options';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where standard output goes; by default it is kept as text. */
  readonly outputFile?: string;
}

/** What one whole process took, with every thread and every process it started and waited for. */
export interface Measurement {
  readonly wallSeconds: number;
  /** User and system time; null when this machine cannot say. */
  readonly cpuSeconds: number | null;
  /** Peak resident memory; of several processes the largest one's. */
  readonly peakBytes: number | null;
}

const GNU_TIME = '/usr/bin/time';
export const hasGnuTime = existsSync(GNU_TIME);

/**
 * Loaded into a Node process where GNU time is missing. VmHWM is read rather than getrusage's maximum, which a child inherits
 * from the parent it was forked from.
 */
const REPORT_USAGE = `data:text/javascript,${encodeURIComponent(`
import { readFileSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
if (isMainThread) process.on('exit', () => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  const peak = /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  writeFileSync(process.env.BENCH_USAGE_FILE, [userCPUTime / 1e6, systemCPUTime / 1e6, peak].join(' '));
});`)}`;

/** Runs a process to its end and measures it. Throws an Error with the end of what it said when it fails. */
export async function measure(command: Command): Promise<Measurement> {
  const usageFile = path.join(BENCH_FOLDER, 'usage');
  try {
    const startNs = process.hrtime.bigint();
    await run(observed(command, usageFile));
    const wallSeconds = Number(process.hrtime.bigint() - startNs) / 1e9;
    const [user, system, peakKib] = existsSync(usageFile) ? readFileSync(usageFile, 'utf8').trim().split(' ').map(Number) : [];
    if (user === undefined || system === undefined || peakKib === undefined) return { wallSeconds, cpuSeconds: null, peakBytes: null };
    return { wallSeconds, cpuSeconds: user + system, peakBytes: peakKib * 1024 };
  } finally {
    rmSync(usageFile, { force: true });
  }
}

function observed(command: Command, usageFile: string): Command {
  if (hasGnuTime) return { ...command, program: GNU_TIME, args: ['-o', usageFile, '-f', '%U %S %M', command.program, ...command.args] };
  if (command.program !== process.execPath) return command;
  return { ...command, args: ['--import', REPORT_USAGE, ...command.args], env: { ...command.env, BENCH_USAGE_FILE: usageFile } };
}

const KEPT_CHARACTERS = 1_000_000;

/** Runs a process and returns what it wrote to standard output. Throws an Error when it ends with anything but 0. */
export async function run(command: Command): Promise<string> {
  const output = command.outputFile === undefined ? null : await open(command.outputFile, 'w');
  try {
    const child = spawn(command.program, command.args, { env: { ...process.env, ...command.env }, stdio: ['ignore', output?.fd ?? 'pipe', 'pipe'] });
    let [text, errors] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (more: string) => { text = (text + more).slice(-KEPT_CHARACTERS); });
    child.stderr?.setEncoding('utf8').on('data', (more: string) => { errors = (errors + more).slice(-4_000); });
    const [code, signal] = await once(child, 'close') as [number | null, string | null];
    if (code !== 0) throw new Error(`${command.program} ${command.args.join(' ')} ended with ${signal ?? code}:\n${errors}${text.slice(-2_000)}`);
    return text;
  } finally {
    await output?.close();
  }
}

/** The first line of what a program says, or null when there is no such program. */
export async function firstLine(program: string, args: readonly string[]): Promise<string | null> {
  try {
    return (await run({ program, args })).split('\n')[0]?.trim() ?? '';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
