import assert from 'node:assert/strict';
import { chmod, link, lstat, mkdir, readdir, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ErrorCode } from '../../../errors/catalogue';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { folderError } from '../../../vault/store/folder-errors';
import { publish } from '../../../vault/store/folder-files';
import { openFolderStore } from '../../../vault/store/folder-store';
import { listNames } from '../../../vault/store/list-names';
import type { Store } from '../../../vault/store/store';
import { collect, storeContract } from '../../support/store-contract';
import { makeTempFolder, type TempFolder } from '../../support/temp-folder';

// As on a disk of this machine, and as on a network share.
for (const [where, blocking] of [['', true], [' whose calls may not block', false]] as const) {
  storeContract(`folder${where}`, async () => {
    const folder = await makeTempFolder();
    const store = await openFolderStore(folder.path, { create: true, blocking });
    return { store, reopen: () => openFolderStore(folder.path, { blocking }), dispose: folder.remove };
  }, { manyNames: blocking ? 1500 : 100 });
}

const some = Buffer.from('some');
const hasCode = (code: ErrorCode) => (error: unknown) => isHoldfastError(error, code);
const names = async (store: Store) => (await collect(store.list(''))).map(({ name }) => name);

describe('folder store', () => {
  let folder: TempFolder;
  let path: string;
  const inVault = (...parts: string[]) => join(path, ...parts);

  beforeEach(async () => {
    folder = await makeTempFolder();
    path = join(folder.path, 'above', 'vault');
  });
  afterEach(() => folder.remove());

  it('does not open a folder that is missing, bare or a file, unless it may make it', async () => {
    await assert.rejects(openFolderStore(path), hasCode('STORE_UNREACHABLE'));
    await mkdir(path, { recursive: true });
    await assert.rejects(openFolderStore(path), hasCode('STORE_UNREACHABLE'));
    await writeFile(inVault('file'), '');
    await assert.rejects(openFolderStore(inVault('file')), hasCode('STORE_UNREACHABLE'));
    await assert.rejects(openFolderStore(join(folder.path, 'other'), { create: true, readOnly: true }), hasCode('STORE_UNREACHABLE'));
  });

  it('opens again what it made, while that is still empty', async () => {
    await openFolderStore(path, { create: true });
    assert.deepEqual(await names(await openFolderStore(path)), []);
    assert.deepEqual(await names(await openFolderStore(path, { create: true })), []);
  });

  it('opens a copy that lost its .tmp, and writes to it', async () => {
    await (await openFolderStore(path, { create: true })).create('a/b', some);
    await rm(inVault('.tmp'), { recursive: true });
    const store = await openFolderStore(path);
    assert.deepEqual(await names(store), ['a/b']);
    assert.equal(await store.create('a/c', some), 'created');
  });

  it('answers STORE_UNREACHABLE when the vault folder vanishes', async () => {
    const store = await openFolderStore(path, { create: true });
    await store.create('a/b', some);
    await rename(path, `${path}-moved`);
    const attempts = [() => store.read('a/b'), () => store.stat('a/b'), () => store.delete('a/b'), () => store.create('a/c', some), () => collect(store.list('')), () => collect(store.list('a/'))];
    for (const attempt of attempts) await assert.rejects(attempt(), hasCode('STORE_UNREACHABLE'), String(attempt));
    await assert.rejects(lstat(path), 'the writer did not make a new vault');
  });

  it('makes folders again that someone removed', async () => {
    const store = await openFolderStore(path, { create: true });
    await store.create('a/b/c', some);
    await rm(inVault('a'), { recursive: true });
    await rm(inVault('.tmp'), { recursive: true });
    assert.equal(await store.create('a/b/d', some), 'created');
    assert.deepEqual(await names(store), ['a/b/d']);
  });

  it('writes nothing when it was opened for reading', async () => {
    await (await openFolderStore(path, { create: true })).create('a', some);
    await rm(inVault('.tmp'), { recursive: true });
    const store = await openFolderStore(path, { readOnly: true });
    await assert.rejects(store.create('b', some), hasCode('STORE_READ_ONLY'));
    await assert.rejects(store.delete('a'), hasCode('STORE_READ_ONLY'));
    assert.equal((await store.read('a')).toString(), 'some');
    assert.deepEqual(await readdir(path), ['a']);
  });

  it('keeps files and folders to their owner', async function () {
    if (process.platform === 'win32') {
      process.stderr.write('folder store: Windows has no permission bits to look at\n');
      return this.skip();
    }
    await (await openFolderStore(path, { create: true })).create('a/b', some);
    const modes = await Promise.all([path, inVault('a'), inVault('.tmp'), inVault('a', 'b')].map(async (each) => (await stat(each)).mode & 0o777));
    assert.deepEqual(modes, [0o700, 0o700, 0o700, 0o600]);
  });

  it('removes leftovers of crashed writers after a day, and nothing else', async () => {
    const store = await openFolderStore(path, { create: true });
    await store.create('a', some);
    const leftover = (digit: string) => inVault('.tmp', `${digit.repeat(8)}-1111-1111-1111-111111111111.part`);
    const age = async (file: string, hours: number) => {
      await writeFile(file, 'part');
      const at = Date.now() / 1000 - hours * 3600;
      await utimes(file, at, at);
    };
    await age(leftover('1'), 25);
    await age(leftover('2'), 23);
    await age(inVault('.tmp', 'notes.txt'), 1000);
    assert.deepEqual(await names(store), ['a'], 'a leftover is no object');
    await openFolderStore(path, { readOnly: true });
    assert.equal((await readdir(inVault('.tmp'))).length, 3);
    await openFolderStore(path);
    assert.deepEqual((await readdir(inVault('.tmp'))).sort(), ['22222222-1111-1111-1111-111111111111.part', 'notes.txt']);
  });

  it('follows no link out of the vault, and says so instead of passing over it', async () => {
    const store = await openFolderStore(path, { create: true });
    await store.create('a/b', some);
    const outside = join(folder.path, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
    await symlink(outside, inVault('linked'));
    await symlink(join(outside, 'secret'), inVault('a', 'file'));
    for (const name of ['linked/secret', 'a/file']) {
      await assert.rejects(store.read(name), hasCode('STORE_FAILED'), name);
      await assert.rejects(store.stat(name), hasCode('STORE_FAILED'), name);
    }
    await assert.rejects(store.create('linked/new', some), hasCode('STORE_FAILED'));
    await assert.rejects(store.delete('linked/secret'), hasCode('STORE_FAILED'));
    await assert.rejects(names(store), hasCode('STORE_FAILED'));
    await assert.rejects(collect(listNames(store, '')), hasCode('STORE_FAILED'));
    for (const list of [store.list('linked/'), listNames(store, 'linked/')]) await assert.rejects(collect<unknown>(list), hasCode('STORE_FAILED'));
    assert.deepEqual(await readdir(outside), ['secret']);
  });

  it('may itself be reached through a link', async () => {
    await (await openFolderStore(path, { create: true })).create('a', some);
    await symlink(path, join(folder.path, 'link'));
    assert.deepEqual(await names(await openFolderStore(join(folder.path, 'link'))), ['a']);
  });

  it('does not mistake a folder for an object, nor an object for a folder', async () => {
    const store = await openFolderStore(path, { create: true });
    await store.create('a/b', some);
    await assert.rejects(store.create('a', some), hasCode('STORE_NAME'));
    await assert.rejects(store.create('a/b/c', some), hasCode('STORE_NAME'));
    assert.deepEqual(await names(store), ['a/b']);
  });

  it('passes over files that no store could have written', async () => {
    const store = await openFolderStore(path, { create: true });
    await store.create('a', some);
    await mkdir(inVault('lost+found'));
    await chmod(inVault('lost+found'), 0o000);
    await writeFile(inVault('copy of a'), 'x');
    assert.deepEqual(await names(store), ['a']);
    await chmod(inVault('lost+found'), 0o700);
  });

  it('refuses a disk without hard links, and tells it from a mere refusal', async () => {
    const temporaryPath = join(folder.path, 'part');
    await writeFile(temporaryPath, 'x');
    const refusing = (refuses: (target: string) => boolean, code: string): typeof link => async (from, to) => {
      if (refuses(String(to))) throw Object.assign(new Error(`${code}: no`), { code });
      await link(from, to);
    };
    const final = join(folder.path, 'final');
    for (const code of ['EPERM', 'ENOTSUP', 'EOPNOTSUPP']) {
      await assert.rejects(publish(temporaryPath, final, refusing(() => true, code)), (error) => isHoldfastError(error, 'STORE_FAILED') && /hard links/.test(error.message), code);
    }
    await assert.rejects(publish(temporaryPath, final, refusing((target) => target === final, 'EPERM')), { code: 'EPERM' });
    assert.deepEqual(await readdir(folder.path), ['part']);
  });

  it('reads each failure of the system for what it means, and none as an absence', () => {
    const meanings: Record<string, ErrorCode> = {
      ENOSPC: 'STORE_FULL', EDQUOT: 'STORE_FULL', EROFS: 'STORE_READ_ONLY', EACCES: 'STORE_ACCESS_DENIED', EPERM: 'STORE_ACCESS_DENIED',
      ENOENT: 'STORE_UNREACHABLE', ESTALE: 'STORE_UNREACHABLE', ENOTCONN: 'STORE_UNREACHABLE', EIO: 'STORE_FAILED', EMFILE: 'STORE_FAILED',
    };
    for (const [code, meaning] of Object.entries(meanings)) {
      const cause = Object.assign(new Error(`${code}: no`), { code });
      const error = folderError(cause, 'read a', '/vault');
      assert.equal(error.code, meaning, code);
      assert.equal(error.cause, cause);
      assert.deepEqual(error.data, { systemError: code });
    }
  });
});
