import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { RestoreJobView } from '../../functions/restore-view';
import { MIB, noise } from '../cli/cli-home';
import { LocalHome } from '../support/local-home';

const exec = promisify(execFile);
/** Where distributions put the programs of file systems, besides PATH. */
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
const run = async (program: string, ...args: string[]): Promise<void> => void await exec(program, args, { env });
const isThere = (program: string): boolean => spawnSync(program, ['-V'], { env, stdio: 'ignore', timeout: 10_000 }).error === undefined;

const fileSystems = [
  { name: 'ext4', sizeBytes: 24 * MIB, make: ['mkfs.ext4', '-q', '-F'], check: ['e2fsck', '-f', '-n'] },
  { name: 'xfs', sizeBytes: 320 * MIB, make: ['mkfs.xfs', '-q', '-f'], check: ['xfs_repair', '-n', '-f'] },
  { name: 'ntfs', sizeBytes: 32 * MIB, make: ['mkfs.ntfs', '-F', '-Q', '-q'], check: ['ntfsfix', '-n'] },
  { name: 'fat', sizeBytes: 32 * MIB, make: ['mkfs.vfat'], check: ['fsck.vfat', '-n'] },
] as const;

describe('restores into Azure with the real processes', function () {
  this.timeout(180_000);
  let home: LocalHome;
  beforeEach(async () => { home = await LocalHome.make(); });
  afterEach(() => home.dispose());

  /** The bytes of a disk of the stand-in, without the footer. */
  async function diskBytes(name: string): Promise<Buffer> {
    const folder = path.join(home.state, 'azure');
    const { disks } = JSON.parse(await readFile(path.join(folder, 'state.json'), 'utf8')) as { disks: Record<string, { name: string; file: string }> };
    const record = Object.values(disks).find((disk) => disk.name === name);
    assert.ok(record, `there is no disk ${name}`);
    return (await readFile(path.join(folder, 'content', record.file))).subarray(0, -512);
  }

  it('file systems come back on new disks as they were, and their own tools are content', async function () {
    const here = fileSystems.filter(({ name, make, check }) => {
      const missing = [make[0], check[0]].filter((program) => !isThere(program));
      if (missing.length > 0) console.log(`      ${missing.join(', ')} not installed here: ${name} is not tested`);
      return missing.length === 0;
    });
    if (here.length === 0) return this.skip();
    for (const { name, sizeBytes, make: [maker, ...options] } of here) {
      const image = await home.addDisk('box', `${name}.img`, Buffer.alloc(0));
      await truncate(image, sizeBytes);
      await run(maker, ...options, image);
    }
    await home.quietVault();
    const app = await home.startApp();
    const { recoveryPoint } = await app.succeeds((await app.backUp('box')).job);
    for (const { name, check: [checker, ...options] } of here) {
      const job = await home.cli.json<RestoreJobView>(['restore', recoveryPoint, '--url', app.url, '--disk', `box_${name}`, '--to-disk', `back-${name}`, '--generation', 'V2']);
      assert.equal(job.state, 'succeeded');
      const bytes = await diskBytes(`back-${name}`);
      assert.ok(bytes.equals(await readFile(path.join(home.disks, 'box', `${name}.img`))), `${name} differs`);
      await writeFile(home.cli.file(`${name}.img`), bytes);
      await run(checker, ...options, home.cli.file(`${name}.img`));
    }
    assert.equal((await app.interrupt()).code, 0);
  });

  it('45: an app that is killed in the middle goes on with the restore after its restart', async () => {
    const image = await home.addDisk('box', 'os.img', Buffer.concat([noise(80 * MIB, 1), Buffer.alloc(16 * MIB)]));
    await home.quietVault();
    const first = await home.startApp();
    const { recoveryPoint } = await first.succeeds((await first.backUp('box')).job);
    const started = await first.json<{ id: string }>(`/api/recovery-points/${recoveryPoint}/restores`, { method: 'POST', body: JSON.stringify({ id: 'kill', target: { kind: 'disk', name: 'back' } }) });
    assert.equal(started.status, 202, JSON.stringify(started.body));
    await first.untilFile(home.inVault('restores/kill/plan'));
    await first.kill();
    const second = await home.startApp();
    let job = (await second.json<RestoreJobView>('/api/jobs/restore.kill')).body;
    await second.until('the restore ended', async () => (job = (await second.json<RestoreJobView>('/api/jobs/restore.kill')).body).endedAt !== null);
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    assert.ok((await diskBytes('back')).equals(await readFile(image)));
    assert.equal((await second.interrupt()).code, 0);
  });
});
