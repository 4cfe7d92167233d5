import assert from 'node:assert/strict';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { buildFixedFooter, parseFooter } from '../../vault/format/vhd-footer';
import { type BackupReport, CliHome, fresh, KIB, MIB, noise, sampleDisk } from './cli-home';
import { dynamicVhdOf } from './dynamic-vhd-maker';

describe('holdfast: back up and restore', () => {
  let home: CliHome;

  beforeEach(async () => {
    home = await CliHome.make();
    await home.init();
  });
  afterEach(() => home.remove());

  const restored = async (point: string, expected: Buffer, ...more: string[]): Promise<void> => {
    await home.json(['restore', point, '--to', home.file('back.img'), '--force', ...more]);
    await home.assertSame('back.img', expected);
  };

  it('brings raw, fixed VHD and dynamic VHD images back byte for byte, of sizes that are no multiple of 4096', async () => {
    const disk = sampleDisk(65 * MIB + 512);
    const footer = buildFixedFooter(disk.length, { uniqueId: '0f8fad5b-d9cb-469f-a165-70867728950e', createdAt: 1_700_000_000_000 });
    const images = [await home.image('raw.img', disk), await home.image('fixed.vhd', Buffer.concat([disk, footer])), await home.image('dynamic.vhd', dynamicVhdOf(disk))];
    for (const image of images) {
      const { recoveryPoint, itemId, consistency, parent, disks, stats } = await home.json<BackupReport>(['backup', image]);
      const name = image.slice(home.path.length + 1).split('.')[0] ?? '';
      assert.deepEqual({ itemId, consistency, parent, disks: disks.map(({ name: disk, lun, sizeBytes, mode }) => ({ disk, lun, sizeBytes, mode })) },
        { itemId: name, consistency: 'crash', parent: null, disks: [{ disk: name, lun: '0', sizeBytes: disk.length, mode: 'full' }] });
      assert.ok(stats.storedBytes < 2 * MIB, `zeros are not stored: ${stats.storedBytes}`);
      await restored(recoveryPoint, disk);
    }
    assert.equal((await stat(home.file('back.img'))).mode & 0o777, 0o600);
    assert.ok((await stat(home.file('back.img'))).blocks * 512 < 4 * MIB, 'what is zeros takes no room');
    assert.equal((await home.run(['check'])).code, 0);
  });

  it('stores little for little changed, with and without known changes, and says what it did', async () => {
    const disk = sampleDisk(66 * MIB);
    const image = await home.image('web.img', disk);
    const first = await home.json<BackupReport>(['backup', image]);
    const before = Buffer.from(disk);

    fresh(4096).copy(disk, 33 * MIB + 8192);
    await writeFile(image, disk);
    await writeFile(home.file('changed.json'), JSON.stringify([{ offset: 33 * MIB + 8192, length: 4096 }]));
    const second = await home.json<BackupReport>(['backup', image, '--changed', home.file('changed.json')]);
    assert.equal(second.disks[0]?.mode, 'incremental');
    assert.equal(second.parent, first.recoveryPoint);
    assert.ok(second.stats.readBytes < MIB && second.stats.storedBytes < 600 * KIB, JSON.stringify(second.stats));
    await restored(second.recoveryPoint, disk);

    const between = Buffer.from(disk);
    disk.fill(0, 0, 64 * KIB);
    fresh(512).copy(disk, 65 * MIB + 1024);
    await writeFile(image, disk);
    const third = await home.json<BackupReport>(['backup', image]);
    assert.equal(third.disks[0]?.mode, 'compared');
    assert.ok(third.stats.storedBytes < 800 * KIB && third.stats.readBytes >= disk.length, JSON.stringify(third.stats));
    await restored('latest', disk);
    await restored(second.recoveryPoint, between);
    await restored(first.recoveryPoint, before);

    const same = await home.json<BackupReport>(['backup', image]);
    assert.deepEqual([same.stats.changedBytes, same.stats.storedBytes], [0, 0]);
    await restored('latest', disk);
    assert.equal((await home.run(['check'])).code, 0);
  });

  it('reads everything when known changes have no parent or the disk was resized, and says so', async () => {
    const disk = sampleDisk(67 * MIB);
    const image = await home.image('db.img', disk);
    await writeFile(home.file('changed.json'), '[]');
    const first = await home.run(['backup', image, '--changed', home.file('changed.json')]);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stderr, /the disk db has no recovery point to have changed since: --changed is not used, everything is read/);
    await restored('latest', disk);
    for (const sizeBytes of [133 * MIB + 1536, 66 * MIB + 512]) {
      await truncate(image, sizeBytes);
      const resized = Buffer.alloc(sizeBytes);
      disk.copy(resized);
      if (sizeBytes < disk.length) assert.ok(resized.equals(disk.subarray(0, sizeBytes)));
      const { code, stderr } = await home.run(['backup', image, '--changed', home.file('changed.json')]);
      assert.equal(code, 0, stderr);
      assert.match(stderr, new RegExp(`and has ${sizeBytes} now: --changed is not used`));
      await restored('latest', resized);
    }
    assert.equal((await home.run(['check'])).code, 0);
  });

  it('does not believe known changes that are plainly not all, whether data or zeros changed', async () => {
    const image = await home.image('liar.img', noise(3 * MIB, 41));
    await home.json(['backup', image]);
    await writeFile(home.file('changed.json'), JSON.stringify([{ offset: 4096, length: 4096 }]));
    for (const now of [noise(3 * MIB, 42), Buffer.alloc(3 * MIB), noise(3 * MIB, 43)]) {
      await writeFile(image, now);
      const { code, stdout, stderr } = await home.run(['backup', image, '--changed', home.file('changed.json'), '--json']);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /the disk liar differs at \d+ from its recovery point, which --changed does not say: --changed is not used/);
      assert.equal((JSON.parse(stdout.toString()) as BackupReport).disks[0]?.mode, 'compared');
      await restored('latest', now);
    }
  });

  it('keeps several images together as disks of one recovery point', async () => {
    const disks = [sampleDisk(5 * MIB, 7), noise(2 * MIB + 512, 9), Buffer.alloc(3 * MIB)];
    const images = await Promise.all(disks.map((disk, index) => home.image(`vm-${['os', 'data', 'empty'][index]}.img`, disk)));
    for (const mode of ['full', 'compared']) {
      const made = await home.json<BackupReport>(['backup', ...images, '--item', 'vm1']);
      assert.equal(made.consistency, 'crash-per-disk');
      assert.deepEqual(made.disks.map(({ name, lun, mode: own }) => [name, lun, own]), [['vm-os', '0', mode], ['vm-data', '1', mode], ['vm-empty', '2', mode]]);
    }
    await home.fails(['restore', 'latest', '--to', home.file('x.img')], 'DISK_AMBIGUOUS', 2);
    await home.fails(['restore', 'latest', '--to', home.file('x.img'), '--disk', 'swap'], 'DISK_NOT_FOUND', 3);
    await restored('latest', disks[0] as Buffer, '--disk', 'vm-os');
    await restored('latest', disks[1] as Buffer, '--disk', '1');
    await restored('latest', disks[2] as Buffer, '--disk', 'vm-empty', '--item', 'vm1');
  });

  it('exports raw and fixed VHD to files and, in order, to stdout', async () => {
    const disk = sampleDisk(66 * MIB + 512);
    await home.json(['backup', await home.image('srv.img', disk)]);
    for (const threads of ['0', '2']) {
      await home.json(['export', 'latest', '--format', 'vhd', '--to', home.file('srv.vhd'), '--force', '--threads', threads]);
      const vhd = await readFile(home.file('srv.vhd'));
      assert.ok(vhd.subarray(0, disk.length).equals(disk));
      const parsed = parseFooter(vhd.subarray(disk.length));
      assert.ok('footer' in parsed && parsed.footer.diskType === 'fixed' && parsed.footer.currentSizeBytes === disk.length, JSON.stringify(parsed));
      const piped = await home.run(['export', 'latest', '--format', 'vhd']);
      assert.equal(piped.code, 0, piped.stderr);
      assert.ok(piped.stdout.equals(vhd), 'the same export is the same bytes');
    }
    const raw = await home.run(['export', 'latest', '--format', 'raw', '--to', '-']);
    assert.ok(raw.stdout.equals(disk));
    const again = await home.json<BackupReport>(['backup', home.file('srv.vhd'), '--item', 'again']);
    await restored(again.recoveryPoint, disk);
  });

  it('does a dry run with the figures of a real one, and stores nothing', async () => {
    const image = await home.image('dry.img', sampleDisk(5 * MIB));
    const before = await home.objects('');
    const dry = await home.json<BackupReport>(['backup', image, '--dry-run']);
    assert.deepEqual([dry.dryRun, dry.recoveryPoint], [true, null]);
    assert.deepEqual(await home.objects(''), before);
    const real = await home.json<BackupReport>(['backup', image]);
    assert.equal(dry.stats.changedBytes, real.stats.changedBytes);
    // Ids are random, so what they compress to differs by a few bytes.
    assert.ok(Math.abs(dry.stats.storedBytes - real.stats.storedBytes) < KIB, `${dry.stats.storedBytes} ${real.stats.storedBytes}`);
  });

  it('takes nothing over with --full', async () => {
    const disk = sampleDisk(5 * MIB);
    const image = await home.image('whole.img', disk);
    const first = await home.json<BackupReport>(['backup', image]);
    const again = await home.json<BackupReport>(['backup', image, '--full']);
    assert.equal(again.disks[0]?.mode, 'full');
    assert.equal(again.parent, first.recoveryPoint);
    assert.ok(again.stats.storedBytes > MIB, JSON.stringify(again.stats));
    assert.equal((await home.run(['check'])).code, 0);
    await restored('latest', disk);
  });
});
