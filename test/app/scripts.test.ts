import assert from 'node:assert/strict';
import { VirtualClock } from '../../local/host/clock';
import type { Fault } from '../../local/azure/faults';
import { deeds, runCommands } from '../support/guest';
import { addVm, halfDisk, type Home, HOME_START_MS, startHome } from '../support/home';

const SCRIPTS = { pre: 'quiet-database\nsecret-of-script', post: 'wake-database', timeoutSeconds: 30 };
const PRE = 'quiet-database on web01';
const POST = 'wake-database on web01';

const web01 = (settings: object = {}) => (folder: string): Promise<void> => addVm(folder, 'web01', { os: halfDisk(2, 1), data: halfDisk(2, 2) }, { consistency: 'file-system', ...settings });
const plan = (home: Home, ...faults: Fault[]): void => faults.forEach((fault) => home.standIn.faults.add(fault));
const putPolicy = async (home: Home, changes: object = {}): Promise<void> => {
  const answer = await home.json('/api/policies/p', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, scripts: SCRIPTS, ...changes }) });
  assert.ok(answer.status < 300, answer.text);
};
const backUp = (home: Home) => home.backUp('web01', { policy: 'p' });

/** What was made in which order, by the requests that made it. */
const order = (home: Home): string[] => home.standIn.calls.matching('PUT', /\/(runCommands|restorePoints|snapshots)\/[^/]+$/).map(({ path }) => {
  const [kind, name] = path.split('/').slice(-2);
  return kind === 'runCommands' ? name?.split('-').at(-1) ?? '' : kind ?? '';
});

/** No command is left on the machine, and neither text nor output of a script came out of it. */
async function assertNothingLeft(home: Home, bases: number): Promise<void> {
  assert.deepEqual(await runCommands(home), [], 'run commands that were left');
  await home.assertClean(bases);
  const histories = home.host.client.list().map(({ instanceId }) => JSON.stringify(home.host.client.history(instanceId)));
  for (const text of [...histories, ...home.logs]) assert.doesNotMatch(text, /secret-of-script|wake-database/);
}

