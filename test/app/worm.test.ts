import assert from 'node:assert/strict';
import { VirtualClock } from '../../local/host/clock';
import { MAINTAIN_INSTANCE_ID } from '../../orchestrations/names';
import type { MaintenanceRecord } from '../../vault/points/maintenance-log';
import { addVm, halfDisk, type Home, HOME_START_MS, noise, readImage, startHome, writeDisk } from '../support/home';
import { createWormStore, type WormStore } from '../support/worm-store';

const DAY_MS = 86_400_000;

describe('the app on a vault under a WORM policy', () => {
  let home: Home | undefined;
  afterEach(() => home?.dispose());

  it('fault 39, fault 5: backs up though nothing may be deleted or overwritten and every step runs twice, and restores', async () => {
    const clock = new VirtualClock(HOME_START_MS);
    let worm: WormStore | undefined;
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), {
      host: { clock, chaos: { seed: 5, runEveryActivityTwice: true } }, lockKeepMs: 30 * DAY_MS, wrapStore: (plain) => (worm = createWormStore(plain, { clock: () => clock.now(), holdMs: 44 * DAY_MS })),
    });
    for (const round of [1, 2]) {
      await writeDisk(home, 'web01', 'os', noise(8192, 10 + round), round * 65536);
      const image = await readImage(home, 'web01', 'os');
      const job = await home.backUp('web01');
      assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
      const points = await home.points();
      const newest = points.at(-1) ?? assert.fail('no recovery point');
      assert.deepEqual([points.length, newest.warnings.filter((warning) => /held/.test(warning))], [round, []]);
      assert.ok((await home.restore(newest.id, 'web01_os')).equals(image));
    }
    assert.deepEqual(worm?.refused, [], 'a backup deletes nothing in the vault');
    const extended = worm?.extended.length ?? 0;
    for (let week = 0; week < 2; week++) {
      await home.host.advanceTo(clock.now() + 7 * DAY_MS);
      assert.equal((await home.json('/api/vault/maintenance', { method: 'POST', body: '{"dryRun": false}' })).status, 202);
      await home.host.waitFor(MAINTAIN_INSTANCE_ID, { until: 'finished' });
      await home.host.advanceTo(clock.now() + 1000);
    }
    const { last: [latest] } = (await home.json('/api/vault/maintenance')).body as { last: MaintenanceRecord[] };
    assert.deepEqual([latest?.error, latest?.locks?.left, latest?.keys?.opened.length], [null, 0, 1], JSON.stringify(latest));
    assert.ok(Date.parse(latest?.locks?.heldUntil ?? '') > clock.now() + 30 * DAY_MS && (worm?.extended.length ?? 0) > extended, 'threat 2: what would have come free is held for longer');
  });

  it('threat 2: a backup holds what it takes over from an older one for as long as what it writes, before its recovery point is there', async () => {
    const clock = new VirtualClock(HOME_START_MS);
    const made: WormStore[] = [];
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), {
      host: { clock }, lockKeepMs: 30 * DAY_MS, wrapStore: (plain) => (made[0] = createWormStore(plain, { clock: () => clock.now(), holdMs: 44 * DAY_MS })),
    });
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    assert.equal(made[0]?.extended.length, 0, 'what is new is held long enough by the container\'s own policy');
    await home.host.advanceTo(clock.now() + 20 * DAY_MS);
    await writeDisk(home, 'web01', 'os', noise(8192, 11), 65536);
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    const data = made[0]?.extended.filter(({ name }) => name.startsWith('packs/')) ?? [];
    assert.ok(data.length > 0 && data.every(({ untilMs }) => untilMs >= clock.now() + 30 * DAY_MS), JSON.stringify(data));
  });
});
