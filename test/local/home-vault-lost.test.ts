import assert from 'node:assert/strict';
import type { JobView } from '../../functions/job-view';
import type { ErrorCode } from '../../errors/catalogue';
import { createFaultStore, type FaultStore } from '../support/fault-store';
import { addVm, type Home, startHome } from '../support/home';
import { noise, MIB } from '../cli/cli-home';

describe('the vault is lost in the middle of a backup and comes back', () => {
  let home: Home;
  let store: FaultStore;
  beforeEach(async () => {
    home = await startHome((disks) => addVm(disks, 'web', { os: noise(MIB, 1) }), { wrapStore: (inner) => (store = createFaultStore(inner)) });
  });
  afterEach(() => home.dispose());

  async function backUp(): Promise<JobView> {
    const { status, body } = await home.json('/api/items/web/backups', { method: 'POST' });
    assert.equal(status, 202, JSON.stringify(body));
    const { id } = body as { id: string };
    await home.host.waitFor(id);
    return (await home.json(`/api/jobs/${id}`)).body as JobView;
  }

  for (const code of ['STORE_READ_ONLY', 'STORE_FULL', 'STORE_ACCESS_DENIED'] satisfies ErrorCode[]) {
    it(`does not leave the item without backups until the lost run's time is over: ${code}`, async () => {
      // Not even that the run was given up can be written.
      for (const matching of [/^work\/.*\/snapshot$/, /^runs\/.*\/verdict$/]) store.plan({ operation: 'create', matching, fault: { kind: 'fail', code, when: 'before' } });
      const lost = await backUp();
      assert.deepEqual([lost.state, lost.error?.code], ['failed', code]);
      store.assertAllFired();

      const next = await backUp();
      assert.equal(next.state, 'succeeded', JSON.stringify(next.error));
      const points = ((await home.json('/api/items/web/recovery-points')).body as { value: { id: string }[] }).value;
      assert.deepEqual(points.map(({ id }) => id), [next.recoveryPoint]);
      assert.ok(await home.vault.store.stat(`runs/${next.itemId}/0000000001/end`), 'the lost run was brought to its end');
    });
  }

  it('still keeps two backups of an item apart while the first one runs', async () => {
    const [first, second] = await Promise.all([backUp(), backUp()]);
    assert.deepEqual([first.state, second.state].sort(), ['failed', 'succeeded']);
    assert.equal((first.error ?? second.error)?.code, 'RUN_IN_PROGRESS');
  });
});
