import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { WORK_FOLDER } from './cases';
import type { Place } from './contender';
import { holdfast } from './holdfast';
import { ensureImages, warm } from './images';
import { type BenchOptions, ROOT } from './options';
import { run } from './process';
import { type Machine, machineText, table } from './report';

/** The parts of a V8 CPU profile that are used (Chrome DevTools Protocol, Profiler.Profile). Times in microseconds. */
interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

const SHOWN = 25;

/** Waiting is no work: a thread that is idle shows as one of these. */
const IDLE = new Set(['(idle)', '(program)', '(root)']);

/** Profiles one first backup, every thread of it, and returns a table of the functions that took the most time. */
export async function profileFirstBackup(options: BenchOptions, machine: Machine, say: (line: string) => void): Promise<string> {
  const images = await ensureImages(options.sizeBytes, options.fillBytes, say);
  const own = path.join(WORK_FOLDER, 'profile');
  rmSync(own, { recursive: true, force: true });
  const folder = path.join(own, 'profiles');
  mkdirSync(folder, { recursive: true });
  const at: Place = { kind: 'folder', own, store: path.join(own, 'store') };
  await run(holdfast.init(at));
  await warm(images.base);
  const backup = holdfast.backup(at, images.base, null);
  say('Profiling the first backup');
  // A worker inherits the options of its process, and leaves a profile of its own.
  await run({ ...backup, args: ['--cpu-prof', `--cpu-prof-dir=${folder}`, ...backup.args] });
  const files = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  const secondsBy = new Map<string, number>();
  for (const file of files) addTimes(secondsBy, JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as CpuProfile);
  const busy = [...secondsBy].filter(([name]) => !IDLE.has(name)).sort((a, b) => b[1] - a[1]);
  const total = busy.reduce((sum, [, seconds]) => sum + seconds, 0);
  return [
    machineText(machine),
    `Time in the ${files.length} threads of one first backup, ${total.toFixed(1)} s together without waiting:`,
    table(['function, and what of Node it called', 's', 'share'], busy.slice(0, SHOWN).map(([name, seconds]) => [name, seconds.toFixed(2), `${(100 * seconds / total).toFixed(1)} %`])),
  ].join('\n\n');
}

/** Adds each sample to the function of this project that ran, with the function of Node that it had called, if any. */
function addTimes(into: Map<string, number>, profile: CpuProfile): void {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap(({ id, children }) => (children ?? []).map((child) => [child, id] as const)));
  const labels = new Map(profile.nodes.map(({ id }) => [id, labelOf(id, nodes, parents)]));
  profile.samples.forEach((id, index) => {
    const label = labels.get(id) ?? '?';
    into.set(label, (into.get(label) ?? 0) + (profile.timeDeltas[index] ?? 0) / 1e6);
  });
}

/** All that Node does below one call of its API counts for that call: `zstdCompressSync` says more than the frames inside it. */
function labelOf(id: number, nodes: ReadonlyMap<number, ProfileNode>, parents: ReadonlyMap<number, number>): string {
  let called: ProfileNode | undefined;
  for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
    const node = nodes.get(at);
    if (!node) break;
    if (node.callFrame.url.includes('/dist/')) return `${nameOf(node)} ${fileOf(node)}${called ? ` > ${nameOf(called)}` : ''}`;
    if (at !== id && node.callFrame.functionName === '(root)') break;
    called = node;
  }
  return called ? `${nameOf(called)} ${fileOf(called)}`.trim() : '?';
}

const nameOf = ({ callFrame: { functionName } }: ProfileNode): string => (functionName === '' ? '(anonymous)' : functionName);
const fileOf = ({ callFrame: { url } }: ProfileNode): string => (url === '' || url.startsWith('node:') ? url : path.relative(ROOT, url.replace(/^file:\/\//, '')));
