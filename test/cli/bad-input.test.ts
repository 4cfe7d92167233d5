import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { buildFixedFooter } from '../../vault/format/vhd-footer';
import { type BackupReport, CliHome, MIB, noise, sampleDisk } from './cli-home';
import { dynamicVhdOf } from './dynamic-vhd-maker';

describe('holdfast: bad input', () => {
  let home: CliHome;

  beforeEach(async () => {
    home = await CliHome.make();
    await home.init();
  });
  afterEach(() => home.remove());

  it('refuses what is no disk image, and has not begun a run when it does', async () => {
    const disk = noise(MIB, 3);
    const footer = buildFixedFooter(disk.length, { uniqueId: '0f8fad5b-d9cb-469f-a165-70867728950e', createdAt: 0 });
    const broken = Buffer.from(footer);
    broken.writeUInt8(broken.readUInt8(50) ^ 1, 50);
    const cases = [
      ['none.img', null, 'IMAGE_NOT_FOUND', 3],
      ['odd.img', disk.subarray(0, 1000), 'IMAGE_NOT_A_DISK', 2],
      ['empty.img', Buffer.alloc(0), 'IMAGE_NOT_A_DISK', 2],
      ['packed.img', gzipSync(disk), 'IMAGE_NOT_A_DISK', 2],
      ['other.img', Buffer.concat([Buffer.from([0x51, 0x46, 0x49, 0xfb]), disk.subarray(4)]), 'IMAGE_FORMAT_UNSUPPORTED', 2],
      ['broken.vhd', Buffer.concat([disk, broken]), 'IMAGE_VHD_BROKEN', 4],
      ['cut.vhd', dynamicVhdOf(disk).subarray(0, 600 * 1024), 'IMAGE_VHD_BROKEN', 4],
    ] as const;
    for (const [name, bytes, code, exitCode] of cases) {
      if (bytes) await home.image(name, bytes);
      const { message } = await home.fails(['backup', home.file(name)], code, exitCode);
      assert.ok(message.includes(name), message);
    }
    await home.image('good.img', disk);
    await home.fails(['backup', home.file('good.img'), home.file('empty.img'), '--item', 'two'], 'IMAGE_NOT_A_DISK', 2);
    await home.fails(['backup', home.path], 'IMAGE_NOT_A_DISK', 2);
    assert.deepEqual([await home.objects('runs'), await home.json(['list'])], [[], []]);
  });

  it('refuses changed ranges that are none, naming the entry', async () => {
    const image = await home.image('disk.img', sampleDisk(3 * MIB));
    await home.json(['backup', image]);
    const cases = [
      ['{', /not JSON/], ['{}', /no JSON array/], ['[1]', /entry 0 is 1/], ['[null]', /entry 0 is null/],
      ['[{"offset":0,"length":1},{"offset":-1,"length":5}]', /entry 1 is \{"offset":-1,"length":5\}/],
      ['[{"offset":0.5,"length":5}]', /entry 0/], ['[{"offset":"0","length":5}]', /entry 0/], ['[{"offset":0}]', /entry 0/],
      [`[{"offset":${3 * MIB},"length":1}]`, /beyond the disk's 3145728 bytes/],
    ] as const;
    for (const [text, expected] of cases) {
      await writeFile(home.file('changed.json'), text);
      assert.match((await home.fails(['backup', image, '--changed', home.file('changed.json')], 'RANGES_INVALID', 2)).message, expected);
    }
    assert.match((await home.fails(['backup', image, '--changed', home.file('none.json')], 'RANGES_INVALID', 2)).message, /cannot be read/);
    await home.fails(['backup', image, image, '--changed', home.file('changed.json')], 'USAGE', 2);
    assert.equal((await home.json<unknown[]>(['list'])).length, 1);
  });

  it('refuses what is not understood, with what to do', async () => {
    for (const args of [['frobnicate'], ['backup'], ['list', '--frobnicate'], ['restore', 'latest'], ['backup', 'x.img', '--threads', 'many'], ['export', 'latest', '--format', 'qcow2']]) {
      const { remedy } = await home.fails(args, 'USAGE', 2);
      assert.match(remedy, /holdfast help/);
    }
    await home.fails(['list'], 'VAULT_NOT_NAMED', 2, { HOLDFAST_VAULT: '' });
    await home.fails(['list', '--vault', 'ftp://server/vault'], 'VAULT_ADDRESS', 2);
    await home.fails(['list', '--vault', home.file('nowhere')], 'STORE_UNREACHABLE', 1);
    await mkdir(home.file('bare'));
    await home.fails(['list', '--vault', home.file('bare')], 'STORE_UNREACHABLE', 1);
    await writeFile(home.file('bare/other.txt'), 'x');
    await home.fails(['list', '--vault', home.file('bare')], 'VAULT_NOT_FOUND', 3);
    const image = await home.image('My Disk (1).img', noise(MIB, 1));
    await home.fails(['backup', image, '--item', 'My Disk'], 'ITEM_NAME_INVALID', 2);
    await home.fails(['backup', await home.image('___.img', noise(MIB, 1))], 'ITEM_NAME_INVALID', 2);
    assert.equal((await home.json<BackupReport>(['backup', image])).itemId, 'my-disk-1');
    await home.fails(['backup', image, image], 'USAGE', 2);
    await home.fails(['export', 'latest', '--format', 'raw'], 'USAGE', 2);
  });

  it('says which recovery point, item or disk is not there', async () => {
    await home.fails(['restore', 'latest', '--to', home.file('x.img')], 'RECOVERY_POINT_NOT_FOUND', 3);
    await home.fails(['list', '--item', 'nobody'], 'ITEM_NOT_FOUND', 3);
    const image = await home.image('web.img', sampleDisk(3 * MIB));
    const { recoveryPoint } = await home.json<BackupReport>(['backup', image]);
    for (const point of ['web.20200101T000000Z', 'nonsense', '../../etc/passwd', 'web.latest']) {
      await home.fails(['restore', point, '--to', home.file('x.img')], 'RECOVERY_POINT_NOT_FOUND', 3);
      await home.fails(['show', point], 'RECOVERY_POINT_NOT_FOUND', 3);
    }
    await home.fails(['check', 'web.20200101T000000Z'], 'RECOVERY_POINT_NOT_FOUND', 3);
    await home.fails(['check', 'nobody'], 'ITEM_NOT_FOUND', 3);
    await home.fails(['restore', 'latest', '--item', 'nobody', '--to', home.file('x.img')], 'ITEM_NOT_FOUND', 3);
    await home.fails(['restore', recoveryPoint, '--item', 'nobody', '--to', home.file('x.img')], 'RECOVERY_POINT_NOT_FOUND', 3);
    await home.fails(['restore', 'latest', '--disk', '1', '--to', home.file('x.img')], 'DISK_NOT_FOUND', 3);
    await home.json(['backup', image, '--item', 'other']);
    assert.match((await home.fails(['restore', 'latest', '--to', home.file('x.img')], 'ITEM_AMBIGUOUS', 2)).message, /other, web/);
    assert.deepEqual((await readdir(home.path)).filter((name) => name.startsWith('x.img')), []);
  });

  it('replaces a target only with --force, and never what is no plain file', async () => {
    const disk = sampleDisk(3 * MIB);
    await home.json(['backup', await home.image('web.img', disk)]);
    await home.image('there.img', Buffer.from('precious'));
    await home.fails(['restore', 'latest', '--to', home.file('there.img')], 'TARGET_EXISTS', 2);
    await home.fails(['export', 'latest', '--format', 'vhd', '--to', home.file('there.img')], 'TARGET_EXISTS', 2);
    assert.equal(await readFile(home.file('there.img'), 'utf8'), 'precious');
    await symlink(home.file('there.img'), home.file('link.img'));
    await mkdir(home.file('folder'));
    for (const target of ['link.img', 'folder']) await home.fails(['restore', 'latest', '--to', home.file(target), '--force'], 'TARGET_EXISTS', 2);
    await home.fails(['restore', 'latest', '--to', home.file('no/such/folder/x.img')], 'TARGET_WRITE_FAILED', 1);
    assert.equal(await readFile(home.file('there.img'), 'utf8'), 'precious');
    await home.json(['restore', 'latest', '--to', home.file('there.img'), '--force']);
    await home.assertSame('there.img', disk);
    assert.deepEqual((await readdir(home.path)).filter((name) => name.includes('.partial-')), []);
  });

  it('tells the stack only when it is asked for, and no secret even then', async () => {
    const { code, stderr } = await home.run(['list', '--vault', 'http://127.0.0.1:9/devstoreaccount1/vault/more?sv=2024&sig=TOPSECRET'], { HOLDFAST_DEBUG: '1' });
    assert.equal(code, 2, stderr);
    assert.match(stderr, /\n {4}at /);
    assert.ok(!stderr.includes('TOPSECRET'), stderr);
  });

  it('is not fooled by an image that was truncated between two backups', async () => {
    const disk = sampleDisk(3 * MIB);
    const image = await home.image('web.img', disk);
    await home.json(['backup', image]);
    await truncate(image, 2 * MIB + 1);
    await home.fails(['backup', image], 'IMAGE_NOT_A_DISK', 2);
    assert.equal((await home.json<unknown[]>(['list'])).length, 1);
  });
});
