// A process of its own for what a test process cannot do to itself: run out of space, lose its disk or rights, or be killed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { chmod, chown, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isHoldfastError } from '../../../errors/holdfast-error';
import type { ErrorCode } from '../../../errors/catalogue';
import { openFolderStore } from '../../../vault/store/folder-store';
import type { Store } from '../../../vault/store/store';
import { collect } from '../../support/store-contract';

const fails = (promise: Promise<unknown>, code: ErrorCode) => assert.rejects(promise, (error) => isHoldfastError(error, code) || assert.fail(`${code} was expected, not ${String(error)}`));
const some = Buffer.from('some');
const nobody = 65534;

const scenarios: Record<string, (path: string) => Promise<void>> = { full, readOnlyDisk, unmounted, deniedFolder, writeForEver };

async function full(path: string): Promise<void> {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path]);
  const store = await openFolderStore(path, { create: true });
  const stored: string[] = [];
  const fill = async () => {
    for (let i = 0; ; i += 1) {
      await store.create(`packs/${i}`, Buffer.alloc(100_000, i));
      stored.push(`packs/${i}`);
    }
  };
  await fails(fill(), 'STORE_FULL');
  assert.ok(stored.length > 5);
  await fails(store.create('big', Buffer.alloc(5_000_000)), 'STORE_FULL');
  assert.deepEqual(await readdir(join(path, '.tmp')), [], 'a failed write leaves nothing behind');
  const listed = await collect(store.list(''));
  assert.deepEqual(listed.map(({ name }) => name), stored.toSorted());
  assert.ok(listed.every(({ sizeBytes }) => sizeBytes === 100_000));
  assert.equal(await store.create('packs/0', Buffer.alloc(100_000)), 'exists', 'what is there needs no space');
  await store.delete('packs/0');
  assert.equal(await store.create('packs/again', Buffer.alloc(50_000)), 'created', 'space that was made is used');
}

async function readOnlyDisk(path: string): Promise<void> {
  await (await openFolderStore(path, { create: true })).create('a/b', some);
  execFileSync('mount', ['--bind', path, path]);
  execFileSync('mount', ['-o', 'remount,ro,bind', path]);
  const store = await openFolderStore(path);
  assert.equal((await store.read('a/b')).toString(), 'some');
  await fails(store.create('a/c', some), 'STORE_READ_ONLY');
  await fails(store.delete('a/b'), 'STORE_READ_ONLY');
  assert.deepEqual((await collect(store.list(''))).map(({ name }) => name), ['a/b']);
}

async function unmounted(path: string): Promise<void> {
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path]);
  const store = await openFolderStore(path, { create: true });
  await store.create('a/b', some);
  execFileSync('umount', [path]);
  await assertUnreachable(store);
  await fails(openFolderStore(path), 'STORE_UNREACHABLE');
  assert.deepEqual(await readdir(path), [], 'nothing was written where the disk was');
}

async function assertUnreachable(store: Store): Promise<void> {
  await fails(store.read('a/b'), 'STORE_UNREACHABLE');
  await fails(store.stat('a/b'), 'STORE_UNREACHABLE');
  await fails(store.delete('a/b'), 'STORE_UNREACHABLE');
  await fails(collect(store.list('')), 'STORE_UNREACHABLE');
  await fails(collect(store.list('a/')), 'STORE_UNREACHABLE');
  await fails(store.create('a/c', some), 'STORE_UNREACHABLE');
}

/** Root passes every permission bit, so root becomes somebody else first. */
async function deniedFolder(path: string): Promise<void> {
  if (process.getuid?.() === 0) {
    await chown(path, nobody, nobody);
    process.setgid?.(nobody);
    process.setuid?.(nobody);
  }
  const writer = await openFolderStore(path, { create: true });
  for (const name of ['a/x', 'b/x', 'c/x']) await writer.create(name, some);
  await chmod(join(path, 'b'), 0o000);
  // A store that has not seen the folder, and one that has.
  for (const store of [await openFolderStore(path), writer]) {
    const seen: string[] = [];
    const list = async () => {
      for await (const { name } of store.list('')) seen.push(name);
    };
    await fails(list(), 'STORE_ACCESS_DENIED');
    assert.deepEqual(seen, ['a/x']);
    await fails(store.read('b/x'), 'STORE_ACCESS_DENIED');
    await fails(store.stat('b/x'), 'STORE_ACCESS_DENIED');
    await fails(store.delete('b/x'), 'STORE_ACCESS_DENIED');
    await fails(store.create('b/y', some), 'STORE_ACCESS_DENIED');
  }
  await chmod(join(path, 'b'), 0o500);
  await fails(writer.create('b/y', some), 'STORE_ACCESS_DENIED');
  await fails(writer.delete('b/x'), 'STORE_ACCESS_DENIED');
  assert.deepEqual(await readdir(join(path, '.tmp')), []);
  await chmod(path, 0o000);
  await fails(openFolderStore(path), 'STORE_ACCESS_DENIED');
  await chmod(path, 0o700);
}

/** Objects named by their own hash, so that whoever finds one can tell whether it is whole. A line for each one that is promised to be there. */
async function writeForEver(path: string): Promise<void> {
  const store = await openFolderStore(path, { create: true });
  const writer = async () => {
    for (;;) {
      const data = randomBytes(randomInt(1, 400_000));
      const name = `packs/${createHash('sha256').update(data).digest('hex')}`;
      await store.create(name, data);
      process.stdout.write(`${name}\n`);
    }
  };
  await Promise.all(Array.from({ length: 6 }, writer));
}

const [scenario = '', path = ''] = process.argv.slice(2);
const run = scenarios[scenario];
if (run === undefined) throw new Error(`No scenario ${scenario}`);
run(path).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
