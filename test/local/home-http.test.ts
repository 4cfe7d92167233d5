import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { makeSampleSubscription } from '../../local/sample/make-sample';
import { openImage } from '../../local/images/open-image';
import { buildFixedFooter } from '../../vault/format/vhd-footer';
import { fresh, KIB, MIB, noise } from '../cli/cli-home';
import { dynamicVhdOf } from '../cli/dynamic-vhd-maker';
import { LocalHome, type RunningApp } from '../support/local-home';

interface Problem { readonly type: string; readonly title: string; readonly status: number; readonly detail: string; readonly code: string; readonly remedy: string }
interface Item { readonly id: string; readonly name: string; readonly recoveryPoints: number; readonly latest: { readonly id: string } | string | null }
interface Point { readonly id: string; readonly itemId: string; readonly createdAt: string; readonly consistency: string; readonly disks: readonly { readonly name: string; readonly mode: string }[] }

/** Writes into an image in place, as a running machine would. */
async function writeAt(file: string, offset: number, bytes: Buffer): Promise<void> {
  const image = await open(file, 'r+');
  try {
    await image.write(bytes, 0, bytes.length, offset);
  } finally {
    await image.close();
  }
}

describe('the app on this machine, over HTTP', function () {
  this.timeout(120_000);
  let home: LocalHome;
  let app: RunningApp;
  const listed = (): Promise<Point[]> => home.cli.json<Point[]>(['list']);
  beforeEach(async () => { home = await LocalHome.make(); });
  afterEach(() => home.dispose());

  it('backs up on request, reads and stores only what changed, and the command line agrees before and after it stopped', async () => {
    const first = Buffer.alloc(68 * MIB);
    noise(16 * MIB, 3).copy(first, 0);
    noise(4 * MIB, 4).copy(first, 62 * MIB);
    const file = await home.addDisk('web', 'os.img', first);
    await home.quietVault();
    app = await home.startApp();

    const [item] = (await app.json<{ value: Item[] }>('/api/items')).body.value;
    assert.deepEqual([item?.name, item?.recoveryPoints, item?.latest], ['web', 0, null]);
    const one = await app.backUp('web');
    assert.equal(one.itemId, item?.id);
    const done = await app.succeeds(one.job);
    assert.deepEqual([done.phase, done.progress.percent, done.progress.disksDone, done.consistency], ['done', 100, 1, 'crash']);
    assert.ok(done.figures.readBytes >= 20 * MIB && done.figures.readBytes <= 22 * MIB, `what is not in use is not read: ${done.figures.readBytes}`);

    const second = Buffer.from(first);
    for (const offset of [MIB, 15 * MIB + 4096, 65 * MIB]) {
      const bytes = fresh(8 * KIB);
      bytes.copy(second, offset);
      await writeAt(file, offset, bytes);
    }
    const two = await app.succeeds((await app.backUp('web')).job);
    const { readBytes, changedBytes, storedBytes } = two.figures;
    assert.ok(changedBytes >= 24 * KIB, `three changes of 8 KiB each: ${changedBytes}`);
    for (const [name, bytes] of Object.entries({ readBytes, changedBytes, storedBytes })) assert.ok(bytes > 0 && bytes < 3 * MIB, `${name} is ${bytes}: a change costs its chunk and its neighbours at most`);
    const three = await app.succeeds((await app.backUp('web')).job);
    assert.deepEqual([three.figures.readBytes, three.figures.changedBytes], [0, 0], 'nothing changed, nothing is read');

    const ids = [done.recoveryPoint, two.recoveryPoint, three.recoveryPoint];
    const points = (await app.json<{ value: Point[] }>(`/api/items/${one.itemId}/recovery-points`)).body.value;
    assert.deepEqual(points.map(({ id }) => id).sort(), [...ids].sort());
    assert.equal((await app.json<Point>(`/api/recovery-points/${two.recoveryPoint}`)).body.disks[0]?.mode, 'incremental');
    assert.equal((await app.json<Item>(`/api/items/web`)).body.recoveryPoints, 3);

    const running = await listed();
    assert.deepEqual(running.map(({ id }) => id), ids, 'the command line reads the vault while the app runs');
    await home.assertRestores('latest', second);
    assert.equal((await app.interrupt()).code, 0);
    assert.deepEqual(await listed(), running, 'and the same after it stopped');
    await home.assertRestores(done.recoveryPoint, first);
    await home.assertRestores(two.recoveryPoint, second);
    await home.cli.json(['check']);
    assert.deepEqual(await home.cloudRemains(), { snapshots: 0, restorePoints: 1, copies: 1 }, 'only the newest is kept, as the base of the next');
  });

  it('answers bad requests with problem details and starts nothing', async () => {
    await home.addDisk('web', 'os.img', fresh(MIB));
    await home.quietVault();
    app = await home.startApp();
    const post = (address: string, body?: string): Promise<{ status: number; headers: Headers; body: Problem }> =>
      app.json<Problem>(address, { method: 'POST', ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }) });
    const cases: readonly [string, { status: number; headers: Headers; body: Problem }, number, string][] = [
      ['unknown item', await post('/api/items/nobody/backups'), 404, 'ITEM_NOT_FOUND'],
      ['not JSON', await post('/api/items/web/backups', '{"policy":'), 400, 'REQUEST_INVALID'],
      ['unknown field', await post('/api/items/web/backups', '{"colour":"red"}'), 400, 'REQUEST_INVALID'],
      ['unknown policy', await post('/api/items/web/backups', '{"policy":"nightly"}'), 404, 'POLICY_NOT_FOUND'],
      ['too large', await post('/api/items/web/backups', JSON.stringify({ policy: 'x'.repeat(70 * KIB) })), 413, 'REQUEST_TOO_LARGE'],
      ['unknown job', await app.json<Problem>('/api/jobs/backup.web.20260101T000000Z'), 404, 'JOB_NOT_FOUND'],
      ['unknown recovery point', await app.json<Problem>('/api/recovery-points/web.20260101T000000Z'), 404, 'RECOVERY_POINT_NOT_FOUND'],
    ];
    for (const [what, { status, headers, body }, expected, code] of cases) {
      assert.deepEqual([status, body.status, body.code, headers.get('content-type')], [expected, expected, code, 'application/problem+json'], `${what}: ${JSON.stringify(body)}`);
      assert.ok(body.detail !== '' && body.remedy !== '' && body.title !== '', what);
    }
    assert.deepEqual((await app.json('/api/jobs')).body, { value: [], nextLink: null }, 'no job was started');
    assert.deepEqual(await listed(), []);
  });

  it('protects raw images and fixed and dynamic VHDs side by side, as the disks of one machine', async () => {
    const [os, data, logs] = [noise(3 * MIB, 31), noise(5 * MIB, 32), noise(4 * MIB, 33)];
    logs.fill(0, 2 * MIB, 3 * MIB);
    await home.addDisk('db', 'os.img', os);
    const dataFile = await home.addDisk('db', 'data.vhd', Buffer.concat([data, buildFixedFooter(data.length, { uniqueId: '7e57ab1e-0000-4000-8000-00000000000a', createdAt: Date.UTC(2026, 0, 1) })]));
    await home.addDisk('db', 'logs.vhd', dynamicVhdOf(logs));
    await home.quietVault();
    app = await home.startApp();
    const one = await app.succeeds((await app.backUp('db')).job);
    const changed = Buffer.from(data);
    fresh(64 * KIB).copy(changed, 2 * MIB);
    await writeAt(dataFile, 2 * MIB, changed.subarray(2 * MIB, 2 * MIB + 64 * KIB));
    const two = await app.succeeds((await app.backUp('db')).job);
    assert.ok(two.figures.readBytes < 2 * MIB, `only one disk changed, and little of it: ${two.figures.readBytes}`);
    assert.equal((await app.interrupt()).code, 0);
    for (const [point, disks] of [[one, { db_os: os, db_data: data, db_logs: logs }], [two, { db_os: os, db_data: changed, db_logs: logs }]] as const) {
      for (const [name, bytes] of Object.entries(disks)) await home.assertRestores(point.recoveryPoint, bytes, '--disk', name);
    }
    await home.cli.fails(['restore', one.recoveryPoint, '--to', home.cli.file('which')], 'DISK_AMBIGUOUS', 2);
  });

  it('backs up every machine of the sample by the first policy, and each disk restores as it is', async () => {
    const { made } = await makeSampleSubscription(home.disks, { scale: 16 });
    assert.ok(made);
    app = await home.startApp();
    await app.until('both machines were backed up', () => /web: backed up/.test(app.output) && /db: backed up/.test(app.output));
    assert.equal((await app.interrupt()).code, 0);
    const points = await listed();
    for (const [item, disk, file] of [['web', 'web_os', 'web/os.img'], ['web', 'web_data', 'web/data.img'], ['db', 'db_os', 'db/os.vhd']] as const) {
      const image = await openImage(`${home.disks}/${file}`);
      const bytes = Buffer.alloc(image.sizeBytes);
      await image.readInto(bytes, 0);
      await image.close();
      const point = points.find(({ itemId }) => itemId.startsWith(item));
      assert.ok(point, `${item} has a recovery point`);
      await home.assertRestores(point.id, bytes, '--disk', disk);
    }
    await home.cli.json(['check']);
  });
});
