import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { noise, MIB } from '../cli/cli-home';
import { LocalHome } from '../support/local-home';

/** Four windows in two slices: the first slice is short and the second long, so that one is done while the other runs. */
function disk(seed: number): Buffer {
  const longBytes = 24 * MIB;
  const bytes = Buffer.alloc(256 * MIB);
  noise(2 * MIB, seed).copy(bytes, MIB);
  noise(2 * MIB, seed + 1).copy(bytes, 70 * MIB);
  noise(longBytes, seed + 2).copy(bytes, 130 * MIB);
  noise(longBytes, seed + 3).copy(bytes, 256 * MIB - longBytes);
  return bytes;
}

describe('the app on this machine, killed', function () {
  this.timeout(180_000); // Real processes on a machine that may be busy with other things.
  let home: LocalHome;
  beforeEach(async () => { home = await LocalHome.make(); });
  afterEach(() => home.dispose());

  it('goes on by itself after kill -9 at every phase of one backup, to one recovery point that restores bit for bit', async () => {
    const bytes = disk(11);
    await home.addDisk('web', 'os.img', bytes);
    await home.quietVault();
    let app = await home.startApp();
    const { job, itemId } = await app.backUp('web');
    const run = `${itemId}/0000000001`;
    const phases = [
      `runs/${run}/open`, `work/${run}/plan`, `work/${run}/snapshot`, `work/${run}/d0-0/plan`, `work/${run}/d0-0/r0000/plan`, 'packs/data', `work/${run}/d0-0/r0000/s0000`,
      `work/${run}/d0-0/r0000/done`, `work/${run}/d0-0/done`, `runs/${run}/verdict`, `recovery-points/${itemId}`,
    ];
    for (const name of phases) {
      await app.untilFile(home.inVault(name));
      if (name.endsWith('/s0000')) await app.until('progress was seen', async () => (await app.job(job)).progress.bytesDone > 0);
      await app.kill();
      if (name.startsWith('work/')) assert.ok(!existsSync(home.inVault(`recovery-points/${itemId}`)), `at ${name} nothing may be visible`);
      app = await home.startApp();
    }
    const { recoveryPoint } = await app.succeeds(job);
    assert.equal((await app.interrupt()).code, 0);

    const points = await home.cli.json<{ id: string }[]>(['list']);
    assert.deepEqual(points.map(({ id }) => id), [recoveryPoint], 'one job is one recovery point');
    await home.assertRestores(recoveryPoint, bytes);
    await home.cli.json(['check']);
    assert.deepEqual(await home.cloudRemains(), { snapshots: 0, restorePoints: 1, copies: 1 }, 'only the base of the next backup is left');
  });

  it('stops cleanly on Ctrl-C in the middle of a backup and goes on at the next start; so does an incremental one that is killed', async () => {
    const bytes = disk(21);
    const file = await home.addDisk('web', 'os.img', bytes);
    await home.quietVault();
    const app = await home.startApp();
    const { job, itemId } = await app.backUp('web');
    await app.untilFile(home.inVault('packs/data'));
    const ended = await app.interrupt();
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(ended.stderr, '');
    assert.match(app.output, /Stopping/);
    assert.ok(!existsSync(home.inVault(`recovery-points/${itemId}`)), 'it was stopped in the middle');

    const next = await home.startApp();
    const first = await next.succeeds(job);
    await home.assertRestores(first.recoveryPoint, bytes);
    assert.deepEqual(await home.cloudRemains(), { snapshots: 0, restorePoints: 1, copies: 1 });

    // The next backup compares with the base that was kept, is killed in the middle, and finds the stand-in at another address.
    const changed = noise(3 * MIB, 77);
    changed.copy(bytes, 140 * MIB);
    await writeFile(file, bytes);
    const incremental = await next.backUp('web');
    await next.untilFile(home.inVault(`work/${itemId}/0000000002/snapshot`));
    await next.kill();
    const { port } = JSON.parse(await readFile(`${home.state}/azure/state.json`, 'utf8')) as { port: number };
    const other = createServer();
    await new Promise<void>((resolve) => { other.listen(port, '127.0.0.1', resolve); });
    try {
      const last = await home.startApp();
      const second = await last.succeeds(incremental.job);
      assert.ok(second.figures.readBytes >= changed.length && second.figures.readBytes < 2 * changed.length, `read ${second.figures.readBytes}`);
      assert.equal((await last.interrupt('SIGTERM')).code, 0);
      assert.deepEqual((await home.cli.json<{ id: string }[]>(['list'])).map(({ id }) => id), [first.recoveryPoint, second.recoveryPoint]);
      await home.assertRestores(second.recoveryPoint, bytes);
    } finally {
      other.close();
    }
    assert.deepEqual(await home.cloudRemains(), { snapshots: 0, restorePoints: 1, copies: 1 }, 'the newest is the base now, and the older one is gone');
  });
});
