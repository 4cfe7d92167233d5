import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { open, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { backupDisk, type BackupDiskOutcome } from '../../../vault/transfer/backup-disk';
import { WINDOW_BYTES } from '../../../vault/format/format';
import { withLanes } from '../../../vault/transfer/lanes';
import { readDisk } from '../../../vault/transfer/read-disk';
import { openFolderStore } from '../../../vault/store/folder-store';
import type { Spec } from '../../../vault/transfer/transfer-factory';
import { runLanes } from '../../../vault/transfer/transfer';
import type { Lane } from '../../../vault/transfer/transfer-lane';
import type { VaultAccess } from '../../../vault/format/tree';
import { makeTempFolder, type TempFolder } from '../../support/temp-folder';
import { makeVault, noise, SparseDisk, withLane } from '../../support/vault-kit';

const factory = path.join(__dirname, '../../support/vault-thread-factory.js');
const SIZE = 2 * WINDOW_BYTES + 5000;

describe('transfer threads', function () {
  let folder: TempFolder;
  let vault: VaultAccess;
  let image: string;
  let storePath: string;
  let folders = 0;

  beforeEach(async () => {
    folder = await makeTempFolder();
    storePath = path.join(folder.path, 'vault');
    vault = makeVault(await openFolderStore(storePath, { create: true }));
    await vault.store.create('items/any', Buffer.from('a folder that is bare is taken for one that is not mounted'));
    image = path.join(folder.path, 'disk.img');
    await writeFile(image, noise(300_000, 1));
    await truncate(image, SIZE);
    await withTail(image);
  });
  afterEach(async () => {
    await vault.store.close();
    await folder.remove();
  });

  /** The sparse image ends in content, so that its last window counts. */
  async function withTail(file: string): Promise<void> {
    const handle = await open(file, 'r+');
    await handle.write(noise(9000, 2), 0, 9000, SIZE - 9000);
    await handle.close();
  }

  const plan = (source: Spec, threads = 2) => ({ factory, store: { path: storePath }, source: { path: image, ...source }, keys: vault.keys, threads });
  const backUp = (lanes: readonly Lane[]): Promise<BackupDiskOutcome> =>
    backupDisk(vault, lanes, { sizeBytes: SIZE, parent: null, changed: null, references: { folder: `references/item/${++folders}/0-0`, lineage: '1.0', parentSequence: null } });

  it('keep compiled code where the process keeps it, and load nothing that they do not use', async () => {
    const cache = path.join(folder.path, 'compiled');
    const told = path.join(folder.path, 'told.json');
    const asking = path.join(folder.path, 'asking.cjs');
    // Asked from within a thread, by the module that every lane loads.
    await writeFile(asking, `const told = { folder: require('node:module').getCompileCacheDir() ?? null, modules: Object.keys(require.cache) };
      exports.transferFactory = { openStore: async () => { require('node:fs').writeFileSync(${JSON.stringify(told)}, JSON.stringify(told)); return { close: async () => undefined }; } };`);
    const script = `const { withLanes } = require(${JSON.stringify(path.resolve(__dirname, '../../../vault/transfer/lanes.js'))});
      if (process.argv[1]) require('node:module').enableCompileCache(process.argv[1]);
      const keys = { vaultId: Buffer.alloc(16), masterKey: Buffer.alloc(32) };
      withLanes({ factory: ${JSON.stringify(asking)}, store: {}, keys, threads: 1 }, async () => undefined).then(() => process.exit(0));`;
    for (const [argument, kept] of [[cache, true], ['', false]] as const) {
      const { status, stderr } = spawnSync(process.execPath, ['-e', script, '--', argument], { env: { PATH: process.env['PATH'] }, encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      const { folder: found, modules } = JSON.parse(await readFile(told, 'utf8')) as { folder: string | null; modules: string[] };
      assert.equal(found?.startsWith(`${cache}${path.sep}`) ?? false, kept, String(found));
      assert.ok(modules.some((name) => name.endsWith('window-writer.js')) && !modules.some((name) => name.includes('/zod/')), 'schemas are for the thread that reads records');
    }
    assert.ok((await readdir(cache)).length > 0);
  });

  it('back up and restore a disk byte for byte', async () => {
    const { root } = await withLanes(plan({}), backUp);
    const target = path.join(folder.path, 'target.img');
    await writeFile(target, '');
    await truncate(target, SIZE);
    const read = await withLanes({ factory, store: { path: storePath }, sink: { path: target }, keys: vault.keys, threads: 2 }, (lanes) => readDisk(vault, lanes, { root, sizeBytes: SIZE }));
    assert.ok(read.chunks > 0);
    assert.ok((await readFile(target)).equals(await readFile(image)));
    // The same over this thread, to a target whose closing fails: what may be lost is not reported as done.
    for (const threads of [0, 1]) {
      await assert.rejects(withLanes({ factory, store: { path: storePath }, sink: { path: target, failClose: true }, keys: vault.keys, threads }, (lanes) => readDisk(vault, lanes, { root, sizeBytes: SIZE })),
        (error) => isHoldfastError(error, 'TARGET_WRITE_FAILED'), `${threads} threads`);
    }
  });

  it('ask for a new access, are given it, and go on; however many reads found it expired', async () => {
    let asked = 0;
    const outcome = await withLanes({ ...plan({ token: 'stale' }), renew: () => Promise.resolve({ token: 'fresh', asked: ++asked }) }, backUp);
    assert.ok(outcome.root);
    assert.ok(asked >= 1 && asked <= 2, `asked ${asked} times`);
  });

  it('ask for a new access to their target as well, and never give it one of the source', async () => {
    const { root } = await withLanes(plan({}), backUp);
    const target = path.join(folder.path, 'target.img');
    const restore = (lanes: readonly Lane[]) => readDisk(vault, lanes, { root, sizeBytes: SIZE });
    for (const threads of [0, 2]) {
      await writeFile(target, '');
      await truncate(target, SIZE);
      let asked = 0;
      const sinkPlan = { ...plan({ token: 'stale' }, threads), sink: { path: target, token: 'stale' }, renew: () => Promise.reject(new Error('the source was not read')) };
      await withLanes({ ...sinkPlan, renewSink: () => Promise.resolve({ token: 'fresh', asked: ++asked }) }, restore);
      assert.ok((await readFile(target)).equals(await readFile(image)));
      assert.ok(asked >= 1, 'a lane that got no window to write does not ask');
      await assert.rejects(withLanes(sinkPlan, restore), /This sink cannot be renewed/);
    }
  });

  it('fail with the reason when access is not renewed, also when the renewal throws at once', async () => {
    await assert.rejects(withLanes({ ...plan({ token: 'stale' }), renew: () => Promise.reject(new Error('the snapshot has gone')) }, backUp), /the snapshot has gone/);
    await assert.rejects(withLanes({ ...plan({ token: 'stale' }), renew: () => { throw new Error('thrown at once'); } }, backUp), /thrown at once/);
    await assert.rejects(withLanes(plan({ token: 'stale' }), backUp), /cannot be renewed/);
  });

  it('keep the code and the data of an error, and the message of any other', async () => {
    for (const threads of [0, 1]) {
      await assert.rejects(withLanes(plan({ at: WINDOW_BYTES, trouble: 'code' }, threads), backUp),
        (error) => isHoldfastError(error, 'SOURCE_UNREADABLE') && error.data.offset === 4096 && /sector/.test(error.message));
      await assert.rejects(withLanes(plan({ at: WINDOW_BYTES, trouble: 'plain' }, threads), backUp), /not an error of ours/);
    }
  });

  it('that die fail the work with what is known, and leave nothing behind', async () => {
    await assert.rejects(withLanes(plan({ at: WINDOW_BYTES, trouble: 'exit' }), backUp), /ended with code 7/);
    await assert.rejects(withLanes(plan({ at: WINDOW_BYTES, trouble: 'throw' }), backUp), /thrown in the thread/);
  });

  it('that cannot be started fail the work; the others are ended', async () => {
    const before = workers();
    await assert.rejects(withLanes(plan({ refuse: true }), backUp), (error) => isHoldfastError(error, 'IMAGE_NOT_FOUND') && error.data.path === 'nowhere');
    await assert.rejects(withLanes({ ...plan({}), factory: path.join(__dirname, 'nowhere.js') }, backUp));
    assert.equal(workers(), before, 'no thread is left');
  });

  it('may be closed twice, here and in a thread', async () => {
    for (const threads of [0, 1]) {
      await withLanes(plan({}, threads), async (lanes) => {
        for (const lane of lanes) await lane.close();
      });
    }
  });

  it('keep what went wrong first, though closing fails too', async () => {
    const target = path.join(folder.path, 'target.img');
    await writeFile(target, '');
    for (const threads of [0, 1]) {
      await assert.rejects(withLanes({ factory, store: { path: storePath }, sink: { path: target, failClose: true }, keys: vault.keys, threads }, () => Promise.reject(new Error('the work failed'))), /the work failed/);
    }
  });
});

/** Threads of this process that are alive. */
const workers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort' || name === 'Worker').length;

describe('lanes', () => {
  it('stop at the first failure, let what is under way end, and tell that failure', async () => {
    const done: number[] = [];
    const lane = {} as Lane;
    await assert.rejects(runLanes([lane, lane], [1, 2, 3, 4, 5, 6], async (_lane, job) => {
      await new Promise(setImmediate);
      if (job === 3) throw new Error('job 3 failed');
      done.push(job);
    }), /job 3 failed/);
    assert.deepEqual(done.sort(), [1, 2, 4]);
  });

  it('do each job once, whatever the number of lanes, and refuse to do them with none', async () => {
    const lane = {} as Lane;
    for (const count of [1, 2, 5, 20]) {
      const results = await runLanes(Array.from({ length: count }, () => lane), Array.from({ length: 11 }, (_, index) => index), async (_lane, job) => Promise.resolve(job));
      assert.deepEqual(results.sort((a, b) => a - b), Array.from({ length: 11 }, (_, index) => index));
    }
    await assert.rejects(runLanes([], [1], () => Promise.resolve(1)), (error) => isHoldfastError(error, 'INTERNAL'));
  });

  it('close what they opened when the rest cannot be opened', async () => {
    let closed = 0;
    const store = { ...makeVault().store, close: () => { closed++; return Promise.resolve(); } } as VaultAccess['store'];
    const sink = new SparseDisk(10);
    sink.close = () => { closed++; return Promise.reject(new Error('closing fails')); };
    const broken = { root: { id: Buffer.alloc(32), pack: 'ab'.repeat(16), offset: 1, length: 99 }, sizeBytes: 10 };
    store.read = () => Promise.reject(new Error('the store is gone'));
    await assert.rejects(withLane({ store, keys: makeVault().keys }, { source: new SparseDisk(10), sink, champions: [broken] }, () => Promise.resolve()), /the store is gone/);
    assert.equal(closed, 2);
  });
});
