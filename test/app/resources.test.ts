import assert from 'node:assert/strict';
import { registerRoutes, type Route } from '../../functions/route';
import { routes } from '../../functions/routes';
import { addVm, halfDisk, type Home, HOME_TOKEN, readImage, type Reply, startHome } from '../support/home';

const MiB = 1024 * 1024;
const policy = { schedule: { daily: { at: ['02:00'] } }, items: { all: true } };

describe('the resources of the HTTP API', () => {
  let home: Home;
  const refusals: string[] = [];
  before(async () => {
    const startBackup = routes.find(({ id }) => id === 'startBackup') as Route;
    // The same route with an engine that carries a start out, and answers it with an error.
    const denied: Route = {
      ...startBackup, id: 'deniedBackup', path: 'denied/{item}/backups',
      handler: (call) => startBackup.handler({
        ...call,
        client: new Proxy(call.client, {
          get: (client, name) => name !== 'startNew' ? Reflect.get(client, name) as unknown : async (...start: Parameters<typeof client.startNew>) => {
            refusals.push(await client.startNew(...start));
            throw new Error('the engine says no');
          },
        }),
      }),
    };
    home = await startHome(async (folder) => {
      for (const name of ['db01', 'web01']) await addVm(folder, name, { os: halfDisk(2, 1) }, { tags: { env: name === 'db01' ? 'test' : 'prod' } });
    }, { alsoLoad: (services) => registerRoutes(services, [denied]) });
  });
  after(() => home.dispose());

  const send = (method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Reply> => home.json(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  const refused = async (answer: Promise<Reply>, status: number, code: string): Promise<void> => {
    const { status: got, body, text } = await answer;
    assert.deepEqual([got, (body as { code: string }).code], [status, code], text);
  };
  const policiesOf = async (item: string): Promise<readonly string[]> => ((await send('GET', `/api/items/${item}`)).body as { policies: string[] }).policies;

  it('a machine is put under a policy and taken out of it, over the revision that was looked at', async () => {
    await send('PUT', '/api/policies/some', { ...policy, items: { tags: { env: 'test' } } });
    assert.deepEqual(await policiesOf('web01'), []);
    await refused(send('PUT', '/api/items/web01/policies/some', undefined, { 'if-match': '"7"' }), 412, 'POLICY_CHANGED');
    const added = await send('PUT', '/api/items/web01/policies/some', undefined, { 'if-match': '"1"' });
    assert.deepEqual([added.status, added.headers.get('etag'), await policiesOf('web01')], [200, '"2"', ['some']]);
    const again = await send('PUT', '/api/items/web01/policies/some');
    assert.deepEqual([again.status, again.headers.get('etag')], [200, '"2"'], 'nothing to change is no revision');
    assert.equal((await send('DELETE', '/api/items/db01/policies/some')).status, 200);
    assert.deepEqual([await policiesOf('db01'), await policiesOf('web01')], [[], ['some']]);
    await send('PUT', '/api/policies/one', { ...policy, items: { resourceIds: (added.body as { items: { resourceIds: string[] } }).items.resourceIds } });
    await refused(send('DELETE', '/api/items/web01/policies/one'), 409, 'SELECTION_EMPTY');
    await send('PUT', '/api/policies/not-test', { ...policy, items: { all: true, excludeTags: { env: 'test' } } });
    await refused(send('PUT', '/api/items/db01/policies/not-test'), 409, 'SELECTION_BY_TAGS');
    await refused(send('PUT', '/api/items/nobody/policies/some'), 404, 'ITEM_NOT_FOUND');
    await refused(send('PUT', '/api/items/web01/policies/none'), 404, 'POLICY_NOT_FOUND');
    await refused(send('PUT', '/api/items/web01/policies/some', { items: {} }), 400, 'REQUEST_INVALID');
  });

  it('keys are listed and tried, and none is handed out', async () => {
    const { value } = (await send('GET', '/api/vault/keys')).body as { value: { keyId: string; type: string }[] };
    assert.deepEqual(value.map(({ type }) => type), ['key-file']);
    const { ok, tests } = (await send('POST', '/api/vault/keys/test')).body as { ok: boolean; tests: { keys: { keyId: string; outcome: string }[] }[] };
    assert.deepEqual([ok, tests[0]?.keys.map(({ keyId, outcome }) => [keyId, outcome])], [true, [[value[0]?.keyId, 'opens']]]);
  });

  it('restores stay after their jobs: listed, shown with their plan, cancelled', async () => {
    const { recoveryPoint } = await home.backUp('web01');
    const target = { kind: 'disk', name: 'back' };
    for (const id of ['first', 'second']) assert.equal((await send('POST', `/api/recovery-points/${recoveryPoint}/restores`, { id, target: { ...target, name: id } })).status, 202);
    const cancelled = await send('POST', '/api/restores/second/cancel');
    assert.deepEqual([cancelled.status, cancelled.headers.get('location')], [202, '/api/jobs/restore.second']);
    for (const id of ['first', 'second']) await home.host.waitFor(`restore.${id}`, { until: 'finished' });
    const listed = async (query: string): Promise<(string | null)[][]> =>
      (await home.list<{ id: string; state: string; reason: { code: string } | null }>(`/api/restores${query}`)).map(({ id, state, reason }) => [id, state, reason?.code ?? null]).sort();
    assert.deepEqual(await listed('?limit=1'), [['first', 'restored', null], ['second', 'abandoned', 'CANCELLED']]);
    assert.deepEqual(await listed('?state=restored&item=web01'), [['first', 'restored', null]]);
    assert.deepEqual(await listed('?state=open'), []);
    const shown = (await send('GET', '/api/restores/first')).body as { target: object; job: string; plan: { disks: { target: { id: string } }[] } };
    assert.deepEqual([shown.target, shown.job], [target.kind === 'disk' ? { ...target, name: 'first' } : null, '/api/jobs/restore.first']);
    assert.match(shown.plan.disks[0]?.target.id ?? '', /\/disks\/first$/);
    for (const [method, path] of [['GET', '/api/restores/none'], ['GET', '/api/restores/..%2F..%2Fkeys'], ['POST', '/api/restores/none/cancel']] as const) await refused(send(method, path), 404, 'RESTORE_NOT_FOUND');
  });

  it('a disk is read in parts by whoever opened it for export, byte for byte, and by nobody else', async () => {
    const { recoveryPoint } = await home.backUp('db01');
    const opened = await send('POST', `/api/recovery-points/${recoveryPoint}/exports`);
    const { location, sizeBytes, partBytes } = opened.body as { location: string; sizeBytes: number; partBytes: number };
    assert.deepEqual([opened.status, sizeBytes, partBytes], [201, 2 * MiB, 16 * MiB]);
    const image = await readImage(home, 'db01', 'os');
    const read = async (range?: string, from = location): Promise<{ status: number; bytes: Buffer; headers: Headers }> => {
      const response = await home.host.fetch(from, { headers: { authorization: `Bearer ${HOME_TOKEN}`, ...(range === undefined ? {} : { range }) } });
      return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()), headers: response.headers };
    };
    assert.ok((await read()).bytes.equals(image));
    for (const [first, last] of [[0, 0], [1, 4096], [4095, 4096], [MiB - 3, MiB + 5000], [2 * MiB - 1, 2 * MiB - 1]] as const) {
      const { status, bytes, headers } = await read(`bytes=${first}-${last}`);
      assert.deepEqual([status, headers.get('content-range'), bytes.equals(image.subarray(first, last + 1))], [206, `bytes ${first}-${last}/${sizeBytes}`, true]);
    }
    assert.ok((await read('bytes=100-')).bytes.equals(image.subarray(100)));
    for (const range of ['bytes=2097152-', 'bytes=5-4', 'bytes=0-1,3-4', 'bytes=-5', 'blocks=0-1']) assert.equal((await read(range)).status, 416, range);
    for (const forged of ['nothing', location.slice(13, -8).replace(/^./, 'A'), `${location.slice(13, -9)}A`]) assert.equal((await read(undefined, `/api/exports/${forged}/content`)).status, 404);
    await home.backUp('db01');
    assert.equal((await send('DELETE', `/api/recovery-points/${recoveryPoint}`)).status, 200);
    assert.equal((await read()).headers.get('content-type'), 'application/problem+json', 'what is in the bin is read no more');
    await send('POST', `/api/recovery-points/${recoveryPoint}/undelete`);
    assert.equal((await read()).status, 200);
    await home.host.advanceTo(home.clock.now() + 25 * 3_600_000);
    assert.equal((await read()).status, 404);
  });

  it('a backup gives up after ten starts that the engine denies, and tells no internals', async () => {
    const answer = await send('POST', '/api/denied/db01/backups');
    assert.deepEqual([answer.status, refusals.length, new Set(refusals).size], [500, 10, 10]);
    assert.doesNotMatch(answer.text, /engine says/);
    assert.match(home.logs.join('\n'), /the engine says no/);
  });
});
