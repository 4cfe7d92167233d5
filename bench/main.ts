// `npm run bench`: compares Holdfast with restic on this machine. See docs/benchmarks.md.
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { measureApi } from './api';
import { measureChunking } from './chunking';
import { azuriteRun, folderRun, NotIdentical, Results, WORK_FOLDER } from './cases';
import type { Contender } from './contender';
import { ensureImages } from './images';
import { holdfast } from './holdfast';
import { measureLifecycle } from './lifecycle';
import { alone } from './lock';
import { activityRuns } from './memory';
import { type BenchOptions, parseOptions, ROOT, USAGE } from './options';
import { hasGnuTime } from './process';
import { profileFirstBackup } from './profile';
import { describeMachine, describeOutcome, type Machine, writeBetweenMarkers } from './report';
import { restic, resticVersion } from './restic';
import { judge } from './targets';

const say = (line: string): void => { process.stderr.write(`${line}\n`); };

async function compare(options: BenchOptions, machine: Machine): Promise<void> {
  const remarks: string[] = [];
  const remark = (line: string): void => { say(line); remarks.push(line); };
  if (machine.restic === null) remark('restic is missing (apt-get install restic), so Holdfast runs alone.');
  if (!hasGnuTime) remark('GNU time is missing (apt-get install time), so only Holdfast\'s CPU seconds and memory are measured.');
  const images = await ensureImages(options.sizeBytes, options.fillBytes, say);
  const contenders: Contender[] = machine.restic === null ? [holdfast] : [holdfast, restic];
  const results = new Results(say);
  if (options.cases.has('folder')) for (let index = 0; index < options.runs; index++) {
    say(`Folder, run ${index + 1} of ${options.runs}`);
    await folderRun(contenders, images, results);
  }
  if (options.cases.has('azurite')) for (let index = 0; index < options.runs; index++) {
    say(`Azurite, run ${index + 1} of ${options.runs}`);
    const obstacle = await azuriteRun(contenders, images, results);
    if (obstacle === null) continue;
    remark(`The Azurite case was skipped: ${obstacle}.`);
    break;
  }
  const activity = options.cases.has('memory') ? await activityRuns(images, options.runs, say) : [];
  const outcome = { cases: results.all, activity };
  // A disk this small shows how long programs take to start, and nothing that a target is about.
  const text = options.smoke ? `The benchmark works: ${results.all.length + activity.length} cases, and every restored image is the one that was backed up.` : describeOutcome(outcome, machine, images.about, options.runs, remarks);
  process.stdout.write(`\n${text}\n`);
  if (options.jsonFile !== null) writeFileSync(options.jsonFile, `${JSON.stringify({ machine, image: images.about, ...outcome, ...(options.smoke ? {} : { targets: judge(outcome) }), remarks }, null, 2)}\n`);
  if (options.markdown) writeBetweenMarkers(path.join(ROOT, 'docs', 'benchmarks.md'), 'bench', text);
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    process.stdout.write(USAGE);
    return 0;
  }
  let options: BenchOptions;
  try {
    options = parseOptions(args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
  let exitCode = 0;
  await alone(async () => {
    const machine = describeMachine(await resticVersion(), args);
    // What a bench that was killed left behind is of no use to this one.
    rmSync(WORK_FOLDER, { recursive: true, force: true });
    try {
      if (options.mode === 'compare') await compare(options, machine);
      else if (options.mode === 'chunking') await measureChunking(options, machine, say);
      else if (options.mode === 'lifecycle') process.stdout.write(`${await measureLifecycle(options.runs, machine, say)}\n`);
      else if (options.mode === 'api') exitCode = await api(machine);
      else process.stdout.write(`${await profileFirstBackup(options, machine, say)}\n`);
    } finally {
      if (!options.keep) rmSync(WORK_FOLDER, { recursive: true, force: true });
    }
  });
  return exitCode;
}

async function api(machine: Machine): Promise<number> {
  const { text, missed } = await measureApi(machine, say);
  process.stdout.write(`${text}\n`);
  if (missed.length > 0) say(`Missed: ${missed.join(', ')}`);
  return missed.length > 0 ? 1 : 0;
}

main().then((code) => { process.exitCode = code; }, (error: unknown) => {
  process.stderr.write(`${error instanceof NotIdentical ? error.message : error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
  process.exitCode = 1;
});
