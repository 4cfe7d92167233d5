import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openFolderStore } from '../../../vault/store/folder-store';
import { collect } from '../../support/store-contract';
import { makeTempFolder, type TempFolder } from '../../support/temp-folder';

const childProgram = join(__dirname, 'folder-child.js');
const isRoot = process.getuid?.() === 0;
/** A mount namespace of the child's own: what it mounts is gone with it, whatever becomes of the test. */
const ownMounts = ['--mount', ...(isRoot ? [] : ['--user', '--map-root-user'])];

describe('folder store, when its disk or its process fails', () => {
  let folder: TempFolder;

  beforeEach(async () => {
    folder = await makeTempFolder();
  });
  afterEach(() => folder.remove());

  const mountScenarios = {
    full: 'answers STORE_FULL on a full disk and shows nothing half-written',
    readOnlyDisk: 'reads from a read-only disk and answers STORE_READ_ONLY to writes',
    unmounted: 'never takes an unmounted disk for an empty vault',
  };
  for (const [scenario, title] of Object.entries(mountScenarios)) {
    it(title, function () {
      const probe = spawnSync('unshare', [...ownMounts, 'mount', '-t', 'tmpfs', 'tmpfs', folder.path]);
      if (probe.status !== 0) {
        process.stderr.write(`folder store: '${title}' needs a mount of its own, which this system does not allow\n`);
        return this.skip();
      }
      const { status, stderr } = spawnSync('unshare', [...ownMounts, process.execPath, childProgram, scenario, folder.path], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    });
  }

  it('answers STORE_ACCESS_DENIED for what it may not enter, and never that it is not there', function () {
    if (process.platform === 'win32') {
      process.stderr.write('folder store: permission bits do not bind on Windows\n');
      return this.skip();
    }
    const { status, stderr } = spawnSync(process.execPath, [childProgram, 'deniedFolder', folder.path], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });

  it('shows only whole objects, and all that were promised, after kill -9', async () => {
    let promised: string[] = [];
    for (const writesBeforeKill of [1, 20, 60]) promised = promised.concat(await writeUntilKilled(folder.path, writesBeforeKill));
    const store = await openFolderStore(folder.path);
    const listed = new Set<string>();
    for (const { name } of await collect(store.list(''))) {
      const data = await store.read(name);
      assert.equal(name, `packs/${createHash('sha256').update(data).digest('hex')}`);
      listed.add(name);
    }
    assert.deepEqual(promised.filter((name) => !listed.has(name)), []);
    assert.ok(promised.length >= 81);

    const dayMs = 24 * 60 * 60 * 1000;
    await openFolderStore(folder.path, { clock: () => Date.now() + 2 * dayMs });
    assert.deepEqual(await readdir(join(folder.path, '.tmp')), [], 'a later open removes what the killed writers left');
    assert.equal((await collect(store.list(''))).length, listed.size);
  });
});

/** Answers the names that the killed process had said were stored. */
function writeUntilKilled(path: string, writesBeforeKill: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [childProgram, 'writeForEver', path], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    const wholeLines = () => output.split('\n').slice(0, -1);
    child.stdout.on('data', (text: Buffer) => {
      output += text.toString();
      if (wholeLines().length >= writesBeforeKill) child.kill('SIGKILL');
    });
    child.stderr.on('data', (text: Buffer) => {
      errors += text.toString();
    });
    child.once('error', reject);
    child.once('close', (_code, signal) => (signal === 'SIGKILL' ? resolve(wholeLines()) : reject(new Error(`The writer ended by itself: ${errors}`))));
  });
}
