import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { JobView } from '../../functions/job-view';
import type { RestoreJobView } from '../../functions/restore-view';
import { AzuriteStorage } from '../../local/azurite-storage';
import { realClock } from '../../local/host/clock';
import { root } from '../docs/repository';
import { genuineFile, goldenText } from '../orchestrations/golden/fixture';
import { misunderstanding, Orchestrators } from '../orchestrations/golden/replay';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';
import { assertDiskIs, diskIdOf } from '../support/restores';
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

  before(async function () {
    const built = build();
    if ('missing' in built) {
      process.stderr.write(`Skipped: ${built.missing}\n`);
      return this.skip();
    }
    storage = await AzuriteStorage.start();
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: halfDisk(2, 2) }), { host: { clock: realClock } });
    host = await GenuineHost.start(home.services, storage.connectionString, built.program);
  });
  after(async () => {
    await host?.stop();
    await home?.dispose();
    await storage?.stop();
  });

  async function ended<T extends { readonly state: string }>(id: string): Promise<T> {
    for (;;) {
      const { body } = await host.json(`/api/jobs/${id}`);
      if (!['queued', 'running'].includes((body as T).state)) return body as T;
      await delay(500);
    }
  }
  const start = async (address: string, body: object = {}): Promise<string> => {
    const started = await host.json(address, { method: 'POST', body: JSON.stringify(body) });
    assert.equal(started.status, 202, JSON.stringify(started.body));
    return (started.body as { id: string }).id;
  };
  const backUp = async (): Promise<JobView> => ended<JobView>(await start('/api/items/web01/backups'));
  let point = '';

  it('backs a machine up, first whole and then what changed, and both restore byte for byte', async () => {
    const first = await backUp();
    assert.equal(first.state, 'succeeded', JSON.stringify(first));
    const before = await readImage(home, 'web01', 'os');
    await writeDisk(home, 'web01', 'os', noise(8192, 5), 65536);
    const second = await backUp();
    assert.equal(second.state, 'succeeded', JSON.stringify(second));
    assert.ok((second.figures?.readBytes ?? 0) < 2 ** 20, 'only what changed is read');
    assert.ok((await home.restore(first.recoveryPoint ?? '', 'web01_os')).equals(before));
    assert.ok((await home.restore(second.recoveryPoint ?? '', 'web01_os')).equals(await readImage(home, 'web01', 'os')));
    point = second.recoveryPoint ?? '';
  });

  it('fails with its cause, and leaves nothing behind', async () => {
    home.standIn.faults.add({ kind: 'failOperation', code: 'VMAgentNotReady', message: 'The VM agent does not answer.', path: '/restorePoints/' });
    const job = await backUp();
    assert.deepEqual([job.state, job.error?.code], ['failed', 'SNAPSHOT_FAILED'], JSON.stringify(job));
    await home.assertClean(1);
  });

  it('is cancelled in the middle', async () => {
    home.standIn.faults.add({ kind: 'stallCopy', percent: 30, looks: 1000, path: 'diskRestorePoints' });
    const id = await start('/api/items/web01/backups');
    while (((await host.json(`/api/jobs/${id}`)).body as JobView).phase !== 'snapshot') await delay(200);
    assert.equal((await host.json(`/api/jobs/${id}/cancel`, { method: 'POST' })).status, 202);
    const job = await ended<JobView>(id);
    home.standIn.faults.clear();
    assert.deepEqual([job.state, job.error?.code], ['cancelled', 'CANCELLED'], JSON.stringify(job));
  });

  it('restores to a disk, and fails a restore that Azure refuses', async () => {
    const restored = await ended<RestoreJobView>(await start(`/api/recovery-points/${point}/restores`, { id: 'good', target: { kind: 'disk', disk: 'web01_data', name: 'back' } }));
    assert.equal(restored.state, 'succeeded', JSON.stringify(restored));
    await assertDiskIs(home, diskIdOf(home, 'back'), await readImage(home, 'web01', 'data'));
    home.standIn.faults.add({ kind: 'respond', status: 403, code: 'AuthorizationFailed', message: 'no', times: 1000, method: 'PUT', path: '/disks/' });
    const refused = await ended<RestoreJobView>(await start(`/api/recovery-points/${point}/restores`, { id: 'bad', target: { kind: 'disk', disk: 'web01_data', name: 'again' } }));
    home.standIn.faults.clear();
    assert.deepEqual([refused.state, refused.error?.code], ['failed', 'CLOUD_ACCESS_DENIED'], JSON.stringify(refused));
  });

  it('takes the machines of a policy, each in its lane', async () => {
    for (const vm of ['web02', 'web03']) await addVm(home.disksFolder, vm, { os: noise(65_536, 7) });
    const put = await host.json('/api/policies/p', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, limits: { maxParallelVms: 2 } }) });
    assert.equal(put.status, 201, JSON.stringify(put.body));
    await host.runTimer('scheduler');
    const ofPolicy = async (): Promise<JobView[]> => ((await host.json('/api/jobs')).body as JobView[]).filter(({ itemName }) => /^web0[23]$/.test(itemName ?? ''));
    while ((await ofPolicy()).filter(({ state }) => state === 'succeeded').length < 2) await delay(500);
    while (!host.recorder.executions.some(({ name, answer }) => name === 'runPolicy' && answer.isDone)) await delay(200);
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
