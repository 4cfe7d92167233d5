import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { MIB, noise } from '../cli/cli-home';
import { LocalHome } from '../support/local-home';

const exec = promisify(execFile);
/** Where distributions put the programs of file systems, besides PATH. */
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
const run = async (program: string, ...args: string[]): Promise<string> => (await exec(program, args, { env })).stdout;
const isThere = (program: string): boolean => spawnSync(program, ['-V'], { env, stdio: 'ignore', timeout: 10_000 }).error === undefined;

/** The digests of all files below a folder, by path. */
async function contents(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) found[path.relative(folder, file)] = createHash('sha256').update(await readFile(file)).digest('hex');
  }
  return Object.fromEntries(Object.entries(found).sort());
}

describe('the app on this machine, with real file systems', function () {
  this.timeout(120_000);
  let home: LocalHome;
  beforeEach(async () => { home = await LocalHome.make(); });
  afterEach(() => home.dispose());

  async function emptyImage(vm: string, sizeBytes: number): Promise<string> {
    const image = await home.addDisk(vm, 'os.img', Buffer.alloc(0));
    await truncate(image, sizeBytes);
    return image;
  }

  /** The files in an ext4 image, read out of it by the tools of the file system. */
  async function filesIn(image: string): Promise<Record<string, string>> {
    const folder = `${image}.files`;
    await mkdir(folder);
    await run('debugfs', '-R', `rdump /etc /srv ${folder}`, image);
    return contents(folder);
  }

  it('brings an ext4 file system back as it was, before and after files changed: fsck is content and every file is equal', async function () {
    const missing = ['mkfs.ext4', 'e2fsck', 'debugfs'].filter((program) => !isThere(program));
    if (missing.length > 0) {
      console.log(`      ${missing.join(', ')} not installed here: ext4 is not tested`);
      return this.skip();
    }
    const tree = home.cli.file('tree');
    await mkdir(`${tree}/etc/deep/er`, { recursive: true });
    await mkdir(`${tree}/srv`);
    for (let index = 0; index < 60; index++) await writeFile(`${tree}/etc/deep/file-${index}`, noise(700 * (index + 1), index));
    await writeFile(`${tree}/etc/deep/er/empty`, '');
    await writeFile(`${tree}/srv/database`, noise(9 * MIB + 123, 100));
    await writeFile(`${tree}/srv/text`, 'the same line again and again\n'.repeat(40_000));
    const image = await emptyImage('web', 64 * MIB);
    await run('mkfs.ext4', '-q', '-F', '-d', tree, image);
    const before = await contents(tree);

    await home.quietVault();
    const app = await home.startApp();
    const first = await app.succeeds((await app.backUp('web')).job);
    const firstBytes = await readFile(image);

    await writeFile(home.cli.file('new'), noise(300_000, 200));
    await writeFile(home.cli.file('newer'), noise(50_000, 201));
    for (const command of ['rm /etc/deep/file-7', 'rm /srv/text', `write ${home.cli.file('new')} /srv/new`, `write ${home.cli.file('newer')} /etc/deep/file-7`]) {
      await run('debugfs', '-w', '-R', command, image);
    }
    const second = await app.succeeds((await app.backUp('web')).job);
    const secondBytes = await readFile(image);
    assert.ok(!secondBytes.equals(firstBytes), 'the file system did change');
    assert.ok(second.figures.readBytes > 0 && second.figures.readBytes < first.figures.readBytes / 2, `read ${second.figures.readBytes} after ${first.figures.readBytes}`);
    assert.equal((await app.interrupt()).code, 0);

    const restored = [await home.assertRestores(first.recoveryPoint, firstBytes), await home.assertRestores(second.recoveryPoint, secondBytes)] as const;
    for (const file of restored) await run('e2fsck', '-f', '-n', file);
    assert.deepEqual(await filesIn(restored[0]), before);
    const after = await filesIn(restored[1]);
    assert.deepEqual(after, await filesIn(image), 'what the file system holds now');
    assert.equal(after['srv/new'], createHash('sha256').update(noise(300_000, 200)).digest('hex'));
    assert.equal(after['etc/deep/file-7'], createHash('sha256').update(noise(50_000, 201)).digest('hex'));
    assert.ok(!('srv/text' in after) && before['srv/database'] === after['srv/database']);
  });

  const others = [
    { name: 'XFS', vm: 'xfs', sizeBytes: 320 * MIB, make: ['mkfs.xfs', '-q', '-f'], check: ['xfs_repair', '-n', '-f'] },
    { name: 'FAT', vm: 'fat', sizeBytes: 48 * MIB, make: ['mkfs.vfat'], check: ['fsck.vfat', '-n'] },
  ] as const;
  it('brings other file systems back as they were, side by side, and their own tools are content', async function () {
    const here = others.filter(({ name, make, check }) => {
      const missing = [make[0], check[0]].filter((program) => !isThere(program));
      if (missing.length > 0) console.log(`      ${missing.join(', ')} not installed here: ${name} is not tested`);
      return missing.length === 0;
    });
    if (here.length === 0) return this.skip();
    for (const { vm, sizeBytes, make: [maker, ...options] } of here) await run(maker, ...options, await emptyImage(vm, sizeBytes));
    await home.quietVault();
    const app = await home.startApp();
    const jobs = new Map<string, string>();
    for (const { vm } of here) jobs.set(vm, (await app.backUp(vm)).job);
    for (const { vm, check: [checker, ...options] } of here) {
      const { recoveryPoint } = await app.succeeds(jobs.get(vm) ?? '');
      await run(checker, ...options, await home.assertRestores(recoveryPoint, await readFile(path.join(home.disks, vm, 'os.img'))));
    }
    assert.equal((await app.interrupt()).code, 0);
  });
});
