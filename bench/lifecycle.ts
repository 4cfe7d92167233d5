import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { WORK_FOLDER } from './cases';
import { type LifecycleSize, makeLifecycleVault } from './lifecycle-vault';
import { MIB, ROOT } from './options';
import { measure, type Measurement } from './process';
import { type Machine, machineText, table } from './report';
import { judgeLifecycle } from './targets';

/** The vault that the target is about: a hundred items, each with a thousand recovery points. */
const SIZE: LifecycleSize = { items: 100, points: 1_000 };

/** A day's retention and collection over a large vault, in a process of its own. The vault is made anew for each run, because a run changes it. */
export async function measureLifecycle(runs: number, machine: Machine, say: (line: string) => void): Promise<string> {
  const measured: Measurement[] = [];
  mkdirSync(WORK_FOLDER, { recursive: true });
  for (let index = 0; index < runs; index++) {
    const vault = path.join(WORK_FOLDER, 'lifecycle');
    rmSync(vault, { recursive: true, force: true });
    say(`Lifecycle, run ${index + 1} of ${runs}`);
    await makeLifecycleVault(vault, SIZE, say);
    const one = await measure({ program: process.execPath, args: [path.join(ROOT, 'dist', 'bench', 'lifecycle-run.js'), '--vault', vault], outputFile: path.join(WORK_FOLDER, 'lifecycle.json') });
    measured.push(one);
    say(`  ${one.wallSeconds.toFixed(1)} s, ${Math.round((one.peakBytes ?? 0) / MIB)} MiB`);
  }
  const rows = measured.map(({ wallSeconds, cpuSeconds, peakBytes }) => [wallSeconds.toFixed(1), cpuSeconds?.toFixed(1) ?? '?', peakBytes === null ? '?' : String(Math.round(peakBytes / MIB))]);
  const targets = judgeLifecycle(measured).map(({ what, wanted, measured: got, reached, margin }) => [what, wanted, got, reached === null ? 'not measured' : reached ? 'reached' : 'MISSED', margin]);
  return [
    machineText(machine), `Retention and collection of ${SIZE.items} items with ${SIZE.points} recovery points each, in a folder that is in the page cache.`,
    table(['wall s', 'CPU s', 'peak MiB'], rows), table(['target', 'wanted', 'measured', 'outcome', 'margin'], targets),
  ].join('\n\n');
}
