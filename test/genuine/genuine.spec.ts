import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AzuriteStorage } from '../../local/azurite-storage';
import { realClock } from '../../local/host/clock';
import { root } from '../docs/repository';
import { genuineFile, goldenText } from '../orchestrations/golden/fixture';
import { misunderstanding, Orchestrators } from '../orchestrations/golden/replay';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';
import { assertDiskIs, diskIdOf } from '../support/restores';
import { AppScenario } from './app-scenario';
import { GenuineHost } from './genuine-host';

const PROJECT = path.join(root, 'test', 'genuine', 'host', 'genuine.csproj');
/** Ignored by git, and looked at by nobody. */
const BUILT = path.join(root, '.holdfast', 'genuine');

/** The built program, or why there is none. */
function build(): { program: string } | { missing: string } {
  try {
    execFileSync('dotnet', ['build', PROJECT, '-c', 'Release', '-v', 'q', '--nologo', '-o', path.join(BUILT, 'bin'), `-p:BaseIntermediateOutputPath=${path.join(BUILT, 'obj')}${path.sep}`], { stdio: 'pipe', encoding: 'utf8' });
    return { program: path.join(BUILT, 'bin', 'genuine.dll') };
  } catch (error) {
    const { code, stdout } = error as { code?: string; stdout?: string };
    if (code === 'ENOENT') return { missing: 'there is no dotnet: install the .NET SDK 10' };
    const line = (stdout ?? '').split('\n').find((one) => /error/.test(one)) ?? String(error);
    // Code that does not compile is a failure; packages or an SDK that cannot be had are not.
    if (/error CS\d+/.test(line)) throw new Error(line, { cause: error });
    return { missing: line.trim() };
  }
}

describe('the app on the genuine Durable extension', function () {
  this.timeout(15 * 60_000);
  let storage: AzuriteStorage;
  let home: Home;
  let host: GenuineHost;
  let scenario: AppScenario;

  before(async function () {
    const built = build();
    if ('missing' in built) {
      process.stderr.write(`Skipped: ${built.missing}\n`);
      return this.skip();
    }
    storage = await AzuriteStorage.start();
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: halfDisk(2, 2) }), { host: { clock: realClock } });
    host = await GenuineHost.start(home.services, storage.connectionString, built.program);
    scenario = new AppScenario(host, home.standIn);
  });
  after(async () => {
    await host?.stop();
    await home?.dispose();
    await storage?.stop();
  });

  let point = '';

  it('backs a machine up, first whole and then what changed, and both restore byte for byte', async () => {
    const first = await scenario.backUp();
    assert.equal(first.state, 'succeeded', JSON.stringify(first));
    const before = await readImage(home, 'web01', 'os');
    await writeDisk(home, 'web01', 'os', noise(8192, 5), 65536);
    const second = await scenario.backUp();
    assert.equal(second.state, 'succeeded', JSON.stringify(second));
    assert.ok((second.figures?.readBytes ?? 0) < 2 ** 20, 'only what changed is read');
    assert.ok((await home.restore(first.recoveryPoint ?? '', 'web01_os')).equals(before));
    assert.ok((await home.restore(second.recoveryPoint ?? '', 'web01_os')).equals(await readImage(home, 'web01', 'os')));
    point = second.recoveryPoint ?? '';
  });

  it('fails with its cause, and leaves nothing behind', async () => {
    const job = await scenario.failingBackUp();
    assert.deepEqual([job.state, job.error?.code], ['failed', 'SNAPSHOT_FAILED'], JSON.stringify(job));
    await home.assertClean(1);
  });

  it('is cancelled in the middle', async () => {
    const job = await scenario.cancelledBackUp();
    assert.deepEqual([job.state, job.error?.code], ['cancelled', 'CANCELLED'], JSON.stringify(job));
  });

  it('restores to a disk, and fails a restore that Azure refuses', async () => {
    const restored = await scenario.restore(point);
    assert.equal(restored.state, 'succeeded', JSON.stringify(restored));
    await assertDiskIs(home, diskIdOf(home, 'back'), await readImage(home, 'web01', 'data'));
    const refused = await scenario.refusedRestore(point);
    assert.deepEqual([refused.state, refused.error?.code], ['failed', 'CLOUD_ACCESS_DENIED'], JSON.stringify(refused));
  });

  it('takes the machines of a policy, each in its lane', async () => {
    for (const vm of ['web02', 'web03']) await addVm(home.disksFolder, vm, { os: noise(65_536, 7) });
    await scenario.policy(['web02', 'web03'], () => host.recorder.executions.some(({ name, answer }) => name === 'runPolicy' && answer.isDone));
  });

  it('sends histories that the embedded host\'s interpreter replays, event by event', async () => {
    const orchestrators = new Orchestrators();
    const { executions } = host.recorder;
    assert.deepEqual([...new Set(executions.map(({ name }) => name))].sort(), ['backupDisk', 'backupRegion', 'backupVm', 'policyLane', 'restore', 'restoreDisk', 'restoreRegion', 'runPolicy']);
    for (const execution of executions) {
      assert.equal(await orchestrators.difference(execution), null);
      assert.equal(misunderstanding(execution), null);
    }
    if (process.env['HOLDFAST_RECORD'] === '1') {
      await mkdir(path.dirname(genuineFile), { recursive: true });
      await writeFile(genuineFile, goldenText({ story: 'genuine', about: 'Recorded from the genuine Durable extension: HOLDFAST_RECORD=1 npm run test:genuine', executions }, true));
    }
  });
});
