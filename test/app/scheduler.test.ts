import assert from 'node:assert/strict';
import type { JobView } from '../../functions/job-view';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';

const KiB = 1024;
const HOUR_MS = 3_600_000;
const at = (day: number, hour: number, minute = 0): number => Date.UTC(2026, 9, day, hour, minute);

const nightly = { schedule: { daily: { at: ['02:00'] } }, items: { all: true } };
const put = async (home: Home, name: string, policy: object): Promise<void> => {
  const answer = await home.json(`/api/policies/${name}`, { method: 'PUT', body: JSON.stringify(policy) });
  assert.ok(answer.status < 300, answer.text);
};
const jobs = (home: Home): Promise<readonly JobView[]> => home.list<JobView>('/api/jobs');
const slots = async (home: Home): Promise<(string | null)[]> => (await home.points()).map(({ slot }) => slot);
const oneVm = (folder: string): Promise<void> => addVm(folder, 'web01', { os: noise(256 * KiB, 1) });

describe('the scheduler', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('3, 30: lives through a month of daily backups: one recovery point a slot, each restorable, little stored', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: noise(1024 * KiB, 1) }), { startMs: at(1, 0, 30), schedulerCron: '0 0 */2 * * *' });
    await put(home, 'nightly', nightly);
    const images: Buffer[] = [];
    for (let day = 1; day <= 31; day++) {
      await writeDisk(home, 'web01', 'os', noise(4 * KiB, 100 + day), day * 32 * KiB);
      images.push(await readImage(home, 'web01', 'os'));
      await home.host.advanceTo(at(day, 23));
    }
    const points = await home.points();
    assert.deepEqual(points.map(({ slot }) => slot), Array.from({ length: 31 }, (_, index) => new Date(at(index + 1, 2)).toISOString()));
    assert.deepEqual(points.map(({ sequence }) => sequence), points.map((_, index) => index + 1));
    for (const index of [0, 1, 15, 29, 30]) assert.ok((await home.restore(points[index]?.id ?? '')).equals(images[index] as Buffer), `recovery point ${index}`);
    const laterBytes = points.slice(1).reduce((sum, { stats }) => sum + stats.newBytes, 0);
    assert.ok(laterBytes < 31 * 256 * KiB, `${laterBytes} bytes were new in a month`);
    assert.ok(points.slice(1).every(({ disks }) => disks[0]?.mode === 'incremental'));
    await home.assertClean(1);
    assert.ok((await jobs(home)).every(({ state }) => state === 'succeeded'));
  });

  it('30: slots missed while nothing ran are caught up with the latest only', async () => {
    // A scheduler that looks once in five days is as good as an app that was down in between.
    home = await startHome(oneVm, { startMs: at(1, 0, 30), schedulerCron: '0 0 12 1,6,11 * *' });
    await put(home, 'nightly', { ...nightly, firstBackup: 'next-slot' });
    await home.host.advanceTo(at(12, 0));
    assert.deepEqual(await slots(home), [at(1, 2), at(6, 2), at(11, 2)].map((slot) => new Date(slot).toISOString()));
  });

  it('30: a doubled timer, also at the same moment, starts nothing twice', async () => {
    home = await startHome(oneVm, { startMs: at(1, 0, 30), schedulerCron: '0 0 3 * * *' });
    await put(home, 'nightly', nightly);
    await home.host.advanceTo(at(1, 4));
    await Promise.all([home.host.runTimer('scheduler'), home.host.runTimer('scheduler')]);
    await home.host.runTimer('scheduler');
    await home.host.advanceTo(at(1, 5));
    assert.deepEqual(await slots(home), [new Date(at(1, 2)).toISOString()]);
    assert.equal((await jobs(home)).length, 1);
  });

  it('backs a new machine up at once, and from then on with the others', async () => {
    home = await startHome(oneVm, { startMs: at(1, 0, 30), schedulerCron: '0 0 * * * *' });
    await put(home, 'nightly', nightly);
    await home.host.advanceTo(at(1, 5));
    await addVm(home.disksFolder, 'web02', { os: noise(64 * KiB, 5) });
    await home.host.advanceTo(at(1, 6, 30));
    const fresh = (await home.points()).filter(({ source }) => source.name === 'web02');
    assert.equal(fresh.length, 1, 'the new machine has a recovery point within the hour');
    assert.ok((await home.restore(fresh[0]?.id ?? '')).equals(await readImage(home, 'web02', 'os')));
    await home.host.advanceTo(at(2, 3));
    assert.equal((await home.points()).filter(({ source }) => source.name === 'web02').length, 2);
    assert.equal((await home.points()).filter(({ source }) => source.name === 'web01').length, 3);
    await home.assertClean(2);
  });

  it('does nothing for a policy that is disabled or deleted, and nothing for slots before a policy took effect', async () => {
    home = await startHome(oneVm, { startMs: at(1, 10, 30), schedulerCron: '0 0 * * * *' });
    await put(home, 'nightly', { ...nightly, firstBackup: 'next-slot' });
    await put(home, 'off', { ...nightly, schedule: { hourly: { every: 1 } }, enabled: false });
    await home.host.advanceTo(at(1, 23));
    assert.deepEqual(await slots(home), [], 'the slot of this morning is older than the policy');
    await home.host.advanceTo(at(2, 3, 30));
    assert.equal((await slots(home)).length, 1);
    await put(home, 'nightly', { ...nightly, firstBackup: 'next-slot', description: 'changed' });
    await home.host.advanceTo(at(2, 20));
    assert.equal((await slots(home)).length, 1, 'a change starts nothing');
    assert.equal((await home.json('/api/policies/nightly', { method: 'DELETE' })).status, 204);
    await home.host.advanceTo(at(4, 20));
    assert.equal((await slots(home)).length, 1);
  });

  it('keeps to maxParallelVms, and gets through all machines', async () => {
    home = await startHome(async (folder) => { for (let n = 1; n <= 5; n++) await addVm(folder, `vm${n}`, { os: noise(64 * KiB, n) }); }, { startMs: at(1, 0, 30), schedulerCron: '0 0 * * * *' });
    const running = new Set<string>();
    let most = 0;
    home.host.onStatusChange(({ name, instanceId, runtimeStatus }) => {
      if (name !== 'backupVm') return;
      if (['Pending', 'Running'].includes(runtimeStatus)) running.add(instanceId);
      else running.delete(instanceId);
      most = Math.max(most, running.size);
    });
    await put(home, 'nightly', { ...nightly, limits: { maxParallelVms: 2 } });
    await home.host.advanceTo(at(1, 1, 30));
    assert.equal(most, 2);
    assert.equal(new Set((await home.points()).map(({ itemId }) => itemId)).size, 5);
    await home.assertClean(5);
  });

  it('I3: two policies with a slot at the same moment make one recovery point of it; the other job is skipped, nothing fails', async () => {
    home = await startHome(oneVm, { startMs: at(1, 0, 30), schedulerCron: '0 0 * * * *' });
    await put(home, 'one', { ...nightly, firstBackup: 'next-slot' });
    await put(home, 'two', { ...nightly, firstBackup: 'next-slot' });
    await home.host.advanceTo(at(1, 5));
    assert.deepEqual(await slots(home), [new Date(at(1, 2)).toISOString()]);
    assert.deepEqual((await jobs(home)).map(({ state }) => state).sort(), ['skipped', 'succeeded']);
    for (const policy of ['one', 'two']) {
      const { output } = home.host.client.getStatus(`policy.${policy}.20261001T020000Z`);
      assert.equal((output as { failed: number }).failed, 0);
      assert.equal((output as { error: unknown }).error, null);
    }
    await home.assertClean(1);
  });

  it('32: a machine that cannot be backed up does not keep the others from it', async () => {
    home = await startHome(async (folder) => {
      await addVm(folder, 'a-bad', { os: halfDisk(2, 1) }, { disks: { 'os.img': { ephemeral: true } } });
      await addVm(folder, 'b-good', { os: noise(64 * KiB, 2) });
    }, { startMs: at(1, 0, 30), schedulerCron: '0 0 * * * *' });
    await put(home, 'nightly', { ...nightly, limits: { maxParallelVms: 1 } });
    await home.host.advanceTo(at(2, 3));
    assert.deepEqual((await home.points()).map(({ source }) => source.name), ['b-good', 'b-good', 'b-good']);
    const bad = (await jobs(home)).filter(({ itemId }) => itemId.startsWith('a-bad'));
    assert.ok(bad.length > 0 && bad.every(({ state, error }) => state === 'failed' && error?.code === 'NOTHING_TO_PROTECT'), JSON.stringify(bad));
  });

  it('32: a policy that cannot be read does not keep the others from running', async () => {
    home = await startHome(oneVm, { startMs: at(1, 0, 30), schedulerCron: '0 0 * * * *' });
    await home.vault.store.create('policies/broken/00000001.json', Buffer.from('{"name":"broken"'));
    await put(home, 'nightly', nightly);
    await home.host.advanceTo(at(1, 1, 30));
    assert.equal((await slots(home)).length, 1);
    assert.match(home.logs.join('\n'), /The policy broken cannot be read/);
    const listed = await home.list<{ name: string; damaged?: boolean }>('/api/policies');
    assert.deepEqual(listed.map(({ name, damaged }) => [name, damaged ?? false]), [['broken', true], ['nightly', false]]);
    assert.equal((await home.json('/api/items')).status, 200);
    assert.equal((await home.json('/api/policies/broken')).status, 400, 'asked for by name it says what is wrong');
    assert.equal((await home.json('/api/policies/broken', { method: 'DELETE' })).status, 204);
    assert.equal((await home.json('/api/policies/broken')).status, 404);
  });

  it('42: a slot whose machines cannot be listed for a while is not lost', async () => {
    home = await startHome(oneVm, { startMs: at(1, 0, 30), schedulerCron: '0 0 * * * *' });
    await put(home, 'nightly', { ...nightly, firstBackup: 'next-slot' });
    // Each look of the app is up to five requests: this lasts for a dozen looks.
    home.standIn.faults.add({ kind: 'respond', status: 503, path: '/virtualMachines$', times: 60 });
    await home.host.advanceTo(at(1, 12));
    assert.deepEqual(home.standIn.faults.unfired(), []);
    assert.deepEqual(await slots(home), [new Date(at(1, 2)).toISOString()]);
    assert.equal((home.host.client.getStatus('policy.nightly.20261001T020000Z').output as { committed: number }).committed, 1);
  });

  it('a lane that breaks off is told as an error, and the run of the policy ends', async () => {
    home = await startHome(oneVm, { startMs: at(1, 0, 30), schedulerCron: '0 0 12 * * *' });
    home.standIn.faults.add({ kind: 'stallCopy', percent: 1, looks: 5, path: 'diskRestorePoints' });
    await put(home, 'nightly', { ...nightly, firstBackup: 'next-slot' });
    const id = 'policy.nightly.20261001T020000Z';
    let ended = false;
    home.host.onStatusChange(({ instanceId, runtimeStatus }) => {
      if (ended || instanceId !== `${id}.p0.l0` || runtimeStatus !== 'Running') return;
      ended = true;
      home.host.client.terminate(instanceId, 'by hand');
    });
    await home.host.advanceTo(at(1, 13));
    await home.host.waitFor(id, { until: 'finished' });
    const { output, runtimeStatus } = home.host.client.getStatus(id);
    assert.equal(runtimeStatus, 'Completed');
    assert.equal((output as { error: { code: string } | null }).error?.code, 'INTERNAL');
    await home.host.advanceTo(at(1, 13) + HOUR_MS);
    await home.assertClean(1);
  });
});
