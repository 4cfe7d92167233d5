import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openImage } from '../../../local/images/open-image';
import { makeSampleSubscription } from '../../../local/sample/make-sample';

describe('sample subscription', () => {
  let parent: string;
  beforeEach(async () => { parent = await mkdtemp(join(tmpdir(), 'holdfast-sample-')); });
  afterEach(() => rm(parent, { recursive: true, force: true }));

  async function check(folder: string): Promise<void> {
    assert.deepEqual((await readdir(folder)).sort(), ['README.txt', 'db', 'web']);
    const formats = [];
    for (const path of ['web/os.img', 'web/data.img', 'db/os.vhd']) {
      const image = await openImage(join(folder, path));
      formats.push(image.format);
      const bytes = Buffer.alloc(image.sizeBytes);
      await image.readInto(bytes, 0);
      assert.ok(bytes.some((byte) => byte !== 0), `${path} holds something`);
      await image.close();
      assert.ok((await stat(join(folder, path))).blocks * 512 < image.sizeBytes, `${path} is sparse`);
    }
    assert.deepEqual(formats, ['raw', 'raw', 'fixed-vhd']);
    assert.deepEqual(await readdir(parent), ['sample'], 'nothing is left beside it');
  }

  it('makes two machines with three disks, with a file system where the machine can make one', async function () {
    const folder = join(parent, 'sample');
    const { made, fileSystem } = await makeSampleSubscription(folder, { scale: 16 });
    assert.equal(made, true);
    await check(folder);
    if (fileSystem === 'none') {
      console.log('      mkfs.ext4 is not installed here: the file system itself is not checked');
      return;
    }
    const disk = await readFile(join(folder, 'web/os.img'));
    assert.equal(disk.readUInt16LE(1024 + 56), 0xef53, 'the superblock of ext4');
  });

  it('lays real files out where there is no mkfs, and says so', async () => {
    const folder = join(parent, 'sample');
    assert.deepEqual(await makeSampleSubscription(folder, { scale: 16, mkfsPaths: [] }), { made: true, fileSystem: 'none' });
    await check(folder);
    assert.match(await readFile(join(folder, 'README.txt'), 'utf8'), /hold no file system/);
  });

  it('is the same each time, and is made once', async () => {
    const folder = join(parent, 'sample');
    await makeSampleSubscription(folder, { scale: 32, mkfsPaths: [] });
    const first = await readFile(join(folder, 'db/os.vhd'));
    await makeSampleSubscription(join(parent, 'again'), { scale: 32, mkfsPaths: [] });
    assert.ok((await readFile(join(parent, 'again/db/os.vhd'))).equals(first));
    assert.deepEqual(await makeSampleSubscription(folder, { scale: 32 }), { made: false, fileSystem: 'unknown' });
  });

  it('leaves nothing behind when it fails, and never touches a folder with something in it', async () => {
    const folder = join(parent, 'sample');
    await mkdir(folder);
    await writeFile(join(folder, 'mine.txt'), 'mine');
    assert.equal((await makeSampleSubscription(folder)).made, false);
    assert.deepEqual(await readdir(folder), ['mine.txt']);
    const failing = join(parent, 'mkfs');
    await writeFile(failing, '#!/bin/sh\n[ "$1" = "-V" ] && exit 0\necho no space >&2\nexit 3\n', { mode: 0o755 });
    await assert.rejects(makeSampleSubscription(join(parent, 'other'), { scale: 32, mkfsPaths: [failing] }), /exit code 3\): no space/);
    assert.deepEqual((await readdir(parent)).sort(), ['mkfs', 'sample']);
  });
});