describe('scripts around the snapshot', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('make a file-system-consistent restore point an application-consistent one, run before and after it', async () => {
    home = await startHome(web01());
    await putPolicy(home, { onWeakerConsistency: 'fail' });
    const job = await backUp(home);
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.deepEqual((await home.points()).map(({ consistency, warnings }) => [consistency, warnings]), [['application', []]]);
    assert.deepEqual(order(home), ['pre', 'restorePoints', 'post']);
    assert.deepEqual(await deeds(home), [PRE, POST]);
    await assertNothingLeft(home, 1);
  });

  it('27: hold snapshots disk by disk together', async () => {
    home = await startHome(web01());
    await putPolicy(home, { driver: 'diskSnapshot' });
    assert.equal((await backUp(home)).state, 'succeeded');
    assert.deepEqual((await home.points()).map(({ consistency }) => consistency), ['application']);
    assert.deepEqual(order(home), ['pre', 'snapshots', 'snapshots', 'post']);
    await assertNothingLeft(home, 2);
  });

  it('26: let go as soon as the snapshot is taken, while it is still being copied', async () => {
    home = await startHome(web01());
    await putPolicy(home);
    plan(home, { kind: 'stallCopy', percent: 40, looks: 40, path: 'diskRestorePoints' });
    const { id } = (await home.json('/api/items/web01/backups', { method: 'POST', body: JSON.stringify({ policy: 'p' }) })).body as { id: string };
    await home.host.waitFor(id, { until: ({ customStatus }) => (customStatus as { snapshotPercent: number | null } | null)?.snapshotPercent === 40 });
    assert.deepEqual(await deeds(home), [PRE, POST]);
    await home.host.waitFor(id, { until: 'finished' });
    assert.deepEqual((await home.points()).map(({ consistency }) => consistency), ['application']);
    await assertNothingLeft(home, 1);
  });

  for (const [what, fault, words] of [['ends with an error', 'scriptFailed', /ended with 1/], ['takes too long', 'scriptTimeout', /took too long/], ['never answers', 'neverAnswers', /did not end within 30/], ['meets no agent', 'agentNotReady', /agent/]] as const) {
    for (const which of ['pre', 'post'] as const) {
      it(`a ${which}-script that ${what} leaves the snapshot what it is without, or fails the run, as the policy says`, async () => {
        home = await startHome(web01());
        await putPolicy(home);
        plan(home, { kind: 'guest', outcome: fault, path: `-${which}$` });
        const job = await backUp(home);
        assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
        const [point] = await home.points();
        assert.equal(point?.consistency, 'file-system');
        assert.match(point?.warnings.join('\n') ?? '', words);
        assert.match(point?.warnings.join('\n') ?? '', new RegExp(`The ${which}-script on web01 failed`));
        assert.ok(order(home).includes('post'), 'the post-script is run whatever happened');
        await assertNothingLeft(home, 1);

        await putPolicy(home, { scripts: { ...SCRIPTS, onFailure: 'fail' } });
        plan(home, { kind: 'guest', outcome: fault, path: `-${which}$` });
        const failed = await backUp(home);
        assert.deepEqual([failed.state, failed.error?.code], ['failed', 'GUEST_SCRIPT_FAILED']);
        assert.equal(order(home).filter((name) => name === 'post').length, 2);
        assert.deepEqual(home.standIn.faults.unfired(), []);
        await assertNothingLeft(home, 1);
      });
    }
  }

  it('let go when the snapshot fails', async () => {
    home = await startHome(web01());
    await putPolicy(home);
    plan(home, { kind: 'failOperation', code: 'InternalError', message: 'no', path: '/restorePoints/' });
    assert.equal((await backUp(home)).error?.code, 'SNAPSHOT_FAILED');
    assert.deepEqual(await deeds(home), [PRE, POST]);
    await assertNothingLeft(home, 0);
  });

  it('let go when the snapshot is not taken in five minutes, and it counts for less then', async () => {
    home = await startHome(web01());
    await putPolicy(home);
    plan(home, { kind: 'respond', status: 404, code: 'ResourceNotFound', method: 'GET', path: '/restorePoints/hf-[^/]+$', times: 75 });
    assert.equal((await backUp(home)).state, 'succeeded');
    const [point] = await home.points();
    assert.equal(point?.consistency, 'file-system');
    assert.match(point?.warnings.join('\n') ?? '', /not taken while the pre-script held/);
    await assertNothingLeft(home, 1);
  });

  it('a cancel while the pre-script runs lets go, and leaves nothing', async () => {
    home = await startHome(web01());
    await putPolicy(home);
    plan(home, { kind: 'guest', outcome: 'neverAnswers', path: '-pre$' });
    const { id } = (await home.json('/api/items/web01/backups', { method: 'POST', body: JSON.stringify({ policy: 'p' }) })).body as { id: string };
    await home.host.waitFor(id, { until: ({ customStatus }) => (customStatus as { phase?: string } | null)?.phase === 'snapshot' });
    assert.equal((await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' })).status, 202);
    await home.host.waitFor(id, { until: 'finished' });
    assert.equal((await home.job(id)).error?.code, 'CANCELLED');
    assert.ok((await deeds(home)).length === 0 || (await deeds(home)).includes(POST), JSON.stringify(await deeds(home)));
    await assertNothingLeft(home, 0);
  });

  it('35: what an orchestration that died left held is let go by the item\'s next run, before its own pre-script', async () => {
    home = await startHome(web01());
    await putPolicy(home);
    plan(home, { kind: 'guest', outcome: 'neverAnswers', path: '-pre$' });
    const { id } = (await home.json('/api/items/web01/backups', { method: 'POST', body: JSON.stringify({ policy: 'p' }) })).body as { id: string };
    await home.host.waitFor(id, { until: () => home.standIn.calls.matching('PUT', /-1-pre$/).length > 0 });
    home.host.client.terminate(id, 'the task hub was wiped');
    await home.host.settle();
    assert.deepEqual(await deeds(home), [PRE], 'nobody let go');
    home.standIn.faults.clear();
    const next = await backUp(home);
    assert.equal(next.state, 'succeeded', JSON.stringify(next.error));
    assert.deepEqual(await deeds(home), [PRE, POST, PRE, POST]);
    assert.deepEqual((await home.points()).map(({ consistency }) => consistency), ['application']);
    await assertNothingLeft(home, 1);
  });

  it('1, 8: commands whose answers were lost are adopted, not begun twice', async () => {
    home = await startHome(web01());
    await putPolicy(home);
    plan(home, { kind: 'loseAnswer', method: 'PUT', path: '/runCommands/', times: 2 });
    assert.equal((await backUp(home)).state, 'succeeded');
    assert.deepEqual(home.standIn.faults.unfired(), []);
    assert.deepEqual(await deeds(home), [PRE, POST]);
    await assertNothingLeft(home, 1);
  });

  for (const [title, chaos] of [['5: every step twice', { seed: 1, runEveryActivityTwice: true }], ['6: every step twice at once', { seed: 2, duplicateActivity: 1 }], ['4, 45: crashes', { seed: 4, crashBeforeCommit: 0.1, delay: 0.2 }]] as const) {
    it(`${title}: each script is run once for a run`, async () => {
      home = await startHome(web01(), { host: { chaos, clock: new VirtualClock(HOME_START_MS) } });
      await putPolicy(home);
      for (const round of [1, 2]) {
        const job = await backUp(home);
        assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
        await home.host.settle();
        assert.deepEqual(await deeds(home), Array.from({ length: round }, () => [PRE, POST]).flat());
        await assertNothingLeft(home, 1);
      }
      assert.deepEqual((await home.points()).map(({ consistency }) => consistency), ['application', 'application']);
    });
  }

  it('are not run on Windows, which has VSS, nor where the snapshot extension has its own', async () => {
    home = await startHome(async (folder) => {
      await addVm(folder, 'web01', { os: halfDisk(2, 1) }, { consistency: 'application', osType: 'Windows' });
      await addVm(folder, 'old01', { os: halfDisk(2, 1) }, { consistency: 'file-system', unmanaged: true });
    });
    await putPolicy(home);
    await backUp(home);
    await home.backUp('old01', { policy: 'p' });
    assert.deepEqual(order(home), ['restorePoints']);
    assert.deepEqual((await home.points()).map(({ consistency, warnings }) => [consistency, warnings.length]), [['file-system', 1], ['application', 0]]);
  });

  it('and crash consistency do not go together', async () => {
    home = await startHome(web01());
    const answer = await home.json('/api/policies/p', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, scripts: SCRIPTS, consistency: 'crash' }) });
    assert.equal(answer.status, 400);
    assert.match(answer.text, /scripts make a machine consistent/);
  });
});
