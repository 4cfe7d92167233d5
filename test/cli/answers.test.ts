import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { type BackupReport, bin, CliHome, MIB, sampleDisk } from './cli-home';

describe('holdfast: answers', () => {
  let home: CliHome;
  let made: BackupReport;

  before(async () => {
    home = await CliHome.make();
    await home.init();
    made = await home.json<BackupReport>(['backup', await home.image('web-os.img', sampleDisk(3 * MIB)), await home.image('web-data.img', sampleDisk(4 * MIB)), '--item', 'web']);
    await home.json(['backup', home.file('web-os.img'), '--item', 'alone']);
  });
  after(() => home.remove());

  it('answers list as an array that scripts can rely on', async () => {
    const list = await home.json<Record<string, unknown>[]>(['list']);
    assert.deepEqual(list.map(({ itemId }) => itemId), ['alone', 'web']);
    const { id, itemId, createdAt, consistency, disks, sequence, slot, policy } = (await home.json<Record<string, unknown>[]>(['list', '--item', 'web']))[0] ?? {};
    assert.deepEqual({ id, itemId, createdAt, consistency, sequence, slot, policy }, { id: made.recoveryPoint, itemId: 'web', createdAt: made.createdAt, consistency: 'crash-per-disk', sequence: 1, slot: null, policy: null });
    assert.deepEqual(disks, [{ name: 'web-os', lun: '0', sizeBytes: 3 * MIB, mode: 'full' }, { name: 'web-data', lun: '1', sizeBytes: 4 * MIB, mode: 'full' }]);
    assert.ok(!Number.isNaN(Date.parse(String(createdAt))));
  });

  it('answers items and show with bytes in JSON and sizes in text', async () => {
    const items = await home.json<{ id: string; recoveryPoints: number; latest: { id: string; sizeBytes: number } }[]>(['items']);
    assert.deepEqual(items.map(({ id, recoveryPoints, latest }) => [id, recoveryPoints, latest.sizeBytes]), [['alone', 1, 3 * MIB], ['web', 1, 7 * MIB]]);
    const manifest = await home.json<{ format: string; disks: { root: { pack: string } }[] }>(['show', made.recoveryPoint]);
    assert.equal(manifest.format, 'holdfast-recovery-point');
    assert.match(manifest.disks[0]?.root.pack ?? '', /^[0-9a-f]{32}$/);
    const shown = (await home.run(['show', 'latest', '--item', 'web'])).stdout.toString();
    assert.match(shown, /disk +web-data, lun 1, 4\.0 MiB \(4194304 bytes\), full/);
    const listed = (await home.run(['list'])).stdout.toString();
    assert.match(listed, new RegExp(`^RECOVERY POINT .*\n.*\n${made.recoveryPoint} .* 7\\.0 MiB .*web-os, web-data\n$`));
  });

  it('keeps stdout for the answer and stderr quiet when no one watches', async () => {
    for (const args of [['backup', home.file('web-os.img'), '--item', 'alone'], ['restore', 'latest', '--item', 'alone', '--to', home.file('x.img'), '--force'], ['check'], ['list']]) {
      const { code, stderr } = await home.run(args);
      assert.deepEqual([code, stderr], [0, ''], args[0]);
      const quiet = await home.run([...args, '--quiet']);
      assert.deepEqual([quiet.code, quiet.stderr, quiet.stdout.length > 0], [0, '', args[0] === 'list'], args[0]);
    }
  });

  it('shows progress on a terminal', function () {
    const probe = spawnSync('script', ['--version'], { encoding: 'utf8' });
    if (probe.status !== 0 || !probe.stdout.includes('util-linux')) {
      process.stderr.write('answers: progress on a terminal needs script(1) of util-linux\n');
      return this.skip();
    }
    const command = `'${process.execPath}' '${bin}' check`;
    const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { env: home.env(), encoding: 'utf8' });
    assert.equal(status, 0, stdout);
    assert.ok(stdout.includes('\r\u001b[Kcheck:  0 B  0 B/s'), JSON.stringify(stdout));
    assert.match(stdout, /recovery points, 0 damaged, 0 lost/);
    const exported = spawnSync('script', ['-qec', `'${process.execPath}' '${bin}' export latest --item web --disk 0 --format raw`, '/dev/null'], { env: home.env(), encoding: 'utf8' });
    assert.equal(exported.status, 2, 'a disk is not written to a terminal');
    assert.match(exported.stdout, /not written to a terminal/);
  });

  it('says how it is used', async () => {
    const help = await home.run(['--help']);
    assert.equal(help.code, 0);
    for (const word of ['init', 'backup', 'items', 'list', 'show', 'restore', 'export', 'check', '--vault', 'Exit codes']) assert.ok(help.stdout.toString().includes(word), word);
    const own = await home.run(['help', 'backup']);
    assert.equal(own.code, 0);
    assert.ok(own.stdout.toString().includes('--changed') && own.stdout.toString().includes('--vault'));
    assert.equal((await home.run(['--version'])).stdout.toString(), '0.1.0\n');
    const bare = await home.run([]);
    assert.equal(bare.code, 2);
    assert.match(bare.stderr, /Commands:[^]*holdfast: No command was given\n/);
    assert.match((await home.run(['help', 'frobnicate'])).stderr, /There is no command "frobnicate"/);
  });

  it('ends cleanly when the reader of its output goes away', () => {
    const { status, stderr } = spawnSync('bash', ['-c', `set -o pipefail; '${process.execPath}' '${bin}' export latest --item web --disk 1 --format raw | head -c 100000 >/dev/null`], { env: home.env(), encoding: 'utf8' });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /The output ended after \d+ bytes/);
    const list = spawnSync('bash', ['-c', `set -o pipefail; '${process.execPath}' '${bin}' list | true`], { env: home.env(), encoding: 'utf8' });
    assert.deepEqual([list.status, list.stderr], [0, '']);
  });
});
