import { type Dirent, lstatSync, readdirSync, type Stats } from 'node:fs';
import { lstat, mkdir, readdir, realpath, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { HoldfastError } from '../../errors/holdfast-error';
import { folderError, isMissing, systemCode } from './folder-errors';
import { closeFile, folderMode, KnownFolders, linkInVault, openToRead, publish, readInto, readSmall, removeLeftovers, removeTemporary, statFile, statLink, syncFolder, writeTemporary } from './folder-files';
import { LocalCalls } from './local-calls';
import { assertByteRange, assertNamePrefix, assertObjectName, compareNames, isNameIn, temporaryFolderName } from './object-names';
import type { ByteRange, ObjectInfo, Store } from './store';
import { objectNotFound, rangePastEnd } from './store-errors';

export interface FolderStoreOptions {
  /** Make the folder, and the folders above it, when it is not there. Without it a missing or bare folder is STORE_UNREACHABLE: it may be a disk that is not mounted. */
  readonly create?: boolean;
  /** Refuse every write, and leave the folder exactly as it is. */
  readonly readOnly?: boolean;
  /** Milliseconds since 1970; decides which leftovers of crashed writers are old enough to remove. */
  readonly clock?: () => number;
  /** Whether small calls may block (local-calls.ts); by default where the folder lies on a disk of this machine. */
  readonly blocking?: boolean;
}

/**
 * A vault in a folder: an object is a file of the same name. A new object is written under `.tmp/`, synced, linked to
 * its name (which fails if the name is taken) and its folder is synced, so a crash at any instant leaves all or nothing.
 */
export async function openFolderStore(path: string, options: FolderStoreOptions = {}): Promise<Store> {
  const description = resolve(path);
  const writable = options.readOnly !== true;
  try {
    if (options.create === true && writable) await makeRoot(description);
    const root = await realpath(description);
    const { dev } = await assertFolder(root);
    const temporaryFolder = join(root, temporaryFolderName);
    if (options.create !== true && (await readdir(root)).length === 0) {
      throw new HoldfastError('STORE_UNREACHABLE', `${description} is bare: it was never a vault, or its disk is not mounted`);
    }
    if (writable) await removeLeftovers(temporaryFolder, (options.clock ?? Date.now)());
    return new FolderStore(description, root, dev, writable, options.blocking === undefined ? await LocalCalls.of(root) : new LocalCalls(options.blocking));
  } catch (error) {
    throw folderError(error, 'open the vault', description);
  }
}

const NOTHING_THERE = { throwIfNoEntry: false } as const;

/** Files that a list asks after at once. */
const PARALLEL_STATS = 16;

class FolderStore implements Store {
  readonly description: string;
  readonly #root: string;
  /** The root with one separator behind it. */
  readonly #prefix: string;
  readonly #device: number;
  readonly #writable: boolean;
  readonly #local: LocalCalls;
  readonly #folders: KnownFolders;

  constructor(description: string, root: string, device: number, writable: boolean, local: LocalCalls) {
    this.description = description;
    this.#root = root;
    this.#prefix = join(root, sep);
    this.#device = device;
    this.#writable = writable;
    this.#local = local;
    this.#folders = new KnownFolders(root);
  }

  async create(name: string, data: Uint8Array): Promise<'created' | 'exists'> {
    assertObjectName(name);
    this.#assertWritable(`create ${name}`);
    try {
      return await this.#create(name, data);
    } catch (error) {
      if (!isMissing(error)) throw folderError(error, `create ${name}`, this.description);
    }
    // A folder that was there before has been removed since: make it again, but never on what is left of an unmounted disk.
    try {
      await this.#assertRoot();
      this.#folders.forget();
      return await this.#create(name, data);
    } catch (error) {
      throw folderError(error, `create ${name}`, this.description);
    }
  }

  async read(name: string, range?: ByteRange): Promise<Buffer> {
    assertObjectName(name);
    if (range !== undefined) assertByteRange(range);
    try {
      const found = await this.#read(name, range);
      if (found !== undefined) return found;
      await this.#assertRoot();
    } catch (error) {
      throw folderError(error, `read ${name}`, this.description);
    }
    throw objectNotFound(this.description, name);
  }

  async stat(name: string): Promise<ObjectInfo | undefined> {
    assertObjectName(name);
    try {
      const path = this.#path(name);
      const info = (await this.#folders.exist(foldersOf(name))) ? await fileInfo(name, path) : undefined;
      if (info === undefined) await this.#assertRoot();
      return info;
    } catch (error) {
      throw folderError(error, `look at ${name}`, this.description);
    }
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    for await (const files of this.#files(prefix)) {
      // A few at once: the time of a list is that of its many small questions.
      for (let next = 0; next < files.length; next += PARALLEL_STATS) yield* await this.#infos(prefix, files.slice(next, next + PARALLEL_STATS));
    }
  }

  async *listNames(prefix: string): AsyncGenerator<string> {
    for await (const files of this.#files(prefix)) yield* files;
  }

  async delete(name: string): Promise<'deleted' | 'absent'> {
    assertObjectName(name);
    this.#assertWritable(`delete ${name}`);
    try {
      const path = this.#path(name);
      if ((await this.#folders.exist(foldersOf(name))) && (await removeFile(path))) {
        await syncFolder(dirname(path));
        return 'deleted';
      }
      await this.#assertRoot();
      return 'absent';
    } catch (error) {
      throw folderError(error, `delete ${name}`, this.description);
    }
  }

  /** The time of a new temporary file: on a network share that is the server's clock, as in the times of all others. */
  async serverTimeMs(): Promise<number> {
    if (!this.#writable) return Date.now();
    try {
      await this.#makeTemporaryFolder();
      const path = await writeTemporary(join(this.#root, temporaryFolderName), Buffer.from('t'));
      try {
        return Math.floor((await lstat(path)).mtimeMs);
      } finally {
        await removeTemporary(path);
      }
    } catch (error) {
      throw folderError(error, 'ask for the time', this.description);
    }
  }

  async close(): Promise<void> {}

  async #create(name: string, data: Uint8Array): Promise<'created' | 'exists'> {
    const path = this.#path(name);
    await this.#makeTemporaryFolder();
    await this.#folders.make(foldersOf(name));
    // A step that runs twice writes nothing the second time; the publication below is what decides.
    if (await isTaken(name, path)) {
      await syncFolder(dirname(path));
      return 'exists';
    }
    const temporaryPath = await writeTemporary(join(this.#root, temporaryFolderName), data);
    try {
      const outcome = await publish(temporaryPath, path);
      // For 'exists' too: the caller will build on that object, whose own writer may not have come to its sync yet.
      await syncFolder(dirname(path));
      return outcome;
    } finally {
      await removeTemporary(temporaryPath);
    }
  }

  /** The root is checked only when the folder is not known yet, which is once for each opened store. */
  async #makeTemporaryFolder(): Promise<void> {
    if (await this.#folders.exist([temporaryFolderName])) return;
    await this.#assertRoot();
    await this.#folders.make([temporaryFolderName]);
  }

  async #read(name: string, range: ByteRange | undefined): Promise<Buffer | undefined> {
    if (!(await this.#folders.exist(foldersOf(name)))) return undefined;
    const path = this.#path(name);
    let file;
    try {
      const small = range === undefined ? await this.#local.run(() => readSmall(path), () => Promise.resolve(null)) : null;
      if (small !== null) return small;
      file = await openToRead(path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw systemCode(error) === 'ELOOP' ? linkInVault(path) : error;
    }
    try {
      const found = await statFile(file);
      if (!found.isFile()) return undefined;
      const wanted = range ?? { offset: 0, length: found.size };
      if (wanted.offset + wanted.length > found.size) throw rangePastEnd(this.description, name, wanted, found.size);
      const data = await readInto(file, wanted.offset, wanted.length);
      if (data.length < wanted.length) throw rangePastEnd(this.description, name, wanted, wanted.offset + data.length);
      return data;
    } finally {
      await closeFile(file);
    }
  }

  /** The names of a list, some at a time. */
  async *#files(prefix: string): AsyncGenerator<string[]> {
    assertNamePrefix(prefix);
    try {
      const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      if (await this.#folders.exist(foldersOf(prefix))) yield* this.#walk(folder, prefix);
      // After the last entry, because a disk that went away in the middle looks like folders that became empty.
      await this.#assertRoot();
    } catch (error) {
      throw folderError(error, `list ${prefix}`, this.description);
    }
  }

  /** Depth first, one folder's entries in memory at a time and level: the files up to the next folder, at a time. `folder` is '' or ends in a slash. */
  async *#walk(folder: string, prefix: string): AsyncGenerator<string[]> {
    const levels = [{ entries: await this.#entries(folder, prefix), next: 0 }];
    for (let level = levels.at(-1); level; level = levels.at(-1)) {
      const { entries, next } = level;
      const entry = entries[next];
      if (entry === undefined) {
        levels.pop();
      } else if (entry.isFolder) {
        level.next++;
        levels.push({ entries: await this.#entries(entry.name, prefix), next: 0 });
      } else {
        while (entries[level.next]?.isFolder === false) level.next++;
        yield entries.slice(next, level.next).map(({ name }) => name);
      }
    }
  }

  /** What of a folder belongs into a list, in its order; nothing when it is gone since the folder above was read: the end of the list checks that the vault itself is still there. */
  async #entries(folder: string, prefix: string): Promise<ListedEntry[]> {
    const path = join(this.#root, folder);
    try {
      return listed(await this.#local.run(() => readdirSync(path, { withFileTypes: true }), () => readdir(path, { withFileTypes: true })), folder, prefix);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  async #infos(prefix: string, names: readonly string[]): Promise<ObjectInfo[]> {
    try {
      const found = await this.#local.run(
        () => names.map((name) => infoOf(name, lstatSync(this.#path(name), NOTHING_THERE))),
        () => Promise.all(names.map((name) => fileInfo(name, this.#path(name)))),
      );
      return found.filter((info) => info !== undefined);
    } catch (error) {
      throw folderError(error, `list ${prefix}`, this.description);
    }
  }

  /** Names are checked, so there is nothing that `join` would have to clear up. */
  #path(name: string): string {
    return `${this.#prefix}${name}`;
  }

  #assertWritable(action: string): void {
    if (!this.#writable) throw new HoldfastError('STORE_READ_ONLY', `Could not ${action}: ${this.description} was opened for reading only`);
  }

  /**
   * Nothing is "not there" unless the vault itself is. A disk that was unmounted leaves the bare folder it was mounted
   * on, which lies on another device; a network mount that came back with another device number has the `.tmp` marker.
   */
  async #assertRoot(): Promise<void> {
    const { dev } = await assertFolder(this.#root);
    if (dev === this.#device) return;
    const marker = await lstat(join(this.#root, temporaryFolderName)).catch((error: unknown) => {
      throw new HoldfastError('STORE_UNREACHABLE', `${this.description} is no longer the folder that was opened: was its disk unmounted?`, { cause: error });
    });
    if (!marker.isDirectory()) throw new HoldfastError('STORE_UNREACHABLE', `${this.description} is no longer the folder that was opened`);
  }
}

/** The folders of an object's name or of a prefix: all parts but the last. */
function foldersOf(name: string): string[] {
  return name.split('/').slice(0, -1);
}

interface ListedEntry {
  /** The whole name; a folder's ends in a slash, so that folders sort among files as the names under them do. */
  readonly name: string;
  readonly isFolder: boolean;
}

/** What of a folder belongs into a list, in its order. Throws for what is neither file nor folder: it may hide a part of the vault. */
function listed(entries: readonly Dirent[], folder: string, prefix: string): ListedEntry[] {
  const kept: ListedEntry[] = [];
  for (const entry of entries) {
    const name = folder + entry.name;
    if (!isNameIn(folder, entry.name)) continue;
    const isFolder = entry.isDirectory();
    const whole = isFolder ? `${name}/` : name;
    if (!(whole.startsWith(prefix) || (isFolder && prefix.startsWith(whole)))) continue;
    if (entry.isSymbolicLink()) throw linkInVault(name);
    if (!isFolder && !entry.isFile()) throw new HoldfastError('STORE_FAILED', `${name} is neither a file nor a folder`);
    kept.push({ name: whole, isFolder });
  }
  return kept.sort((a, b) => compareNames(a.name, b.name));
}

/** undefined for what is no file, or is not there. A link throws. */
function infoOf(name: string, found: Stats | undefined): ObjectInfo | undefined {
  if (found?.isSymbolicLink()) throw linkInVault(name);
  return found?.isFile() ? { name, sizeBytes: found.size, modifiedAtMs: Math.floor(found.mtimeMs) } : undefined;
}

async function fileInfo(name: string, path: string): Promise<ObjectInfo | undefined> {
  try {
    return infoOf(name, await statLink(path));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function isTaken(name: string, path: string): Promise<boolean> {
  if ((await fileInfo(name, path)) !== undefined) return true;
  const isFolder = await lstat(path).then((found) => found.isDirectory(), () => false);
  if (isFolder) throw new HoldfastError('STORE_NAME', `${path} is a folder of objects, so no object can have that name`);
  return false;
}

/** True when a file was removed, false when there was none: a folder of that name is not an object. */
async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    const code = systemCode(error);
    if ((code === 'EISDIR' || code === 'EPERM') && (await lstat(path)).isDirectory()) return false;
    throw error;
  }
}

async function assertFolder(path: string): Promise<{ readonly dev: number }> {
  const found = await stat(path);
  if (!found.isDirectory()) throw new HoldfastError('STORE_UNREACHABLE', `${path} is not a folder`);
  return found;
}

/** Makes the vault folder, its `.tmp` marker and what is missing above, each with a durable entry in the folder above it. */
async function makeRoot(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode: folderMode });
  const marker = join(path, temporaryFolderName);
  if ((await mkdir(marker, { recursive: true, mode: folderMode })) !== undefined) await syncFolder(path);
  if (firstMade === undefined) return;
  const top = dirname(firstMade);
  for (let folder = dirname(path); folder.startsWith(top); folder = dirname(folder)) {
    await syncFolder(folder);
    if (folder === top || folder === dirname(folder)) break;
  }
}
