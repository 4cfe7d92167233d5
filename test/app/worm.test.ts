import assert from 'node:assert/strict';
import { VirtualClock } from '../../local/host/clock';
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
  });
});
