import assert from 'node:assert/strict';
import { forgetRequests, REQUEST_KEPT_MS } from '../../activities/request-records';
import { registerApp } from '../../functions/app';
import type { JobView } from '../../functions/job-view';
import { createHost } from '../../local/host/host';
import { createFaultStore, type FaultStore } from '../support/fault-store';
import { addVm, halfDisk, type Home, HOME_TOKEN, type Reply, startHome } from '../support/home';

describe('an Idempotency-Key', () => {
  let home: Home;
  let store: FaultStore;
  beforeEach(async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { wrapStore: (plain) => (store = createFaultStore(plain)) });
  });
  afterEach(() => home.dispose());

  const post = (path: string, key: string, body?: object): Promise<Reply> => home.json(path, { method: 'POST', headers: { 'idempotency-key': key }, ...(body ? { body: JSON.stringify(body) } : {}) });
  const idOf = ({ status, body, text }: Reply): string => {
    assert.equal(status, 202, text);
    return (body as { id: string }).id;
  };
  const refused = ({ status, body, text }: Reply, expected: number, code: string): void => assert.deepEqual([status, (body as { code: string }).code], [expected, code], text);
  const jobs = async (): Promise<number> => (await home.list<JobView>('/api/jobs')).length;

  it('makes a repeat the same request: the same answer, and nothing is started again, though another backup would start', async () => {
    const first = await post('/api/items/web01/backups', 'a');
    await home.host.waitFor(idOf(first), { until: 'finished' });
    const again = await post('/api/items/web01/backups', 'a');
    assert.deepEqual([again.status, again.text, again.headers.get('location'), again.headers.get('idempotency-replayed')], [202, first.text, first.headers.get('location'), 'true']);
    assert.deepEqual([first.headers.get('idempotency-replayed'), await jobs()], [null, 1]);
    idOf(await post('/api/items/web01/backups', 'b'));
    assert.equal(await jobs(), 2);
  });

  it('makes two at once one', async () => {
    const ids = (await Promise.all([1, 2, 3].map(() => post('/api/items/web01/backups', 'same')))).map(idOf);
    assert.equal(new Set(ids).size, 1);
    assert.equal(await jobs(), 1);
    const scrubs = (await Promise.all([1, 2].map(() => post('/api/vault/scrubs', 'scrub', {})))).map(idOf);
    assert.equal(new Set(scrubs).size, 1);
  });

  it('is of one request: with another body, path or query it is refused, and one that is no key as well', async () => {
    idOf(await post('/api/items/web01/backups', 'a'));
    refused(await post('/api/items/web01/backups', 'a', { policy: 'nightly' }), 422, 'IDEMPOTENCY_KEY_REUSED');
    refused(await post('/api/vault/scrubs', 'a'), 422, 'IDEMPOTENCY_KEY_REUSED');
    for (const key of ['x'.repeat(65), 'a b', '../a', '']) refused(await post('/api/items/web01/backups', key), 400, 'REQUEST_INVALID');
    assert.equal(await jobs(), 1);
  });

  it('of a request that was refused tries it anew', async () => {
    refused(await post('/api/items/web01/backups', 'a', { policy: 'nightly' }), 404, 'POLICY_NOT_FOUND');
    await home.json('/api/policies/nightly', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true } }) });
    idOf(await post('/api/items/web01/backups', 'a', { policy: 'nightly' }));
  });

  it('holds after a restart that lost the state of the engine, since it lies in the vault', async () => {
    const first = await post('/api/items/web01/backups', 'a');
    const other = await createHost({ stateFolder: ':memory:', clock: home.clock, routePrefix: '', load: () => registerApp(home.services), log: () => undefined });
    await other.start();
    try {
      const again = await other.fetch('/api/items/web01/backups', { method: 'POST', headers: { 'idempotency-key': 'a', authorization: `Bearer ${HOME_TOKEN}` } });
      assert.deepEqual([again.status, await again.text()], [202, first.text]);
    } finally {
      await other.stop();
    }
  });

  it('makes two at once on two machines of the app one', async () => {
    const other = await createHost({ stateFolder: ':memory:', clock: home.clock, routePrefix: '', load: () => registerApp(home.services), log: () => undefined });
    await other.start();
    try {
      const asked = { method: 'POST', headers: { 'idempotency-key': 'both', authorization: `Bearer ${HOME_TOKEN}` } };
      const answers = await Promise.all([home.host, other].map(async (host) => (await host.fetch('/api/items/web01/backups', asked)).json() as Promise<{ id: string }>));
      assert.deepEqual(answers[0], answers[1]);
      const jobs = [home.host, other].flatMap((host) => host.client.list().filter(({ instanceId }) => instanceId === answers[0]?.id));
      assert.equal(jobs.length, 1, 'one of the two engines has it');
    } finally {
      await other.stop();
    }
  });

  it('of a request that broke off finds what it had started', async () => {
    for (const [path, key] of [['/api/items/web01/backups', 'backup'], ['/api/vault/scrubs', 'scrub'], ['/api/vault/sweeps', 'sweep'], ['/api/vault/maintenance', 'maintain']] as const) {
      store.plan({ operation: 'create', matching: /^requests\/.*\.answer$/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
      const before = home.host.client.list().length;
      refused(await post(path, key), 503, 'STORE_UNREACHABLE');
      const started = home.host.client.list().slice(0).map(({ instanceId }) => instanceId);
      assert.equal(started.length, before + 1, `${key} was started`);
      const again = await post(path, key);
      assert.equal(again.status, 202, again.text);
      assert.equal(home.host.client.list().filter(({ instanceId }) => !started.includes(instanceId) && !/\.d\d|\.r\d/.test(instanceId)).length, 0, `${key} was not started again`);
    }
    store.assertAllFired();
  });

  it('of a request whose app died can be asked again when that is sure, and is forgotten by maintenance after a week', async () => {
    store.plan({ operation: 'create', matching: /^requests\/.*\.answer$/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' }, times: 2 });
    refused(await post('/api/items/web01/backups', 'a'), 503, 'STORE_UNREACHABLE');
    await home.host.advanceTo(home.clock.now() + 11 * 60_000);
    const first = idOf(await post('/api/items/web01/backups', 'a'));
    assert.equal(await jobs(), 1);
    const { store: plain } = home.vault;
    const nowMs = await plain.serverTimeMs();
    assert.equal(await forgetRequests(home.vault, nowMs + REQUEST_KEPT_MS - 60_000), 0);
    assert.equal(await forgetRequests(home.vault, nowMs + REQUEST_KEPT_MS + 60_000), 3);
    assert.notEqual(idOf(await post('/api/items/web01/backups', 'a')), first);
    store.assertAllFired();
  });
});
