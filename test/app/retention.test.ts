import assert from 'node:assert/strict';
import { addVm, halfDisk, type Home, HOME_START_MS, startHome } from '../support/home';
import { DAY_MS, everyDay, storePoints } from '../support/retention-kit';

const POLICY = { schedule: { daily: { at: ['02:00'] } }, items: { resourceIds: ['/subscriptions/0f0e0d0c-1111-2222-3333-444455556666/resourceGroups/x/providers/Microsoft.Compute/virtualMachines/none'] } };
interface Problem { readonly code: string; readonly detail: string; readonly remedy: string; readonly data: Readonly<Record<string, unknown>> }

describe('retention over HTTP', () => {
  let home: Home;
  let ids: string[];
  const put = (body: object, query = '') => home.json(`/api/policies/nightly${query}`, { method: 'PUT', body: JSON.stringify({ ...POLICY, ...body }) });
  const send = (method: string, address: string, body?: object) => home.json(address, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
  const refused = async (reply: Promise<{ status: number; body: unknown }>, status: number, code: string): Promise<Problem> => {
    const { status: got, body } = await reply;
    const problem = body as Problem;
    assert.deepEqual([got, problem.code], [status, code], JSON.stringify(body));
    return problem;
  };
  const listed = async (query = ''): Promise<string[]> => (await home.list<{ id: string; state: string }>(`/api/items/web01/recovery-points${query}`)).map(({ id, state }) => `${ids.indexOf(id)} ${state}`);

  beforeEach(async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { schedulerCron: '0 0 0 1 1 *' });
    const items = await home.list<{ id: string }>('/api/items');
    ids = await storePoints(home.vault, items[0]?.id ?? '', everyDay(HOME_START_MS - DAY_MS, 6));
    assert.equal((await put({ retention: { keepLast: 6 } })).status, 201);
  });
  afterEach(() => home.dispose());

  it('shows for each recovery point what keeps it; applies it on request', async () => {
    const { data } = await refused(put({ retention: { keepLast: 4 } }), 409, 'CONFIRMATION_NEEDED');
    assert.equal((await put({ retention: { keepLast: 4 } }, `?confirm=${String(data.confirm)}`)).status, 200);
    const other = (await send('POST', '/api/policies/nightly/retention-preview?item=web01', { ...POLICY, retention: { keepLast: 1 } })).body as { goes: string[]; points: unknown[] };
    assert.deepEqual([other.goes.length, other.points.length], [5, 6]);
    const plan = (await home.json('/api/items/web01/retention')).body as { goes: string[]; points: { id: string; keeps: { rule: string; until: string }[] }[] };
    assert.deepEqual(plan.goes, ids.slice(0, 2));
    assert.deepEqual(plan.points.map(({ keeps }) => keeps.map(({ rule }) => rule).join()), ['', '', 'keepLast', 'keepLast', 'keepLast', 'last-good,keepLast']);
    const applied = await send('POST', '/api/items/web01/retention');
    assert.deepEqual([applied.status, (applied.body as { binned: string[] }).binned], [200, ids.slice(0, 2)]);
    assert.deepEqual(await listed(), ['5 live', '4 live', '3 live', '2 live']);
    assert.deepEqual(await listed('?state=all'), ['5 live', '4 live', '3 live', '2 live', '1 binned', '0 binned']);
    await refused(send('POST', '/api/items/web01/retention', { aprove: 'x' }), 400, 'REQUEST_INVALID');
    await refused(send('GET', '/api/items/nobody/retention'), 404, 'ITEM_NOT_FOUND');
  });

  it('refuses a policy that keeps less until exactly that is confirmed; a preview stores nothing; deleting and disabling need no confirmation', async () => {
    const preview = await send('POST', '/api/policies/nightly/retention-preview', { ...POLICY, retention: { keepLast: 1 } });
    const change = preview.body as { less: string[]; token: string; items: { goes: string[]; kept: number }[] };
    assert.deepEqual([preview.status, change.less, change.items[0]?.goes.length, change.items[0]?.kept], [200, ['keepLast: 6 → 1'], 5, 1]);
    const problem = await refused(put({ retention: { keepLast: 1 } }), 409, 'CONFIRMATION_NEEDED');
    assert.match(problem.detail, /promises less \(keepLast: 6 → 1\) and would let 5 recovery points of 1 items go/);
    assert.deepEqual([problem.data.confirm, problem.data.goes, problem.data.ids], [change.token, 5, ids.slice(0, 5)]);
    await refused(put({ retention: { keepLast: 2 } }, `?confirm=${change.token}`), 409, 'CONFIRMATION_NEEDED');
    assert.equal(((await home.json('/api/policies/nightly')).body as { revision: number }).revision, 1);
    assert.equal((await put({ retention: { keepLast: 1 } }, `?confirm=${change.token}`)).status, 200);
    assert.equal((await put({ retention: { keepLast: 1 }, enabled: false })).status, 200);
    assert.deepEqual(((await home.json('/api/items/web01/retention')).body as { goes: string[] }).goes, []);
    assert.equal((await send('DELETE', '/api/policies/nightly')).status, 204);
    await refused(put({ retention: { keepLast: 1 } }), 409, 'CONFIRMATION_NEEDED');
    await refused(send('POST', '/api/policies/nightly/retention-preview', { ...POLICY, retention: {} }), 400, 'POLICY_INVALID');
  });

  it('deletes into the bin and back; what is held, unknown or the last is refused', async () => {
    const at = (index: number, rest = ''): string => `/api/recovery-points/${ids[index]}${rest}`;
    assert.equal(((await send('DELETE', `${at(0)}?dryRun=true`)).body as { state: string }).state, 'live');
    const gone = (await send('DELETE', at(0))).body as { state: string; binUntil: string };
    assert.deepEqual([gone.state, gone.binUntil], ['binned', new Date(HOME_START_MS + 14 * DAY_MS).toISOString()]);
    assert.equal(((await home.json(at(0))).body as { state: string }).state, 'binned');
    assert.equal(((await send('POST', at(0, '/undelete'))).body as { state: string }).state, 'live');
    await refused(send('POST', at(1, '/holds'), {}), 400, 'REQUEST_INVALID');
    await refused(send('POST', at(1, '/holds'), { label: '\n' }), 400, 'REQUEST_INVALID');
    assert.equal(((await send('POST', at(1, '/holds'), { label: 'case 7' })).body as { held: boolean }).held, true);
    await refused(send('DELETE', at(1)), 409, 'RECOVERY_POINT_HELD');
    await refused(send('DELETE', at(1, '/holds')), 400, 'REQUEST_INVALID');
    await refused(send('DELETE', at(1, '/holds?label=case%207')), 409, 'CONFIRMATION_NEEDED');
    await refused(send('DELETE', at(1, '/holds?label=case%208&confirm=case%208')), 404, 'HOLD_NOT_FOUND');
    assert.equal(((await send('DELETE', at(1, '/holds?label=case%207&confirm=case%207'))).body as { held: boolean }).held, false);
    for (const [method, rest] of [['DELETE', ''], ['POST', '/undelete']] as const) {
      await refused(send(method, `/api/recovery-points/web01.20200101T000000Z${rest}`), 404, 'RECOVERY_POINT_NOT_FOUND');
      await refused(send(method, `/api/recovery-points/nonsense${rest}`), 404, 'RECOVERY_POINT_NOT_FOUND');
    }
    for (const index of [0, 1, 2, 3, 4]) assert.equal((await send('DELETE', at(index))).status, 200);
    await refused(send('DELETE', at(5)), 409, 'LAST_RECOVERY_POINT');
  });
});

describe('fault 29: a clock that is wrong by over five minutes', () => {
  it('retention and deletion refuse, and backups go on', async () => {
    let offMs = 0;
    const home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), {
      schedulerCron: '0 0 0 1 1 *', wrapStore: (store) => Object.assign(Object.create(store) as typeof store, {
        create: store.create.bind(store), read: store.read.bind(store), stat: store.stat.bind(store), list: store.list.bind(store), delete: store.delete.bind(store),
        serverTimeMs: async () => await store.serverTimeMs() + offMs,
      }),
    });
    try {
      const first = await home.backUp('web01');
      assert.equal(first.state, 'succeeded', JSON.stringify(first));
      for (offMs of [6 * 60_000, -6 * 60_000]) {
        const before = (await home.points()).length;
        for (const [method, address] of [['POST', '/api/items/web01/retention'], ['DELETE', `/api/recovery-points/${(await home.points())[0]?.id}`]] as const) {
          const { status, body } = await home.json(address, { method });
          assert.deepEqual([status, (body as Problem).code], [409, 'CLOCK_WRONG']);
        }
        assert.equal((await home.backUp('web01')).state, 'succeeded');
        assert.equal((await home.points()).length, before + 1);
      }
    } finally {
      await home.dispose();
    }
  });
});
