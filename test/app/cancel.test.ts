import assert from 'node:assert/strict';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';

/** Every step asks for the vault first: that is where a cancel comes in between. */
interface Boundary { cancelAt: number; steps: number; jobId: string; answer: number | null }

async function startCancellingHome(disks: Record<string, Buffer>): Promise<{ home: Home; boundary: Boundary }> {
  const boundary: Boundary = { cancelAt: 0, steps: 0, jobId: '', answer: null };
  let cancelling = false;
  const home: Home = await startHome((folder) => addVm(folder, 'web01', disks), {
    schedulerCron: '0 0 0 1 1 *',
    openVault: async (store) => {
      if (boundary.jobId !== '' && !cancelling && ++boundary.steps === boundary.cancelAt) {
        cancelling = true;
        boundary.answer = (await home.json(`/api/jobs/${boundary.jobId}/cancel`, { method: 'POST' })).status;
        cancelling = false;
      }
      return { ...home.vault, store };
    },
  });
  return { home, boundary };
}

describe('a job that is cancelled', () => {
  let home: Home;
  afterEach(() => home.dispose());

  for (const [driver, keepBase, bases] of [['restorePoint', 'newest', 1], ['diskSnapshot', 'none', 0]] as const) {
    it(`faults 4, 7: before each of its steps (${driver}, base ${keepBase}): nothing visible, nothing left but the base, and the next backup works`, async () => {
      const disks: Record<string, Buffer> = driver === 'restorePoint' ? { os: halfDisk(1, 1), data: halfDisk(1, 2) } : { os: halfDisk(1, 1) };
      const started = await startCancellingHome(disks);
      home = started.home;
      const { boundary } = started;
      await home.json('/api/policies/p', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, driver, keepBase }) });
      assert.equal((await home.backUp('web01', { policy: 'p' })).state, 'succeeded');
      await home.assertClean(bases);
      const seen = { cancelled: 0, sealed: 0 };
      let points = 1;
      for (let at = 1; ; at++) {
        await writeDisk(home, 'web01', 'os', noise(4096, at), (at % 32) * 8192);
        const { id } = (await home.json('/api/items/web01/backups', { method: 'POST', body: JSON.stringify({ policy: 'p' }) })).body as { id: string };
        Object.assign(boundary, { cancelAt: at, steps: 0, jobId: id, answer: null });
        await home.host.waitFor(id, { until: 'finished' });
        boundary.jobId = '';
        const job = await home.job(id);
        if (job.state === 'succeeded') points++;
        else assert.deepEqual([job.state, job.error?.code], ['cancelled', 'CANCELLED'], `step ${at}: ${JSON.stringify(job)}`);
        assert.equal(boundary.answer === 202, job.state === 'cancelled', `step ${at}: the answer ${boundary.answer} and the end ${job.state} agree`);
        if (boundary.answer === 202) seen.cancelled++;
        if (boundary.answer !== null && boundary.answer !== 202) seen.sealed++;
        assert.equal((await home.points()).length, points, `step ${at}`);
        await home.assertClean(bases);
        if (boundary.answer === null) break;
      }
      assert.ok(seen.cancelled >= 10, `${seen.cancelled} steps could be cancelled`);
      assert.ok(seen.sealed >= 2, 'the opening and what comes after the seal refuse');
      const last = (await home.points()).at(-1);
      for (const disk of Object.keys(disks)) assert.ok((await home.restore(last?.id ?? '', `web01_${disk}`)).equals(await readImage(home, 'web01', disk)));
      assert.equal(last?.disks[0]?.mode, keepBase === 'newest' ? 'incremental' : 'compared', 'the base outlived every cancel');
    });
  }
});
