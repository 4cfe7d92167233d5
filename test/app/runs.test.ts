import assert from 'node:assert/strict';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';

const MiB = 1024 * 1024;
const putPolicy = (home: Home, name: string, changes: object): Promise<unknown> =>
  home.json(`/api/policies/${name}`, { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, ...changes }) });
const start = async (home: Home, item = 'web01'): Promise<string> => ((await home.json(`/api/items/${item}/backups`, { method: 'POST' })).body as { id: string }).id;
const phaseIs = (phase: string) => ({ customStatus }: { customStatus: unknown }): boolean => (customStatus as { phase?: string } | null)?.phase === phase;

describe('runs of one item', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('9: two at once: the second is told which one is under way', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    const ids = await Promise.all([start(home), start(home), start(home)]);
    assert.equal(new Set(ids).size, 3, 'three requests in one millisecond are three jobs');
    for (const id of ids) await home.host.waitFor(id, { until: 'finished' });
    const jobs = await Promise.all(ids.map((id) => home.job(id)));
    assert.deepEqual(jobs.map(({ state }) => state).sort(), ['failed', 'failed', 'succeeded']);
    for (const { error } of jobs.filter(({ state }) => state === 'failed')) {
      assert.equal(error?.code, 'RUN_IN_PROGRESS');
      assert.match(error?.message ?? '', /being backed up since/);
    }
    assert.equal((await home.points()).length, 1);
    await home.assertClean(1);
  });

  it('a job that is cancelled during the snapshot or the transfer ends as cancelled, and leaves nothing behind', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: noise(2 * MiB, 1) }));
    for (const phase of ['snapshot', 'transfer']) {
      home.standIn.faults.clear();
      if (phase === 'snapshot') home.standIn.faults.add({ kind: 'stallCopy', percent: 30, looks: 50, path: 'diskRestorePoints' });
      // The first read of the disk is refused, so that the transfer waits for its retry while the job is cancelled.
      else home.standIn.faults.add({ kind: 'respond', status: 503, times: 8, path: 'abcd\\?comp=pagelist' });
      const id = await start(home);
      await home.host.waitFor(id, { until: phaseIs(phase) });
      const cancelled = await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' });
      assert.equal(cancelled.status, 202, cancelled.text);
      assert.equal(cancelled.headers.get('location'), `/api/jobs/${id}`);
      await home.host.waitFor(id, { until: 'finished' });
      const job = await home.job(id);
      assert.equal(job.state, 'cancelled');
      assert.equal(job.error?.code, 'CANCELLED');
      assert.deepEqual(await home.points(), []);
      await home.assertClean(0);
      const again = await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' });
      assert.equal(again.status, 400, 'what is over cannot be cancelled');
    }
    home.standIn.faults.clear();
    assert.equal((await home.backUp('web01')).state, 'succeeded');
  });

  it('34: a run that takes longer than its policy allows is stopped, says so, and is cleaned up', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    await putPolicy(home, 'short', { maxRunHours: 1 });
    home.standIn.faults.add({ kind: 'stallCopy', percent: 30, looks: 1_000_000, path: 'diskRestorePoints' });
    const startedMs = home.clock.now();
    const job = await home.backUp('web01', { policy: 'short' });
    assert.equal(job.state, 'failed');
    assert.equal(job.error?.code, 'RUN_ABANDONED');
    assert.match(job.error?.message ?? '', /time was over/);
    assert.ok(home.clock.now() - startedMs < 2 * 3_600_000);
    await home.assertClean(0);
  });

  it('35: a run whose orchestration ended without closing it does not hold the item up; the next one cleans up after it', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    const id = await start(home);
    await home.host.waitFor(id, { until: phaseIs('transfer') });
    home.host.client.terminate(id, 'lost');
    await home.host.waitFor(id, { until: 'finished' });
    assert.equal((await home.job(id)).state, 'failed');
    const next = await home.backUp('web01');
    assert.equal(next.state, 'succeeded', JSON.stringify(next.error));
    assert.equal((await home.points()).length, 1);
    await home.assertClean(1);
  });

  it('disks that no driver can take are named in warnings; the others are backed up', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), shared: 1 * MiB, sectors: 1 * MiB, data: halfDisk(2, 2) },
      { disks: { 'shared.img': { maxShares: 2 }, 'sectors.img': { logicalSectorSize: 4096 } } }));
    const job = await home.backUp('web01');
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.match(job.warnings.join('\n'), /web01_shared is not protected: it is shared/);
    assert.match(job.warnings.join('\n'), /web01_sectors is not protected: it has sectors of 4096/);
    const [point] = await home.points();
    assert.deepEqual(point?.disks.map(({ name }) => name).sort(), ['web01_data', 'web01_os']);
    assert.match((point?.warnings ?? []).join(), /shared/, 'the recovery point says it too');
    assert.ok((await home.restore(point?.id ?? '', 'web01_data')).equals(await readImage(home, 'web01', 'data')));
  });

  it('a machine without any disk that can be protected fails with the reason for each', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: 1 * MiB }, { disks: { 'os.img': { ephemeral: true } } }));
    await putPolicy(home, 'none', { excludeDisks: [{ lun: 0 }] });
    const job = await home.backUp('web01', { policy: 'none' });
    assert.equal(job.error?.code, 'NOTHING_TO_PROTECT');
    assert.match(job.error?.message ?? '', /web01_os: it is ephemeral.*web01_data: excluded by the policy/);
    await home.assertClean(0);
  });

  it('a policy that wants more than crash consistency and does not accept less fails, and is cleaned up', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    await putPolicy(home, 'strict', { onWeakerConsistency: 'fail' });
    const job = await home.backUp('web01', { policy: 'strict' });
    assert.equal(job.error?.code, 'CONSISTENCY_NOT_REACHED');
    await home.assertClean(0);
    assert.deepEqual(await home.points(), []);
  });

  it('21: a disk that is added is covered from the next run on, and one that is removed is not missed', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    await home.backUp('web01');
    await addVm(home.disksFolder, 'web01', { extra: noise(MiB, 3) });
    await writeDisk(home, 'web01', 'os', noise(4096, 4), 0);
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    const point = (await home.points()).at(-1);
    assert.deepEqual(point?.disks.map(({ mode }) => mode), ['incremental', 'full']);
    assert.ok((await home.restore(point?.id ?? '', 'web01_extra')).equals(await readImage(home, 'web01', 'extra')));
    await home.assertClean(1);
  });
});
