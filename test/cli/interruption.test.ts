import assert from 'node:assert/strict';
import { open, readdir, truncate } from 'node:fs/promises';
import { type BackupReport, CliHome, MIB, noise, type Running } from './cli-home';

/** Two windows that take a while: long enough to be held in the middle, whatever the machine. */
const disk = noise(96 * MIB, 5);

describe('holdfast: interruptions', () => {
  let home: CliHome;
  let image: string;

  beforeEach(async () => {
    home = await CliHome.make();
    await home.init();
    image = await home.image('big.img', disk);
  });
  afterEach(() => home.remove());

  /** Holds a backup in the middle: its run is open and data is stored, and nothing is decided yet. */
  const startAndHold = async (): Promise<Running> => {
    const running = home.start(['backup', image, '--json', '--threads', '1']);
    await running.holdAt('it stored anything', async () => (await home.objects('packs/data')).length > 0);
    assert.ok((await home.objects('runs')).every((name) => !name.endsWith('verdict')), 'the backup was too fast to be held');
    return running;
  };

  const assertNothingVisible = async (): Promise<void> => {
    assert.deepEqual(await home.json(['list']), []);
    assert.equal((await home.run(['check'])).code, 0);
  };

  const assertNextBackupWorks = async (): Promise<void> => {
    await home.json<BackupReport>(['backup', image]);
    await home.json(['restore', 'latest', '--to', home.file('back.img')]);
    await home.assertSame('back.img', disk);
    assert.equal((await home.run(['check'])).code, 0);
  };

  it('survives kill -9 in the middle: nothing is visible, and the next backup goes on at once', async () => {
    const running = await startAndHold();
    running.child.kill('SIGKILL');
    assert.equal((await running.ended).signal, 'SIGKILL');
    await assertNothingVisible();
    await assertNextBackupWorks();
  });

  for (const [signal, exitCode] of [['SIGINT', 130], ['SIGTERM', 143]] as const) {
    it(`gives the run up on ${signal} and exits with ${exitCode}`, async () => {
      const running = await startAndHold();
      running.child.kill(signal);
      running.resume();
      const { code, stdout, stderr } = await running.ended;
      assert.equal(code, exitCode, stderr);
      assert.equal((JSON.parse(stdout.toString()) as { error: { code: string } }).error.code, 'CANCELLED');
      const states = (await home.objects('runs')).map((name) => name.split('/').at(-1));
      assert.deepEqual(states, ['end', 'open', 'verdict'], 'the run was ended in the vault');
      await assertNothingVisible();
      if (signal === 'SIGINT') await assertNextBackupWorks();
    });
  }

  it('tells a second run of the same item that one is under way, and lets other items pass', async () => {
    const running = await startAndHold();
    try {
      const { message, data } = await home.fails(['backup', image], 'RUN_IN_PROGRESS', 6);
      assert.match(message, /big is being backed up since .* by process:/);
      assert.equal(data.itemId, 'big');
      await home.json(['backup', await home.image('small.img', noise(MIB, 2)), '--item', 'small']);
    } finally {
      running.resume();
    }
    assert.equal((await running.ended).code, 0);
    assert.equal((await home.json<unknown[]>(['list', '--item', 'big'])).length, 1);
  });

  it('lets a run be taken over, and the one that lost it says so and makes nothing', async () => {
    const running = await startAndHold();
    const taken = await home.json<BackupReport>(['backup', image, '--take-over']);
    running.resume();
    const { code, stdout } = await running.ended;
    assert.equal(code, 1);
    assert.equal((JSON.parse(stdout.toString()) as { error: { code: string } }).error.code, 'RUN_ABANDONED');
    assert.deepEqual((await home.json<{ id: string }[]>(['list'])).map(({ id }) => id), [taken.recoveryPoint]);
    assert.equal((await home.run(['check'])).code, 0);
  });

  it('makes nothing of an image that is written to or shrinks while it is read', async () => {
    const changes = [
      ['SOURCE_CHANGED', async () => {
        const file = await open(image, 'r+');
        await file.write(Buffer.from('changed'), 0, 7, 95 * MIB);
        await file.close();
      }],
      ['SOURCE_SHRANK', () => truncate(image, 65 * MIB)],
    ] as const;
    for (const [expected, change] of changes) {
      const before = (await home.objects('packs/data')).length;
      const running = home.start(['backup', image, '--json', '--threads', '1', '--full']);
      await running.holdAt('it stored anything', async () => (await home.objects('packs/data')).length > before);
      await change();
      running.resume();
      const { code, stdout, stderr } = await running.ended;
      assert.equal(code, 1, stderr);
      const { error } = JSON.parse(stdout.toString()) as { error: { code: string; remedy: string } };
      assert.equal(error.code, expected, stderr);
      await assertNothingVisible();
    }
  });

  it('leaves no half-written image behind when a restore is stopped', async () => {
    await home.json(['backup', image]);
    const running = home.start(['restore', 'latest', '--to', home.file('back.img'), '--json', '--threads', '1']);
    const partial = async (): Promise<string[]> => (await readdir(home.path)).filter((name) => name.includes('.partial-'));
    await running.until('it began to write', async () => (await partial()).length > 0);
    running.child.kill('SIGINT');
    assert.equal((await running.ended).code, 130);
    assert.deepEqual((await readdir(home.path)).filter((name) => name.startsWith('back.img')), []);
  });
});
