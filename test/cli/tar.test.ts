import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, open, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { parseFooter } from '../../vault/format/vhd-footer';
import { tarHeader } from '../../cli/tar-headers';
import { type BackupReport, CliHome, type Ended, MIB, sampleDisk } from './cli-home';

const exec = promisify(execFile);

describe('holdfast export --format tar', () => {
  let home: CliHome;
  let point: string;
  const disks = [sampleDisk(5 * MIB + 512), sampleDisk(66 * MIB, 9)] as const;

  beforeEach(async () => {
    home = await CliHome.make();
    await home.init();
    const images = [await home.image('os.img', disks[0]), await home.image('data.img', disks[1])];
    ({ recoveryPoint: point } = await home.json<BackupReport>(['backup', ...images, '--item', 'web']));
  });
  afterEach(() => home.remove());

  /** Exports into a file as a shell does: the command's standard output is the file. */
  async function exported(name: string, ...more: string[]): Promise<{ archive: string; ended: Ended }> {
    const ended = await home.run(['export', point, '--format', 'tar', ...more]);
    await writeFile(home.file(name), ended.stdout);
    return { archive: home.file(name), ended };
  }

  async function extracted(archive: string): Promise<string> {
    const folder = `${archive}.d`;
    await mkdir(folder);
    await exec('tar', ['-xf', archive, '-C', folder]);
    return folder;
  }

  it('holds manifest and disks; GNU tar brings them back byte for byte, and the sums are right', async () => {
    const { archive, ended } = await exported('web.tar');
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal((await stat(archive)).size % 10_240, 0, 'whole records');
    const folder = await extracted(archive);
    assert.deepEqual((await readdir(folder)).sort(), ['SHA256SUMS', 'data.img', 'manifest.json', 'os.img']);
    assert.ok((await readFile(`${folder}/os.img`)).equals(disks[0]));
    assert.ok((await readFile(`${folder}/data.img`)).equals(disks[1]));
    const manifest = JSON.parse(await readFile(`${folder}/manifest.json`, 'utf8')) as { id: string; disks: unknown[] };
    assert.deepEqual([manifest.id, manifest.disks.length], [point, 2]);
    await exec('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: folder });
    const again = await exported('again.tar');
    assert.ok(again.ended.stdout.equals(ended.stdout), 'the same recovery point is always the same archive');
  });

  it('takes one disk alone, as a VHD, in records of another size', async () => {
    const { archive, ended } = await exported('one.tar', '--disk', 'data', '--disk-format', 'vhd', '--block-size', '65536');
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal((await stat(archive)).size % 65_536, 0);
    const folder = await extracted(archive);
    assert.deepEqual((await readdir(folder)).sort(), ['SHA256SUMS', 'data.vhd', 'manifest.json']);
    const vhd = await readFile(`${folder}/data.vhd`);
    assert.ok(vhd.subarray(0, -512).equals(disks[1]));
    assert.ok('footer' in parseFooter(vhd.subarray(-512)));
  });

  it('writes into a file that is its standard output, as a shell makes it, in whole records', async () => {
    const target = await open(home.file('direct.tar'), 'w');
    try {
      const { code, stderr } = await home.runInto(target.fd, ['export', point, '--format', 'tar', '--block-size', '32768']);
      assert.equal(code, 0, stderr);
    } finally {
      await target.close();
    }
    assert.equal((await stat(home.file('direct.tar'))).size % 32_768, 0);
    assert.ok((await readFile(`${await extracted(home.file('direct.tar'))}/os.img`)).equals(disks[0]));
  });

  it('36: a pack that is missing is found before the first byte; one that is damaged inside breaks the archive off, and it does not pass for whole', async () => {
    const packs = await Promise.all((await home.objects('packs/data')).map(async (path) => ({ path, size: (await stat(path)).size })));
    const largest = packs.sort((a, b) => b.size - a.size)[0]?.path ?? '';
    const bytes = await readFile(largest);
    const flipped = Buffer.from(bytes);
    const middle = Math.floor(bytes.length / 2);
    flipped[middle] = (flipped[middle] ?? 0) ^ 1;
    await writeFile(largest, flipped);
    const { archive, ended } = await exported('broken.tar');
    assert.equal(ended.code, 4, ended.stderr);
    const listed = await exec('tar', ['-tf', archive]).then(() => 'whole', () => 'not whole');
    assert.equal(listed, 'not whole');
    assert.ok(!ended.stdout.includes('SHA256SUMS'));
    await unlink(largest);
    const refused = await exported('none.tar');
    assert.deepEqual([refused.ended.code, refused.ended.stdout.length], [4, 0]);
    assert.match(refused.ended.stderr, /cannot be restored whole/);
  });

  it('refuses what makes no sense', async () => {
    await home.fails(['export', point, '--format', 'tar', '--to', home.file('x.tar')], 'USAGE', 2);
    for (const more of [['--block-size', '1000'], ['--block-size', '0'], ['--disk-format', 'qcow2']]) assert.equal((await exported('x', ...more)).ended.code, 2, more.join(' '));
    assert.equal((await home.run(['export', point, '--format', 'raw', '--disk', 'os', '--disk-format', 'vhd'])).code, 2);
    assert.equal((await exported('x', '--disk', 'nothing')).ended.code, 3);
  });
});

describe('headers of a tar archive', () => {
  let home: CliHome;
  beforeEach(async () => { home = await CliHome.make(); });
  afterEach(() => home.remove());

  it('tell GNU tar sizes of 8 GiB and more, long names, and names in any script', async () => {
    const sizes = [8 * 1024 ** 3 - 1, 8 * 1024 ** 3, 32 * 1024 ** 4 + 512];
    const names = ['n'.repeat(100), 'n'.repeat(101), '磁盘ü'];
    for (const sizeBytes of sizes) {
      for (const name of names) {
        const file = home.file('headers.tar');
        // Tar seeks over the bytes of a file when it only lists, so the archive may be as sparse as a disk.
        const archive = await open(file, 'w');
        const header = tarHeader({ name, sizeBytes, modifiedAtMs: Date.UTC(2026, 10, 23, 1) });
        await archive.write(header);
        if (sizeBytes < 2 ** 43) await archive.truncate(header.length + Math.ceil(sizeBytes / 512) * 512 + 1024);
        await archive.close();
        const { stdout } = await exec('tar', ['--quoting-style=literal', '--utc', '-tvf', file], { env: { ...process.env, LC_ALL: 'C.UTF-8' } }).catch((error: unknown) => error as { stdout: string });
        assert.match(stdout, new RegExp(`^-rw------- 0/0 +${sizeBytes} 2026-11-23 01:00 ${name}\n`), `${sizeBytes} ${name.length}`);
      }
    }
  });

  it('have the sum that every reader checks', () => {
    const header = tarHeader({ name: 'a', sizeBytes: 5, modifiedAtMs: 0 });
    const copy = Buffer.from(header);
    copy.fill(' ', 148, 156);
    assert.equal(parseInt(header.toString('latin1', 148, 154), 8), copy.reduce((total, byte) => total + byte, 0));
  });
});
