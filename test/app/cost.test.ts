import assert from 'node:assert/strict';
import type { CostForecast, CostReport } from '../../activities/cost';
import { sumOfTiers } from '../../policy/cost/cost';
import { pricesText } from '../policy/cost/prices';
import { addVm, halfDisk, type Home, noise, startHome, writeDisk } from '../support/home';

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
const POLICY = { schedule: { daily: { at: ['02:00'] } }, items: { tags: { env: 'prod' } }, retention: { keepLast: 3 } };

describe('cost over HTTP', () => {
  let home: Home;
  const send = (method: string, address: string, body?: unknown, headers: Record<string, string> = {}) =>
    home.json(address, { method, headers, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }) });

  before(async () => {
    home = await startHome(async (folder) => {
      await addVm(folder, 'web01', { os: halfDisk(8, 1) }, { tags: { env: 'prod' } });
      await addVm(folder, 'lab', { os: halfDisk(2, 3) }, { tags: { env: 'lab' } });
    }, { schedulerCron: '0 0 0 1 1 *' });
    await home.backUp('web01');
    await home.host.advanceTo(home.clock.now() + DAY_MS);
    await writeDisk(home, 'web01', 'os', noise(MIB, 9), 0);
    await home.backUp('web01');
  });
  after(() => home.dispose());

  it('says what a month costs, from what lies in the vault and what the backups did', async () => {
    const { status, body } = await send('GET', '/api/cost');
    const report = body as CostReport;
    assert.equal(status, 200);
    let bytes = 0;
    for await (const { sizeBytes } of (await home.deps.vault()).store.list('')) bytes += sizeBytes;
    assert.equal(sumOfTiers(report.usage.storedBytes), bytes);
    assert.ok(report.usage.snapshotBytes >= MIB && report.usage.snapshotBytes < 1.5 * MIB, 'the base snapshot holds what changed, to the ends of the chunks that it touches');
    assert.equal(report.items[0]?.recoveryPoints, 2);
    assert.ok(report.cost.total > 0 && report.azureBackup.total > report.cost.total);
  });

  it('forecasts a policy for the machines that it selects, as they behaved', async () => {
    const { status, body } = await send('POST', '/api/policies/prod/cost-forecast', POLICY);
    const result = body as CostForecast;
    assert.deepEqual([status, result.items, result.assumed, result.months.at(-1)?.recoveryPoints], [200, 1, 0, 3]);
    // 4 MiB in use of which 1 MiB changes in a day, none of which compresses: three kept, some twenty in the bin. With the rest of the chunks at its ends it may be half as much again.
    const stored = (result.months.at(-1)?.storedBytes ?? 0) / MIB;
    assert.ok(stored > 15 && stored < 38, String(stored));
    assert.equal((await send('GET', '/api/policies/prod')).status, 404, 'nothing was stored');
  });

  it('takes prices of your own, in revisions, and refuses wrong ones with nothing changed', async () => {
    const first = await send('GET', '/api/prices');
    assert.deepEqual([first.status, first.headers.get('etag'), (first.body as { checked: boolean }).checked], [200, '"0"', false]);
    const own = { ...JSON.parse(pricesText) as object, currency: 'EUR', checked: true };
    assert.equal((await send('PUT', '/api/prices', own, { 'if-match': '"0"' })).status, 201);
    const late = await send('PUT', '/api/prices', own, { 'if-match': '"0"' });
    assert.deepEqual([late.status, (late.body as { code: string }).code], [412, 'PRICES_CHANGED']);
    assert.equal((await send('PUT', '/api/prices', own, { 'if-match': '"1"' })).status, 200);
    const wrong = await send('PUT', '/api/prices', { ...own, currency: 'gold' });
    assert.deepEqual([wrong.status, (wrong.body as { code: string }).code], [400, 'PRICES_INVALID']);
    const { prices, cost } = (await send('GET', '/api/cost?redundancy=GZRS')).body as CostReport;
    assert.deepEqual([prices.checked, prices.redundancy, cost.currency], [true, 'GZRS', 'EUR']);
  });

  it('refuses a redundancy that there is not, and a policy that is wrong', async () => {
    assert.deepEqual([(await send('GET', '/api/cost?redundancy=RAID')).status, (await send('POST', '/api/policies/prod/cost-forecast', { ...POLICY, retention: {} })).status], [400, 400]);
  });
});
