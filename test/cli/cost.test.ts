import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import type { CostForecast, CostReport } from '../../activities/cost';
import { GIB, sumOfTiers } from '../../policy/cost/cost';
import { pricesText } from '../policy/cost/prices';
import { type BackupReport, CliHome, MIB, sampleDisk } from './cli-home';

describe('holdfast cost', () => {
  let home: CliHome;
  let stored: number;

  before(async () => {
    home = await CliHome.make();
    await home.init();
    stored = (await home.json<BackupReport>(['backup', await home.image('web.img', sampleDisk(3 * MIB))])).stats.storedBytes;
  });
  after(() => home.remove());

  it('counts every byte that lies in the vault, says what a month of it costs, and whose prices those are', async () => {
    const report = await home.json<CostReport>(['cost']);
    const files = await home.objects('');
    const bytes = (await Promise.all(files.map(async (file) => (await stat(file)).size))).reduce((sum, size) => sum + size, 0);
    assert.equal(sumOfTiers(report.usage.storedBytes), bytes);
    const storage = report.cost.lines.find(({ what }) => what === 'storage');
    assert.deepEqual([storage?.tier, storage?.quantity], ['hot', bytes / GIB]);
    assert.ok(Math.abs(report.cost.total - report.cost.lines.reduce((sum, { amount }) => sum + amount, 0)) < 1e-12);
    assert.deepEqual(report.items.map(({ itemId, recoveryPoints, storedBytes }) => [itemId, recoveryPoints, storedBytes]), [['web', 1, stored]]);
    assert.deepEqual(report.azureBackup.lines.map(({ what, quantity }) => [what, what === 'protected-instances' ? quantity : 0]), [['protected-instances', 1], ['backup-storage', 0]]);
    assert.deepEqual([report.prices.checked, report.prices.currency], [false, 'USD']);
    const people = await home.run(['cost']);
    assert.match(people.stdout.toString(), /A month of this vault: 0\.\d+ USD\n {2}storage \(hot\)/);
    assert.match(people.stderr, /nobody has checked these prices/);
  });

  it('takes a price file of your own, and another redundancy', async () => {
    const own = { ...JSON.parse(pricesText) as object, currency: 'EUR', checked: true, asOf: '2026-11-01' };
    await writeFile(home.file('own.json'), JSON.stringify(own));
    const ended = await home.run(['cost', '--prices', home.file('own.json'), '--redundancy', 'GRS', '--json']);
    const report = JSON.parse(ended.stdout.toString()) as CostReport;
    assert.deepEqual([ended.stderr, report.prices.currency, report.prices.redundancy, report.cost.currency], ['', 'EUR', 'GRS', 'EUR']);
    assert.ok((report.cost.lines.find(({ what }) => what === 'storage')?.price ?? 0) > 0.03);
  });

  it('forecasts a policy, which is not stored, and says what is assumed', async () => {
    const policy = { name: 'nightly', schedule: { daily: { at: ['02:00'] } }, items: { all: true }, retention: { daily: { count: 30 } } };
    await writeFile(home.file('nightly.json'), JSON.stringify(policy));
    const result = await home.json<CostForecast>(['cost', '--policy', home.file('nightly.json')]);
    assert.deepEqual([result.items, result.assumed, result.months.length, result.months.at(-1)?.recoveryPoints], [1, 1, 12, 30]);
    assert.ok(result.months.every(({ cost }) => cost.total > 0));
    assert.deepEqual(await home.objects('policies'), []);
    const people = await home.run(['cost', '--policy', home.file('nightly.json')]);
    assert.match(people.stdout.toString(), /^A year of nightly for 1 item, from nothing; for 1 of them too little was measured/);
  });

  it('refuses what is no price file, policy or redundancy, each with its cause', async () => {
    await writeFile(home.file('wrong.json'), (await readFile(home.file('own.json'), 'utf8')).replace('"EUR"', '"euro"'));
    assert.match((await home.fails(['cost', '--prices', home.file('wrong.json')], 'PRICES_INVALID', 2)).message, /currency/);
    assert.match((await home.fails(['cost', '--prices', home.file('none.json')], 'USAGE', 2)).message, /cannot be read/);
    await home.fails(['cost', '--redundancy', 'RAID5'], 'USAGE', 2);
    await home.fails(['cost', '--policy', 'none'], 'POLICY_NOT_FOUND', 3);
  });
});
