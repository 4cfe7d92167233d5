import assert from 'node:assert/strict';
import { catalogue, type ErrorCode } from '../../errors/catalogue';
import type { JobView } from '../../functions/job-view';
import { createFaultStore, createHold, type FaultStore } from '../support/fault-store';
import { addVm, halfDisk, type Home, noise, type Reply, startHome, writeDisk } from '../support/home';

const MiB = 1024 * 1024;
const policy = { schedule: { daily: { at: ['02:00'] } }, items: { all: true } };

/** Asserts problem details as RFC 9457 has them, of an error of the catalogue. */
function assertProblem(answer: Reply, code: ErrorCode): { detail: string; data: { fields?: string[] } } {
  const body = answer.body as { type: string; title: string; status: number; detail: string; code: string; remedy: string; data: { fields?: string[] } };
  assert.equal(body.code, code, answer.text);
  assert.equal(answer.status, catalogue[code].status);
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
  assert.deepEqual([body.type, body.title, body.status, body.remedy], [`/api/errors/${code}`, catalogue[code].title, answer.status, catalogue[code].remedy]);
  assert.ok(body.detail.length > 0);
  return body;
}

describe('the HTTP API', () => {
  let home: Home;
  before(async () => {
    home = await startHome(async (folder) => {
      await addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(MiB, 2) }, { tags: { env: 'prod' } });
      await addVm(folder, 'db01', { os: halfDisk(2, 3) });
    });
  });
  after(() => home.dispose());
  const send = (method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Reply> => home.json(path, { method, headers, ...(body === undefined ? {} : { body }) });

  it('lists items with what covers them, starts a backup with 202 and a Location, and shows job and recovery point', async () => {
    const before = await home.list<{ id: string; name: string; policies: string[]; recoveryPoints: number; latest: unknown }>('/api/items');
    assert.deepEqual(before.map(({ name, policies, recoveryPoints, latest }) => ({ name, policies, recoveryPoints, latest })),
      ['db01', 'web01'].map((name) => ({ name, policies: [], recoveryPoints: 0, latest: null })));
    const id = before[1]?.id ?? '';
    const started = await send('POST', `/api/items/${id}/backups`);
    assert.equal(started.status, 202);
    const jobId = (started.body as { id: string }).id;
    assert.equal(started.headers.get('location'), `/api/jobs/${jobId}`);
    await home.host.waitFor(jobId);
    const job = (await send('GET', started.headers.get('location') ?? '')).body as JobView;
    assert.deepEqual([job.state, job.itemId, job.itemName, job.phase, job.error], ['succeeded', id, 'web01', 'done', null]);
    assert.deepEqual([job.progress.percent, job.progress.disks, job.progress.disksDone, job.progress.bytesTotal], [100, 2, 2, 3 * MiB]);
    assert.equal(job.figures?.newBytes, 2 * MiB);
    const point = (await send('GET', `/api/recovery-points/${job.recoveryPoint}`)).body as { id: string; disks: { name: string }[]; source: { model: object } };
    assert.equal(point.id, job.recoveryPoint);
    assert.deepEqual(point.disks.map(({ name }) => name), ['web01_os', 'web01_data']);
    const listed = await home.list<{ id: string }>('/api/items/web01/recovery-points');
    assert.deepEqual(listed.map(({ id: one }) => one), [job.recoveryPoint]);
    const item = (await send('GET', '/api/items/web01')).body as { recoveryPoints: number; latest: { id: string } };
    assert.deepEqual([item.recoveryPoints, item.latest.id], [1, job.recoveryPoint]);
    const jobs = await home.list<JobView>('/api/jobs');
    assert.deepEqual(jobs.map((one) => one.id), [jobId]);
  });

  it('answers what there is not with 404 and the name that was asked for', async () => {
    assert.match(assertProblem(await send('GET', '/api/items/nobody'), 'ITEM_NOT_FOUND').detail, /"nobody"/);
    assertProblem(await send('POST', '/api/items/nobody/backups'), 'ITEM_NOT_FOUND');
    assertProblem(await send('GET', '/api/items/nobody/recovery-points'), 'ITEM_NOT_FOUND');
    assertProblem(await send('GET', '/api/recovery-points/nothing'), 'RECOVERY_POINT_NOT_FOUND');
    assertProblem(await send('GET', '/api/recovery-points/web01.20200101T000000Z'), 'RECOVERY_POINT_NOT_FOUND');
    for (const id of ['nothing', 'policy.nightly.first', 'backup.web01.20200101T000000Z', 'backup.web01.20200101T000000Z.d0', `backup.${'x'.repeat(500)}.y`]) {
      assertProblem(await send('GET', `/api/jobs/${id}`), 'JOB_NOT_FOUND');
      assertProblem(await send('POST', `/api/jobs/${id}/cancel`), 'JOB_NOT_FOUND');
    }
    assertProblem(await send('GET', '/api/policies/none'), 'POLICY_NOT_FOUND');
    assertProblem(await send('GET', '/api/policies/..%2Fitems'), 'POLICY_NOT_FOUND');
    assertProblem(await send('DELETE', '/api/policies/none'), 'POLICY_NOT_FOUND');
    assert.equal((await home.host.fetch('/api/nothing')).status, 404);
    assert.equal((await home.host.fetch('/api/items', { method: 'DELETE' })).status, 404);
  });

  it('refuses bodies that are wrong, and starts nothing', async () => {
    const count = home.host.client.list().length;
    assert.match(assertProblem(await send('POST', '/api/items/web01/backups', '{"policy":'), 'REQUEST_INVALID').detail, /not JSON/);
    assertProblem(await send('POST', '/api/items/web01/backups', '{"polcy":"nightly"}'), 'REQUEST_INVALID');
    assert.match(assertProblem(await send('POST', '/api/items/web01/backups', '{"policy":7}'), 'REQUEST_INVALID').data.fields?.join() ?? '', /policy/);
    assertProblem(await send('POST', '/api/items/web01/backups', '[]'), 'REQUEST_INVALID');
    assertProblem(await send('POST', '/api/items/web01/backups', '{"policy":"unknown"}'), 'POLICY_NOT_FOUND');
    assertProblem(await send('POST', '/api/items/web01/backups', `{"policy":"${'x'.repeat(70_000)}"}`), 'REQUEST_TOO_LARGE');
    assert.equal(home.host.client.list().length, count);
  });

  it('stores, changes and deletes policies, each against the revision it was based on', async () => {
    const created = await send('PUT', '/api/policies/nightly', JSON.stringify(policy), { 'if-none-match': '*' });
    assert.deepEqual([created.status, created.headers.get('etag')], [201, '"1"']);
    assertProblem(await send('PUT', '/api/policies/nightly', JSON.stringify(policy), { 'if-none-match': '*' }), 'POLICY_CHANGED');
    const shown = await send('GET', '/api/policies/nightly');
    assert.equal(shown.headers.get('etag'), '"1"');
    assert.deepEqual((shown.body as { nextSlots: string[] }).nextSlots.slice(0, 2), ['2026-11-24T02:00:00.000Z', '2026-11-25T02:00:00.000Z']);
    const changed = await send('PUT', '/api/policies/nightly', JSON.stringify({ ...policy, description: 'x' }), { 'if-match': '"1"' });
    assert.deepEqual([changed.status, changed.headers.get('etag')], [200, '"2"']);
    assertProblem(await send('PUT', '/api/policies/nightly', JSON.stringify(policy), { 'if-match': '"1"' }), 'POLICY_CHANGED');
    assertProblem(await send('DELETE', '/api/policies/nightly', undefined, { 'if-match': '"1"' }), 'POLICY_CHANGED');
    assertProblem(await send('PUT', '/api/policies/nightly', JSON.stringify(policy), { 'if-match': 'two' }), 'REQUEST_INVALID');
    const items = await home.list<{ policies: string[] }>('/api/items');
    assert.deepEqual(items.map(({ policies }) => policies), [['nightly'], ['nightly']]);
    assert.equal((await send('DELETE', '/api/policies/nightly', undefined, { 'if-match': '"2"' })).status, 204);
    assertProblem(await send('GET', '/api/policies/nightly'), 'POLICY_NOT_FOUND');
    assert.deepEqual(await home.list('/api/policies'), []);
  });

  it('names every wrong field of a policy and leaves the one in force as it is', async () => {
    await send('PUT', '/api/policies/daily', JSON.stringify(policy));
    const wrong = assertProblem(await send('PUT', '/api/policies/daily', JSON.stringify({ ...policy, schedule: { daily: { at: ['25:00'] } }, keepBse: 'none' })), 'POLICY_INVALID');
    assert.match(wrong.detail, /schedule\.daily\.at\[0\]/);
    assert.match(wrong.detail, /keepBse/);
    assertProblem(await send('PUT', '/api/policies/daily', JSON.stringify({ ...policy, name: 'other' })), 'REQUEST_INVALID');
    assertProblem(await send('PUT', '/api/policies/daily', 'no json'), 'REQUEST_INVALID');
    assertProblem(await send('PUT', '/api/policies/daily', '"text"'), 'POLICY_INVALID');
    assertProblem(await send('PUT', '/api/policies/daily', ''), 'POLICY_INVALID');
    assertProblem(await send('PUT', '/api/policies/Upper', JSON.stringify(policy)), 'POLICY_INVALID');
    assertProblem(await send('PUT', '/api/policies/daily', JSON.stringify({ ...policy, description: 'x'.repeat(70_000) })), 'REQUEST_TOO_LARGE');
    assert.equal((await send('GET', '/api/policies/daily')).headers.get('etag'), '"1"');
    await send('DELETE', '/api/policies/daily');
  });

  it('tells an item by its name only where one machine has it', async () => {
    const { id } = (await send('GET', '/api/items/db01')).body as { id: string };
    assert.equal(((await send('GET', `/api/items/${id}`)).body as { name: string }).name, 'db01');
  });

  it('a failure that nobody foresaw says no more than that it happened, and where to look', async () => {
    const broken = await startHome((folder) => addVm(folder, 'web01', { os: 4096 }), { openVault: () => Promise.reject(new TypeError('secret internals sig=abc')) });
    try {
      const answer = await broken.json('/api/items');
      assert.equal(answer.status, 500);
      assert.doesNotMatch(answer.text, /secret internals/);
      assert.match(broken.logs.join('\n'), /secret internals/);
      assert.doesNotMatch(broken.logs.join('\n'), /sig=abc/, 'nor does the log keep a signature');
      assert.match((answer.body as { detail: string }).detail, /log has it under/);
    } finally {
      await broken.dispose();
    }
  });
});

