import assert from 'node:assert/strict';
import type { ErrorCode } from '../../errors/catalogue';
import { HoldfastError } from '../../errors/holdfast-error';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';
import { createFaultStore, type FaultStore, type PlannedFault } from '../support/fault-store';

const KiB = 1024;

/** A home whose store fails as planned once the test says so. */
async function faultyHome(): Promise<{ home: Home; store: FaultStore }> {
  let store: FaultStore | undefined;
  const home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { wrapStore: (plain) => (store = createFaultStore(plain)) });
  assert.ok(store);
  return { home, store };
}

const fail = (code: ErrorCode, operation: PlannedFault['operation'], matching: RegExp, more: Partial<PlannedFault> = {}): PlannedFault =>
  ({ operation, matching, fault: { kind: 'fail', code, when: 'before' }, ...more });

describe('a backup when the vault misbehaves', () => {
  let home: Home;
  afterEach(() => home.dispose());

  async function assertNextRunGood(points: number): Promise<void> {
    await writeDisk(home, 'web01', 'os', noise(4 * KiB, 7), 128 * KiB);
    const next = await home.backUp('web01');
    assert.equal(next.state, 'succeeded', JSON.stringify(next.error));
    await home.assertClean(1);
    const all = await home.points();
    assert.equal(all.length, points);
    assert.ok((await home.restore(all.at(-1)?.id ?? '')).equals(await readImage(home, 'web01', 'os')));
  }

  it('36: a newest recovery point whose manifest does not open: the next backup goes on from the one before, compared, and job, recovery point and health say so', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    const [older, newer] = [await home.backUp('web01'), await home.backUp('web01')].map(({ recoveryPoint }) => recoveryPoint ?? '');
    const name = `recovery-points/${newer?.replace('.', '/')}`;
    const bytes = await home.vault.store.read(name);
    await home.vault.store.delete(name);
    await home.vault.store.create(name, Buffer.alloc(bytes.length, 1));
    await writeDisk(home, 'web01', 'os', noise(4 * KiB, 7), 128 * KiB);
    const job = await home.backUp('web01');
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.match(job.warnings.join(), new RegExp(`${newer} is damaged and cannot be restored \\(DOCUMENT_DAMAGED: .*goes on from ${older}`));
    const [, made] = await home.points();
    // The base of the damaged one is there still, and is of no use: it says what changed since another state.
    assert.deepEqual([made?.parent?.id, made?.disks[0]?.mode], [older, 'compared']);
    assert.ok((await home.restore(made?.id ?? '')).equals(await readImage(home, 'web01', 'os')));
    await home.assertClean(1);
    const health = (await home.json('/api/vault/health')).body as { state: string; damagedRecoveryPoints: { recoveryPoint: string; code: string }[] };
    assert.deepEqual([health.state, health.damagedRecoveryPoints.map(({ recoveryPoint, code }) => [recoveryPoint, code])], ['damaged', [[newer, 'DOCUMENT_DAMAGED']]]);
    const next = await home.backUp('web01');
    assert.deepEqual([next.state, next.warnings.filter((text) => text.includes('damaged')), (await home.points()).at(-1)?.disks[0]?.mode], ['succeeded', [], 'incremental']);
  });

  for (const [what, matching] of [['packs', /^packs\//], ['a slice\'s record', /^work\/.*\/s0000$/], ['the plan', /^work\/.*\/plan$/], ['the verdict', /^runs\/.*\/verdict$/], ['the item', /^items\//]] as const) {
    it(`44: a vault that is full when ${what} should be written: the run fails with that cause, nothing is visible, and the next run is good`, async () => {
      const faulty = await faultyHome();
      home = faulty.home;
      faulty.store.plan(fail('STORE_FULL', 'create', matching));
      const job = await home.backUp('web01');
      faulty.store.assertAllFired();
      assert.equal(job.state, 'failed');
      assert.equal(job.error?.code, 'STORE_FULL');
      assert.match(job.error?.remedy ?? '', /space/);
      assert.deepEqual(await home.points(), []);
      await home.assertClean(0);
      await assertNextRunGood(1);
    });
  }

  it('outlives a vault that cannot be reached for a moment, at every kind of write', async () => {
    const faulty = await faultyHome();
    home = faulty.home;
    for (const matching of [/^packs\//, /^work\//, /\/open$/, /\/verdict$/, /\/end$/, /^recovery-points\//]) faulty.store.plan(fail('STORE_UNREACHABLE', 'create', matching, { times: 1 }));
    const job = await home.backUp('web01');
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    faulty.store.assertAllFired();
    await home.assertClean(1);
    assert.equal((await home.points()).length, 1);
    await assertNextRunGood(2);
  });

  it('8: outlives answers of the vault that are lost after the write', async () => {
    const faulty = await faultyHome();
    home = faulty.home;
    for (const matching of [/^work\//, /\/open$/, /\/verdict$/, /\/end$/, /^recovery-points\//]) {
      faulty.store.plan({ operation: 'create', matching, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'after' } });
    }
    const job = await home.backUp('web01');
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    faulty.store.assertAllFired();
    await assertNextRunGood(2);
  });

  it('a vault that cannot be reached for ten minutes fails the run; when it is back the run is closed and its snapshots go', async () => {
    const faulty = await faultyHome();
    home = faulty.home;
    const { store } = faulty;
    const outage = { until: 0 };
    const create = store.create.bind(store);
    const stat = store.stat.bind(store);
    const down = (): void => { if (home.clock.now() < outage.until) throw new HoldfastError('STORE_UNREACHABLE', 'The vault does not answer'); };
    store.create = async (name, data) => { down(); return create(name, data); };
    store.stat = async (name) => { down(); return stat(name); };
    home.host.onStatusChange(({ customStatus }) => {
      if (outage.until === 0 && (customStatus as { phase?: string } | null)?.phase === 'transfer') outage.until = home.clock.now() + 10 * 60_000;
    });
    const job = await home.backUp('web01');
    assert.ok(outage.until > 0);
    assert.equal(job.state, 'failed');
    assert.equal(job.error?.code, 'STORE_UNREACHABLE');
    assert.deepEqual(await home.points(), []);
    await home.assertClean(0);
    await assertNextRunGood(1);
  });

  for (const [what, matching] of [['recovery point', /^recovery-points\//], ['end', /\/end$/]] as const) it(`4: a sealed run whose ${what} cannot be written for a while is a success, not a failure`, async () => {
    const faulty = await faultyHome();
    home = faulty.home;
    faulty.store.plan(fail('STORE_UNREACHABLE', 'create', matching, { times: 5 }));
    const job = await home.backUp('web01');
    faulty.store.assertAllFired();
    assert.equal((await home.points()).length, 1);
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.equal(job.recoveryPoint, (await home.points())[0]?.id);
    assert.ok(job.figures);
    await home.assertClean(1);
    await assertNextRunGood(2);
  });

  it('28: snapshots that could not be deleted after one run are deleted after the next', async () => {
    const faulty = await faultyHome();
    home = faulty.home;
    await home.backUp('web01');
    home.standIn.faults.add({ kind: 'respond', status: 403, code: 'AuthorizationFailed', message: 'no', method: 'DELETE', times: 1000 });
    const second = await home.backUp('web01');
    assert.equal(second.state, 'succeeded');
    assert.match(second.warnings.join(), /left behind/);
    await home.assertClean(2);
    home.standIn.faults.clear();
    await assertNextRunGood(3);
  });

  it('37: a key that does not open the vault fails the run before anything is written', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { openVault: () => Promise.reject(new HoldfastError('KEY_REFUSED', 'The key does not open the vault')) });
    const refused = await home.json('/api/items/web01/backups', { method: 'POST' });
    assert.equal(refused.status, 401);
    assert.equal((refused.body as { code: string }).code, 'KEY_REFUSED');
    const names: string[] = [];
    for await (const { name } of home.vault.store.list('')) names.push(name);
    assert.deepEqual(names.filter((name) => !name.startsWith('keys/')), ['vault.json']);
    await home.assertClean(0);
  });
});
