import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HoldfastError } from '../../../errors/holdfast-error';
import { azureBackupCost, GIB, instanceFee, monthlyCost, type MonthlyUsage, noTier } from '../../../policy/cost/cost';
import { parsePricesText } from '../../../policy/cost/prices';
import { pricesText, roundPrices } from './prices';

const nothing: MonthlyUsage = { storedBytes: noTier, writes: noTier, reads: noTier, retrievedBytes: noTier, snapshotBytes: 0, executionSeconds: 0, executions: 0 };

describe('the cost of a month', () => {
  it('is each quantity times its price, by tier', () => {
    const usage: MonthlyUsage = {
      storedBytes: { hot: 10 * GIB, cool: 20 * GIB, cold: 40 * GIB }, writes: { hot: 5_000, cool: 0, cold: 10_000 }, reads: { hot: 20_000, cool: 0, cold: 0 },
      retrievedBytes: { hot: 7 * GIB, cool: 10 * GIB, cold: 0 }, snapshotBytes: 2 * GIB, executionSeconds: 500, executions: 2_000_000,
    };
    const cost = monthlyCost(usage, roundPrices());
    assert.deepEqual(cost.lines.map(({ what, tier, amount }) => [what, tier, Math.round(amount * 1000) / 1000]), [
      ['storage', 'hot', 10], ['storage', 'cool', 10], ['storage', 'cold', 10], ['writes', 'hot', 5], ['writes', 'cold', 30], ['reads', 'hot', 2],
      ['retrieval', 'hot', 0], ['retrieval', 'cool', 1], ['snapshots', null, 6], ['execution', null, 1], ['executions', null, 10],
    ]);
    assert.ok(Math.abs(cost.total - 85) < 1e-9, String(cost.total));
    assert.equal(cost.currency, 'USD');
  });

  it('follows the redundancy of the account', () => {
    const usage = { ...nothing, storedBytes: { ...noTier, hot: GIB } };
    assert.deepEqual((['LRS', 'ZRS', 'GRS', 'GZRS'] as const).map((redundancy) => monthlyCost(usage, roundPrices(), redundancy).total), [1, 2, 4, 8]);
  });

  it('has no line for what was not used, and is 0 for nothing', () => {
    assert.deepEqual(monthlyCost(nothing, roundPrices()), { currency: 'USD', lines: [], total: 0 });
  });
});

describe('the same under Azure Backup', () => {
  const { azureBackup } = roundPrices();

  it('takes a fee for each machine by its size', () => {
    assert.deepEqual([0, 1, 50, 50.1, 500, 500.1, 1000, 1000.1, 2000].map((gib) => instanceFee(gib, azureBackup)), [5, 5, 5, 10, 10, 20, 20, 30, 40]);
  });

  it('adds machines of one fee up, and the storage', () => {
    const cost = azureBackupCost([10 * GIB, 20 * GIB, 100 * GIB], 200 * GIB, { ...roundPrices(), azureBackup: { ...azureBackup, storagePerGiBMonth: { LRS: 0.5, ZRS: 1, GRS: 1, GZRS: 1 } } });
    assert.deepEqual(cost.lines.map(({ what, quantity, amount }) => [what, quantity, amount]), [['protected-instances', 2, 10], ['protected-instances', 1, 10], ['backup-storage', 200, 100]]);
    assert.equal(cost.total, 120);
  });

  it('never falls when a machine grows', () => {
    fc.assert(fc.property(fc.double({ min: 0, max: 1e5, noNaN: true }), fc.double({ min: 0, max: 1e5, noNaN: true }), (a, b) => {
      assert.ok(instanceFee(Math.min(a, b), azureBackup) <= instanceFee(Math.max(a, b), azureBackup));
    }));
  });
});

describe('the price file', () => {
  it('that comes along is taken, is dated, and says that nobody checked it', () => {
    const prices = parsePricesText(pricesText, 'prices.json');
    assert.match(prices.asOf, /^20\d\d-\d\d-\d\d$/);
    assert.equal(prices.checked, false);
  });

  const refused = (text: string): string[] => {
    try {
      parsePricesText(text, 'my.json');
    } catch (error) {
      assert.ok(error instanceof HoldfastError && error.code === 'PRICES_INVALID', String(error));
      return error.data.fields as string[];
    }
    return assert.fail('it was taken');
  };
  const changed = (change: (value: Record<string, never>) => void): string => {
    const value = JSON.parse(pricesText) as Record<string, never>;
    change(value);
    return JSON.stringify(value);
  };

  it('is refused with each wrong field named', () => {
    const fields = refused(changed((value) => Object.assign(value, { currency: 'dollars', snapshotPerGiBMonth: -1, tax: 3 })));
    assert.equal(fields.length, 3, fields.join('\n'));
    for (const name of ['currency', 'snapshotPerGiBMonth', 'tax']) assert.ok(fields.some((field) => field.startsWith(name)), fields.join('\n'));
  });

  it('is refused when it is no JSON, too large, or its sizes of machines do not ascend', () => {
    assert.match(refused('{').join(), /not JSON/);
    assert.match(refused(' '.repeat(70_000)).join(), /larger/);
    assert.match(refused(changed((value) => Object.assign(value.azureBackup ?? {}, { instances: [{ upToGiB: 50, perMonth: 5 }, { upToGiB: 50, perMonth: 6 }] }))).join(), /instances\[1\].upToGiB/);
  });
});
