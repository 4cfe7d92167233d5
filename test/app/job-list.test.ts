import assert from 'node:assert/strict';
import type { JobView } from '../../functions/job-view';
import { addVm, type Home, noise, startHome } from '../support/home';

const DAY_MS = 86_400_000;

describe('the list of jobs', () => {
  let home: Home;
  const jobs = async (query = ''): Promise<string[]> => (await home.list<JobView>(`/api/jobs${query}`)).map(({ id, state }) => `${id} ${state}`);
  const start = async (): Promise<string> => ((await home.json('/api/items/web/backups', { method: 'POST' })).body as { id: string }).id;

  before(async () => {
    home = await startHome((folder) => addVm(folder, 'web', { os: noise(1024 * 1024, 1) }), { schedulerCron: '0 0 0 1 1 *' });
  });
  after(() => home.dispose());

  it('has a job from the moment that it was asked for, and what it came to when it has ended', async () => {
    assert.deepEqual(await jobs(), []);
    const first = await start();
    assert.ok((await jobs()).some((line) => line.startsWith(`${first} `)));
    await home.host.waitFor(first, { until: 'finished' });
    assert.deepEqual(await jobs(), [`${first} succeeded`]);
    await home.host.advanceTo(home.clock.now() + DAY_MS);
    const second = await start();
    assert.deepEqual((await jobs()).map((line) => line.split(' ')[0]), [second, first], 'newest first');
    await home.host.waitFor(second, { until: 'finished' });
    assert.deepEqual(await jobs(), [`${second} succeeded`, `${first} succeeded`]);
    assert.deepEqual(await jobs('?state=failed'), []);
  });

  it('says the same to all who ask at once, and to who asks for longer ago than before', async () => {
    const third = await start();
    await home.host.waitFor(third, { until: 'finished' });
    const answers = await Promise.all(Array.from({ length: 20 }, () => jobs()));
    for (const answer of answers) assert.equal(answer[0], `${third} succeeded`);
    assert.equal(new Set(answers.map(String)).size, 1);
    await home.host.advanceTo(home.clock.now() + 8 * DAY_MS);
    assert.deepEqual(await jobs(), []);
    assert.equal((await jobs(`?since=${new Date(home.clock.now() - 20 * DAY_MS).toISOString()}`)).length, 3);
    assert.deepEqual(await jobs(), [], 'and again');
  });
});
