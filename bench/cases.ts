import { linkSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { azuriteObstacle, withAzurite } from './azurite';
import { type Contender, type Place, storedBytes } from './contender';
import { type Images, warm } from './images';
import { differentialCommand } from './holdfast';
import { BENCH_FOLDER } from './options';
import { type Command, measure, type Measurement, run } from './process';

/** One case of one contender: a measurement a run. `addedBytes` is what the store grew by. */
export interface CaseResult {
  readonly case: CaseName;
  readonly contender: Contender['name'];
  /** Which way of several, where a contender has them. */
  readonly way: string;
  readonly runs: readonly (Measurement & { readonly addedBytes: number | null })[];
}

export type CaseName = 'first' | 'second-known' | 'second-compared' | 'restore' | 'restore-differential' | 'scrub' | 'azurite-first';

export const WORK_FOLDER = path.join(BENCH_FOLDER, 'work');
const DISK = path.join(WORK_FOLDER, 'disk', 'disk.img');

type Say = (line: string) => void;

/** Collects measurements by case, contender and way, in the order in which they first came. */
export class Results {
  private readonly byKey = new Map<string, { readonly result: CaseResult; readonly runs: (Measurement & { addedBytes: number | null })[] }>();
  constructor(private readonly say: Say) {}

  add(name: CaseName, contender: Contender['name'], way: string, measured: Measurement, addedBytes: number | null): void {
    const key = `${name} ${contender} ${way}`;
    const known = this.byKey.get(key) ?? this.start(key, name, contender, way);
    known.runs.push({ ...measured, addedBytes });
    this.say(`  ${key}: ${measured.wallSeconds.toFixed(2)} s, CPU ${measured.cpuSeconds?.toFixed(2) ?? '?'} s, ${Math.round((measured.peakBytes ?? 0) / 2 ** 20)} MiB`);
  }

  get all(): readonly CaseResult[] { return [...this.byKey.values()].map(({ result }) => result); }

  private start(key: string, name: CaseName, contender: Contender['name'], way: string) {
    const runs: (Measurement & { addedBytes: number | null })[] = [];
    const entry = { result: { case: name, contender, way, runs }, runs };
    this.byKey.set(key, entry);
    return entry;
  }
}

/** Every timed process starts with the disk image in the page cache and nothing waiting to be written, whoever came before. */
async function timed(command: Command): Promise<Measurement> {
  await warm(DISK);
  await run({ program: 'sync', args: [] });
  return measure(command);
}

/** Puts a generation of the disk at the path that both contenders back up: by a link, which leaves its pages cached. */
function place(image: string): void {
  mkdirSync(path.dirname(DISK), { recursive: true });
  rmSync(DISK, { force: true });
  linkSync(image, DISK);
}

const folderPlace = (contender: Contender, store = 'store'): Place & { kind: 'folder' } => {
  const own = path.join(WORK_FOLDER, contender.name);
  return { kind: 'folder', own, store: path.join(own, store) };
};

/** Cases 1 to 4, each by one contender after the other. Throws NotIdentical when a restored image is not the one backed up. */
export async function folderRun(contenders: readonly Contender[], images: Images, results: Results): Promise<void> {
  for (const contender of contenders) {
    const { own } = folderPlace(contender);
    rmSync(own, { recursive: true, force: true });
    mkdirSync(own, { recursive: true });
    await run(contender.init(folderPlace(contender)));
  }
  place(images.base);
  for (const contender of contenders) await timedBackup('first', contender, folderPlace(contender), null, results);
  const known = contenders.find(({ name }) => name === 'holdfast');
  // The compared backup starts from the very same vault as the one with known ranges.
  if (known) await run({ program: 'cp', args: ['-a', folderPlace(known).store, folderPlace(known, 'compared').store] });
  place(images.changed);
  for (const contender of contenders) await timedBackup('second-known', contender, folderPlace(contender), images.rangesFile, results);
  if (known) await timedBackup('second-compared', known, folderPlace(known, 'compared'), null, results);
  // Both generations are stored: a scrub reads the newer one whole, and of the older one what differs.
  for (const contender of contenders) results.add('scrub', contender.name, 'proof', await timed(contender.proof(folderPlace(contender))), null);
  await restores(contenders, images, results);
}

async function timedBackup(name: CaseName, contender: Contender, at: Place & { kind: 'folder' }, rangesFile: string | null, results: Results): Promise<void> {
  const before = storedBytes(at.store);
  const measured = await timed(contender.backup(at, DISK, rangesFile));
  results.add(name, contender.name, 'backup', measured, storedBytes(at.store) - before);
}

async function restores(contenders: readonly Contender[], images: Images, results: Results): Promise<void> {
  const plans = contenders.map((contender) => {
    const target = path.join(folderPlace(contender).own, 'restored');
    return { contender, target, ways: contender.restores(folderPlace(contender), DISK, target) };
  });
  const holdfast = plans.find(({ contender }) => contender.name === 'holdfast');
  for (const { contender, target, ways } of plans) {
    for (const way of ways) await timedRestore(contender, target, way, images.changed, results);
  }
  if (!holdfast) return;
  await differentialRestore(holdfast.contender, holdfast.target, images, results);
  // Proves the compared vault too, untimed.
  const compared = folderPlace(holdfast.contender, 'compared');
  for (const way of holdfast.contender.restores(compared, DISK, holdfast.target)) await restoreAndProve(holdfast.contender, holdfast.target, way, images.changed, run);
}

async function timedRestore(contender: Contender, target: string, way: ReturnType<Contender['restores']>[number], expected: string, results: Results): Promise<void> {
  await restoreAndProve(contender, target, way, expected, async (command) => {
    results.add('restore', contender.name, way.name, await timed(command), null);
  });
}

async function restoreAndProve(contender: Contender, target: string, way: ReturnType<Contender['restores']>[number], expected: string, restore: (command: Command) => Promise<unknown>): Promise<void> {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  await restore(way.command);
  await prove(way.file, expected, `${contender.name} ${way.name}`);
  rmSync(target, { recursive: true, force: true });
}

async function prove(file: string, expected: string, what: string): Promise<void> {
  try {
    await run({ program: 'cmp', args: [file, expected] });
  } catch (cause) {
    throw new NotIdentical(`${what} gave another image than was backed up`, { cause });
  }
}

/** The image as it was before it changed, made equal to the newest backup. The target lies on the disk, as an image in use does, and in the page cache. */
async function differentialRestore(contender: Contender, target: string, images: Images, results: Results): Promise<void> {
  const at = folderPlace(contender);
  const file = path.join(target, 'disk.img');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  await run({ program: 'cp', args: ['--sparse=always', images.base, file] });
  await warm(file);
  results.add('restore-differential', contender.name, 'restore', await timed(differentialCommand(at, file)), null);
  await prove(file, images.changed, `${contender.name} restore --differential`);
  rmSync(target, { recursive: true, force: true });
}

/** A restored image that differs: the one thing that fails the bench. */
export class NotIdentical extends Error {}

/** Case 5: the first backup to Azurite, with an Azurite of its own for each. Returns why it cannot run, or null. */
export async function azuriteRun(contenders: readonly Contender[], images: Images, results: Results): Promise<string | null> {
  place(images.base);
  for (const contender of contenders) {
    const obstacle = await azuriteObstacle();
    if (obstacle !== null) return obstacle;
    const own = path.join(WORK_FOLDER, `${contender.name}-azurite`);
    rmSync(own, { recursive: true, force: true });
    mkdirSync(own, { recursive: true });
    const at: Place = { kind: 'azurite', container: 'bench', own };
    await withAzurite(async () => {
      await run(contender.init(at));
      results.add('azurite-first', contender.name, 'backup', await timed(contender.backup(at, DISK, null)), null);
    });
  }
  return null;
}
