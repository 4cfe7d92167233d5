import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { link, readFile, rename, rm, stat, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { unfinishedName } from '../../cli/patch-image';
import { buildFixedFooter } from '../../vault/format/vhd-footer';
import { type BackupReport, CliHome, fresh, MIB, sampleDisk } from './cli-home';

interface Patched { readonly differential: boolean; readonly comparedBytes: number; readonly writtenBytes: number; readonly resumed: boolean }

describe('holdfast restore --differential', () => {
  let home: CliHome;
  let point: string;
  const disk = sampleDisk(66 * MIB + 512);

  beforeEach(async () => {
    home = await CliHome.make();
    await home.init();
    ({ recoveryPoint: point } = await home.json<BackupReport>(['backup', await home.image('web.img', disk)]));
  });
  afterEach(() => home.remove());

  const patch = (name: string, ...more: string[]): Promise<Patched> => home.json(['restore', point, '--to', home.file(name), '--differential', ...more]);

  it('writes only what differs, clears what must be zeros, and gives the file its size', async () => {
    for (const threads of ['0', '2']) {
      const changed = Buffer.from(disk);
      fresh(4096).copy(changed, 300_000);
      fresh(4096).copy(changed, 10 * MIB);
      changed.fill(0, 33 * MIB + 4096, 33 * MIB + 12_288);
      await home.image('target.img', changed);
      const { ino } = await stat(home.file('target.img'));
      const { differential, comparedBytes, writtenBytes, resumed } = await patch('target.img', '--threads', threads);
      assert.deepEqual([differential, comparedBytes, resumed], [true, disk.length, false]);
      assert.ok(writtenBytes > 0 && writtenBytes <= 4 * 256 * 1024, `${writtenBytes} written`);
      await home.assertSame('target.img', disk);
      assert.equal((await stat(home.file('target.img'))).ino, ino, 'it is the same file');
      assert.equal((await patch('target.img', '--threads', threads)).writtenBytes, 0, 'nothing is left to write');
    }
    for (const sizeBytes of [0, 1000, 40 * MIB, disk.length + 5 * MIB]) {
      await truncate(home.file('target.img'), sizeBytes);
      await patch('target.img');
      await home.assertSame('target.img', disk);
    }
    assert.ok(!existsSync(unfinishedName(home.file('target.img'))));
  });

  it('compares bytes, not formats: a file that ends like a VHD is one more thing that differs', async () => {
    const footer = buildFixedFooter(disk.length - 512, { uniqueId: '0f8fad5b-d9cb-469f-a165-70867728950e', createdAt: 0 });
    await home.image('target.img', Buffer.concat([disk.subarray(0, -512), footer]));
    await patch('target.img');
    await home.assertSame('target.img', disk);
  });

  it('40, 45: what was broken off has another name, never passes for whole, and the same command finishes it', async () => {
    const target = home.file('target.img');
    await home.image('target.img', fresh(disk.length));
    const running = home.start(['restore', point, '--to', target, '--differential', '--threads', '0']);
    await running.until('the file has its other name', () => existsSync(unfinishedName(target)));
    running.child.kill('SIGKILL');
    await running.ended;
    assert.ok(!existsSync(target) || (await readFile(target)).equals(disk));
    const { resumed } = await patch('target.img');
    assert.equal(resumed, true);
    await home.assertSame('target.img', disk);
    // Killed between its two last steps it has both names.
    await link(target, unfinishedName(target));
    assert.equal((await patch('target.img')).resumed, true);
    await home.assertSame('target.img', disk);
    assert.ok(!existsSync(unfinishedName(target)));
  });

  it('36: a damaged recovery point is refused before the file is touched; damage that is met on the way leaves the file under its other name', async () => {
    const target = home.file('target.img');
    const changed = Buffer.from(disk);
    fresh(64 * 1024).copy(changed, 0);
    await home.image('target.img', changed);
    // The first chunk of every pack, because which of them has the disk's first chunk is up to the threads.
    const packs = await Promise.all((await home.objects('packs/data')).map(async (path) => ({ path, bytes: await readFile(path) })));
    assert.ok(packs.length > 0);
    for (const { path, bytes } of packs) {
      const flipped = Buffer.from(bytes);
      flipped[200] = (flipped[200] ?? 0) ^ 1;
      await writeFile(path, flipped);
    }
    const failed = await home.fails(['restore', point, '--to', target, '--differential'], 'PACK_DAMAGED', 4);
    assert.equal(failed.data.unfinished, unfinishedName(target));
    assert.deepEqual([existsSync(target), existsSync(unfinishedName(target))], [false, true]);
    for (const { path, bytes } of packs) await writeFile(path, bytes);
    await patch('target.img');
    await home.assertSame('target.img', disk);
    await unlink(packs[0]?.path ?? '');
    await home.image('target.img', changed);
    await home.fails(['restore', point, '--to', target, '--differential'], 'RESTORE_DAMAGED', 4);
    await home.assertSame('target.img', changed);
  });

  it('refuses a target that is not there, is no plain file, or is there twice', async () => {
    const target = home.file('target.img');
    await home.fails(['restore', point, '--to', target, '--differential'], 'IMAGE_NOT_FOUND', 3);
    await home.fails(['restore', point, '--to', target, '--differential', '--force'], 'USAGE', 2);
    await home.image('real.img', disk);
    await symlink(home.file('real.img'), target);
    await home.fails(['restore', point, '--to', target, '--differential'], 'TARGET_EXISTS', 2);
    await rm(target);
    await rename(home.file('real.img'), target);
    await home.image('target.img.holdfast-partial', fresh(4096));
    await home.fails(['restore', point, '--to', target, '--differential'], 'TARGET_EXISTS', 2);
    await home.assertSame('target.img', disk);
  });
});
