import assert from 'node:assert/strict';
import type { JobView } from '../../functions/job-view';
import { markDeleted } from '../../vault/points/marks';
import { addVm, halfDisk, type Home, HOME_START_MS, startHome } from '../support/home';
import { everyDay, storePoints } from '../support/retention-kit';

const DAY_MS = 86_400_000;
interface Page { readonly value: readonly { readonly id: string }[]; readonly nextLink: string | null }

describe('the lists of the HTTP API', () => {
  let home: Home;
  let ids: readonly string[];
  before(async () => {
    home = await startHome(async (folder) => {
      for (const name of ['app01', 'db01', 'web01']) await addVm(folder, name, { os: halfDisk(2, 1) }, { tags: name === 'db01' ? { Env: 'test', note: 'a=b' } : { env: 'prod' } });
    });
    const [app] = await home.list<{ id: string }>('/api/items');
    ids = await storePoints(home.vault, app?.id ?? '', everyDay(HOME_START_MS - DAY_MS, 5));
    await markDeleted(home.vault, ids[1] ?? '', { by: 'test', serverNowMs: HOME_START_MS }, { reason: 'asked', policy: null });
  });
  after(() => home.dispose());

  const names = async (query: string): Promise<string[]> => (await home.list<{ name: string }>(`/api/items${query}`)).map(({ name }) => name);
  const refused = async (path: string, told: RegExp): Promise<void> => {
    const { status, text } = await home.json(path);
    assert.equal(status, 400, `${path}: ${text}`);
    assert.match(text, told);
  };

  it('come in pages of the size that is asked for, none twice and none left out, whatever is added or removed between two pages', async () => {
    const first = (await home.json(`/api/recovery-points?state=all&limit=2`)).body as Page;
    assert.deepEqual(first.value.map(({ id }) => id), [ids[4], ids[3]]);
    // The entry that the page ended with goes; the next page begins behind where it was.
    await markDeleted(home.vault, ids[3] ?? '', { by: 'test', serverNowMs: HOME_START_MS }, { reason: 'asked', policy: null });
    const second = (await home.json(first.nextLink ?? '')).body as Page;
    assert.deepEqual(second.value.map(({ id }) => id), [ids[2], ids[1]]);
    const last = (await home.json(second.nextLink ?? '')).body as Page;
    assert.deepEqual([last.value.map(({ id }) => id), last.nextLink], [[ids[0]], null]);
    assert.deepEqual((await home.list<{ id: string }>('/api/recovery-points?limit=1')).map(({ id }) => id), [ids[4], ids[2], ids[0]]);
    assert.deepEqual(await names('?limit=1'), ['app01', 'db01', 'web01']);
  });

  it('of recovery points know item, state and time', async () => {
    const listed = async (query: string): Promise<number[]> => (await home.list<{ id: string }>(`/api/recovery-points${query}`)).map(({ id }) => ids.indexOf(id));
    const day = (days: number): string => new Date(HOME_START_MS - days * DAY_MS).toISOString();
    assert.deepEqual(await listed('?state=binned'), [3, 1]);
    assert.deepEqual(await listed(`?state=all&from=${day(3)}&to=${day(1)}`), [3, 2]);
    assert.deepEqual(await listed('?item=app01&state=live'), [4, 2, 0]);
    assert.deepEqual(await listed('?item=db01'), []);
  });

  it('of items know name, tag and whether anything protects them', async () => {
    await home.json('/api/policies/db', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { tags: { env: 'test' } } }) });
    assert.deepEqual(await names('?name=B0'), ['db01', 'web01']);
    assert.deepEqual(await names('?tag=ENV'), ['app01', 'db01', 'web01']);
    assert.deepEqual(await names('?tag=env%3Dprod'), ['app01', 'web01']);
    assert.deepEqual(await names('?tag=env%3DPROD'), []);
    assert.deepEqual(await names('?tag=note%3Da%3Db'), ['db01']);
    assert.deepEqual([await names('?protected=true'), await names('?protected=false')], [['db01'], ['app01', 'web01']]);
  });

  it('of jobs know kind, state, item and when they began', async () => {
    const backup = await home.backUp('web01');
    assert.equal((await home.json('/api/vault/scrubs', { method: 'POST', body: JSON.stringify({ item: 'web01' }) })).status, 202);
    const jobs = async (query: string): Promise<string[]> => (await home.list<JobView>(`/api/jobs${query}`)).map(({ kind }) => kind);
    assert.deepEqual((await jobs('')).sort(), ['backup', 'scrub']);
    assert.deepEqual(await jobs('?kind=restore'), []);
    assert.deepEqual(await jobs('?kind=backup&state=succeeded&limit=1'), ['backup']);
    assert.deepEqual(await jobs('?kind=backup&state=failed'), []);
    assert.deepEqual((await jobs('?item=web01')).sort(), ['backup', 'scrub']);
    assert.deepEqual(await jobs('?item=nobody'), []);
    assert.deepEqual(await jobs(`?since=${new Date(Date.parse(backup.startedAt) + DAY_MS).toISOString()}`), []);
  });

  it('refuse what they do not know, and hand no function key back in the address of the next page', async () => {
    await refused('/api/items?nmae=web', /nmae/);
    await refused('/api/items?limit=0', /1 to 1000/);
    await refused('/api/items?limit=1001', /1 to 1000/);
    await refused('/api/items?limit=2&limit=3', /limit/);
    await refused('/api/items?cursor=%25', /cursor/);
    await refused('/api/jobs?state=done', /state/);
    await refused('/api/jobs?since=yesterday', /2026-11-25T02:00:00Z/);
    await refused('/api/recovery-points?from=2026-13-01T00:00:00Z', /from/);
    const { nextLink } = (await home.json('/api/items?limit=1&code=the-function-key&name=0')).body as Page;
    assert.match(nextLink ?? '', /^\/api\/items\?limit=1&name=0&cursor=/);
  });
});