describe('what a running job tells', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('grows in percent and bytes while it runs, and never goes back', async () => {
    let store: FaultStore | undefined;
    home = await startHome((folder) => addVm(folder, 'web01', { os: 4 * 64 * MiB }), { wrapStore: (plain) => (store = createFaultStore(plain)) });
    await home.json('/api/policies/slow', { method: 'PUT', body: JSON.stringify({ ...policy, limits: { maxParallelTransfers: 1 } }) });
    for (let window = 0; window < 4; window++) await writeDisk(home, 'web01', 'os', noise(4096, window), window * 64 * MiB);
    // Its four windows are two slices: the job is looked at before either is recorded, before the second is, and before the commit.
    const holds = [/\/s0000$/, /\/s0002$/, /\/verdict$/].map((matching) => {
      const hold = createHold();
      store?.plan({ operation: 'create', matching, fault: { kind: 'hold', hold } });
      return hold;
    });
    const { id } = (await home.json('/api/items/web01/backups', { method: 'POST', body: '{"policy":"slow"}' })).body as { id: string };
    const finished = home.host.waitFor(id);
    const seen: JobView[] = [];
    for (const hold of holds) {
      await hold.reached;
      seen.push(await home.job(id));
      hold.release();
    }
    await finished;
    seen.push(await home.job(id));
    assert.deepEqual(seen.map(({ state, phase, progress: { percent, bytesDone, disksDone } }) => [state, phase, percent, bytesDone, disksDone]), [
      ['running', 'transfer', 0, 0, 0], ['running', 'transfer', 50, 2 * 64 * MiB, 0], ['running', 'commit', 100, 4 * 64 * MiB, 1], ['succeeded', 'done', 100, 4 * 64 * MiB, 1],
    ]);
    assert.equal(seen[3]?.progress.secondsLeft, 0);
  });

  it('I7, threat 9: no access signature in histories, statuses, answers or logs, whether the job succeeds or fails', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: noise(MiB, 1), data: noise(MiB, 2) }));
    const answers: string[] = [];
    const run = async (): Promise<void> => {
      const job = await home.backUp('web01');
      answers.push(JSON.stringify(job), (await home.json('/api/jobs')).text, (await home.json('/api/items/web01/recovery-points')).text);
    };
    await run();
    home.standIn.faults.add({ kind: 'expireAccess', path: 'abcd', times: 1000 });
    await run();
    home.standIn.faults.clear();
    for (const fault of [{ status: 403, code: 'AuthenticationFailed' }, { status: 500, code: 'InternalError' }, { status: 404, code: 'BlobNotFound' }]) {
      home.standIn.faults.add({ kind: 'respond', times: 1000, path: 'abcd', ...fault });
      await run();
      home.standIn.faults.clear();
    }
    home.standIn.faults.add({ kind: 'reset', times: 1000, path: 'abcd' });
    await run();
    home.standIn.faults.clear();
    const point = (await home.points())[0];
    answers.push((await home.json(`/api/recovery-points/${point?.id}`)).text, (await home.json('/api/jobs/backup.x.y')).text);
    const instances = home.host.client.list();
    const histories = instances.map(({ instanceId }) => JSON.stringify([home.host.client.getStatus(instanceId, { showHistory: true, showHistoryOutput: true }), home.host.client.history(instanceId)]));
    assert.ok(instances.length > 12);
    const documents: string[] = [JSON.stringify(await home.points())];
    for (const text of [...histories, ...answers, ...home.logs, ...documents]) {
      const at = text.search(/sig=|sv=20|\/disk\/[0-9a-f]{12}/i);
      assert.equal(at, -1, text.slice(Math.max(0, at - 100), at + 40));
    }
    assert.ok(answers.some((text) => text.includes('"failed"')), 'some of the jobs failed');
  });
});
