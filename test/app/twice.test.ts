import assert from 'node:assert/strict';
import type { ChaosOptions } from '../../local/host/chaos';
import { VirtualClock } from '../../local/host/clock';
import { addVm, halfDisk, type Home, HOME_START_MS, noise, readImage, startHome, writeDisk } from '../support/home';

const MiB = 1024 * 1024;

/** Two backups of a VM with two disks in such a host, and everything that must hold afterwards. */
async function twoBackups(chaos: ChaosOptions): Promise<Home> {
  const home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: halfDisk(2, 2) }), { store: 'folder', host: { chaos, clock: new VirtualClock(HOME_START_MS) } });
  try {
    const images: Buffer[][] = [];
    for (const round of [1, 2]) {
      await writeDisk(home, 'web01', 'data', noise(8192, 10 + round), round * 65536);
      images.push([await readImage(home, 'web01', 'os'), await readImage(home, 'web01', 'data')]);
      const job = await home.backUp('web01');
      assert.equal(job.state, 'succeeded', `seed ${chaos.seed}: ${JSON.stringify(job.error)}`);
      await home.host.settle();
      await home.assertClean(1);
    }
    const points = await home.points();
    assert.deepEqual(points.map(({ sequence }) => sequence), [1, 2], `seed ${chaos.seed}`);
    assert.equal(points[1]?.disks[1]?.mode, 'incremental');
    for (const [index, point] of points.entries()) {
      assert.ok((await home.restore(point.id, 'web01_os')).equals(images[index]?.[0] as Buffer), `seed ${chaos.seed}, recovery point ${index}, os`);
      assert.ok((await home.restore(point.id, 'web01_data')).equals(images[index]?.[1] as Buffer), `seed ${chaos.seed}, recovery point ${index}, data`);
    }
    return home;
  } catch (error) {
    await home.dispose();
    throw error;
  }
}

describe('a backup whose steps run twice, or crash', () => {
  let home: Home | undefined;
  afterEach(() => home?.dispose());

  it('5: every activity executed twice, one after the other, makes one recovery point', async () => {
    home = await twoBackups({ seed: 1, runEveryActivityTwice: true });
    assert.ok((home.host.chaos?.counts.duplicates ?? 0) > 20);
    assert.equal(home.standIn.calls.matching('PUT', /\/restorePoints\/hf-/).filter(({ status }) => status === 201).length, 2, 'one restore point for each run');
  });

  it('6: activities executed twice at once make one recovery point', async () => {
    home = await twoBackups({ seed: 2, duplicateActivity: 1 });
    assert.ok((home.host.chaos?.counts.duplicates ?? 0) > 20);
  });

  for (const seed of [11, 12, 13]) {
    it(`1, 2, 3, 4, 45: crashes at the edges of steps, duplicates and delays do no harm (seed ${seed})`, async () => {
      home = await twoBackups({ seed, duplicateActivity: 0.2, crashBeforeCommit: 0.08, delay: 0.2 });
      assert.ok((home.host.chaos?.counts.crashes ?? 0) > 3);
    });
  }

  it('reads the same disk whole on a second thread of duplicates without a byte of difference', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: noise(3 * MiB, 9) }), { host: { chaos: { seed: 5, duplicateActivity: 1, delay: 0.5 }, clock: new VirtualClock(HOME_START_MS) } });
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    const [point, ...more] = await home.points();
    assert.deepEqual(more, []);
    assert.ok((await home.restore(point?.id ?? '')).equals(await readImage(home, 'web01', 'os')));
  });
});
