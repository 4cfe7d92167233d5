import assert from 'node:assert/strict';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';

const KiB = 1024;
const MiB = 1024 * KiB;

const putPolicy = (home: Home, name: string, changes: object): Promise<{ status: number }> =>
  home.json(`/api/policies/${name}`, { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, ...changes }) });

describe('a backup on demand', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('stores a first backup whole and then only what changed; both restore bit-identical, and cleared ranges read as zeros (I1, I4, I5)', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(8, 1) }), { store: 'folder' });
    const firstImage = await readImage(home, 'web01', 'os');
    const first = await home.backUp('web01');
    assert.equal(first.state, 'succeeded');
    assert.equal(first.figures?.newBytes, 4 * MiB);
    assert.equal(first.progress.percent, 100);
    await home.assertClean(1);

    await writeDisk(home, 'web01', 'os', noise(8 * KiB, 2), 5 * MiB);
    await writeDisk(home, 'web01', 'os', Buffer.alloc(64 * KiB), 1 * MiB);
    const secondImage = await readImage(home, 'web01', 'os');
    home.standIn.calls.clear();
    const second = await home.backUp('web01');
    assert.equal(second.state, 'succeeded');
    assert.ok((second.figures?.readBytes ?? Infinity) < 2 * MiB, `read ${second.figures?.readBytes} bytes`);
    assert.ok((second.figures?.storedBytes ?? Infinity) < 1 * MiB, `stored ${second.figures?.storedBytes} bytes`);
    await home.assertClean(1);

    const [one, two] = await home.points();
    assert.deepEqual([one?.disks[0]?.mode, two?.disks[0]?.mode], ['full', 'incremental']);
    assert.equal(two?.parent?.id, one?.id);
    assert.ok((await home.restore(one?.id ?? '')).equals(firstImage));
    const restored = await home.restore(two?.id ?? '');
    assert.ok(restored.equals(secondImage));
    assert.ok(restored.subarray(MiB, MiB + 64 * KiB).equals(Buffer.alloc(64 * KiB)));
  });

  it('backs up several disks from one restore point, with the consistency that was reached', async () => {
    home = await startHome((folder) => addVm(folder, 'db01', { os: halfDisk(2, 3), data: noise(3 * MiB, 4), empty: 16 * MiB }, { osType: 'Windows', consistency: 'application' }));
    const job = await home.backUp('db01');
    assert.equal(job.state, 'succeeded');
    assert.equal(job.consistency, 'application');
    assert.deepEqual(job.warnings, []);
    const [point] = await home.points();
    assert.deepEqual(point?.disks.map(({ lun }) => lun), ['os', '0', '1']);
    for (const name of ['os', 'data', 'empty']) assert.ok((await home.restore(point?.id ?? '', `db01_${name}`)).equals(await readImage(home, 'db01', name)), name);
    await home.assertClean(1);
  });

  it('says that a restore point is crash-consistent only, where more was wanted', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 3) }));
    const job = await home.backUp('web01');
    assert.equal(job.consistency, 'crash');
    assert.match(job.warnings.join(), /weaker than what was wanted/);
  });

  it('27: snapshots disk by disk are labelled crash-consistent per disk, and the old ones go when the new ones are there', async () => {
    home = await startHome((folder) => addVm(folder, 'db01', { os: halfDisk(2, 3), data: noise(2 * MiB, 4) }));
    await putPolicy(home, 'disks', { driver: 'diskSnapshot' });
    const first = await home.backUp('db01', { policy: 'disks' });
    assert.equal(first.consistency, 'crash-per-disk');
    await home.assertClean(2);
    await writeDisk(home, 'db01', 'data', noise(4 * KiB, 5), 0);
    const second = await home.backUp('db01', { policy: 'disks' });
    assert.equal(second.state, 'succeeded');
    await home.assertClean(2);
    const [, point] = await home.points();
    assert.deepEqual(point?.disks.map(({ mode }) => mode), ['incremental', 'incremental']);
    for (const name of ['os', 'data']) assert.ok((await home.restore(point?.id ?? '', `db01_${name}`)).equals(await readImage(home, 'db01', name)), name);
  });

  it('keeps no base where the policy says so; the next backup reads the disk whole, compares, and stores the change alone', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(8, 1) }));
    await putPolicy(home, 'cheap', { keepBase: 'none' });
    assert.equal((await home.backUp('web01', { policy: 'cheap' })).state, 'succeeded');
    await home.assertClean(0);
    await writeDisk(home, 'web01', 'os', noise(4 * KiB, 2), 6 * MiB);
    await writeDisk(home, 'web01', 'os', Buffer.alloc(64 * KiB), 2 * MiB);
    const second = await home.backUp('web01', { policy: 'cheap' });
    await home.assertClean(0);
    const [, point] = await home.points();
    assert.equal(point?.disks[0]?.mode, 'compared');
    assert.ok((second.figures?.storedBytes ?? Infinity) < 1 * MiB);
    assert.ok((await home.restore(point?.id ?? '')).equals(await readImage(home, 'web01', 'os')));
  });

  it('reads only what holds data of a large sparse disk, over several windows', async () => {
    home = await startHome(async (folder) => { await addVm(folder, 'big01', { os: 136 * MiB }); });
    for (const [offset, seed] of [[0, 1], [70 * MiB, 2], [135 * MiB, 3]] as const) await writeDisk(home, 'big01', 'os', noise(512 * KiB, seed), offset);
    const job = await home.backUp('big01');
    assert.ok((job.figures?.readBytes ?? Infinity) < 8 * MiB, `read ${job.figures?.readBytes}`);
    const [point] = await home.points();
    assert.ok((await home.restore(point?.id ?? '')).equals(await readImage(home, 'big01', 'os')));
  });
});
