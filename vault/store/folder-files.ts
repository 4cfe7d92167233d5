import { randomUUID } from 'node:crypto';
import fs, { constants } from 'node:fs';
import { link, lstat, mkdir, open, opendir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { HoldfastError } from '../../errors/holdfast-error';
import { alignedPart, isAligned, openDirect } from '../transfer/direct-io';
import { isMissing, systemCode } from './folder-errors';

/** Only the owner: a vault may be unencrypted, and its names alone say what is protected. */
export const fileMode = 0o600;
export const folderMode = 0o700;

const temporaryFile = /^[0-9a-f-]{36}\.part$/;

/** A write that takes longer than this has lost its temporary file and fails; nothing is that slow, and it hurts nobody. */
const leftoverAgeMs = 24 * 60 * 60 * 1000;

// By descriptor: a FileHandle and its promises cost more than the calls themselves, and collection reads an object for each recovery point.
const openFile = promisify(fs.open);
const readFile = promisify(fs.read);
export const statFile = promisify(fs.fstat);
export const closeFile = promisify(fs.close);
export const statLink = promisify(fs.lstat);

/** O_NONBLOCK keeps the open of a named pipe from waiting for a writer; it means nothing for a file. */
const READ_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Opens a file for reading and never through a symbolic link (ELOOP); where the system has no such flag, nothing is lost but that. */
export const openToRead = (path: string): Promise<number> => openFile(path, READ_FLAGS);

/** Fills a buffer of `length` bytes from `offset`, or as much of it as the file has; one system call where the system allows. */
export async function readInto(file: number, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await readFile(file, buffer, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** Objects up to this size are read in one go by `readSmall`. */
const SMALL_BYTES = 64 * 1024;

/** A whole file, with blocking calls: null when it is no plain file or not small, and then somebody else reads it. Throws what openToRead does. */
export function readSmall(path: string): Buffer | null {
  const file = fs.openSync(path, READ_FLAGS);
  try {
    const found = fs.fstatSync(file);
    if (!found.isFile() || found.size > SMALL_BYTES) return null;
    const buffer = Buffer.allocUnsafeSlow(found.size);
    return fs.readSync(file, buffer, 0, found.size, 0) === found.size ? buffer : null;
  } finally {
    fs.closeSync(file);
  }
}

/** Writes a whole new file under a name that no one else uses, and does not return before the bytes are on the disk. */
export async function writeTemporary(folder: string, data: Uint8Array): Promise<string> {
  const path = join(folder, `${randomUUID()}.part`);
  const file = await open(path, 'wx', fileMode);
  try {
    try {
      let written = await writeDirect(path, data);
      while (written < data.length) written += (await file.write(data, written, data.length - written, written)).bytesWritten;
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await removeTemporary(path);
    throw error;
  }
  return path;
}

/** Smaller objects than this gain nothing from a second open. */
const minDirectBytes = 256 * 1024;

/** Writes what can be written past the page cache and answers how much that was; all errors are left to the ordinary write, which meets them again. */
async function writeDirect(path: string, data: Uint8Array): Promise<number> {
  const wanted = alignedPart(data.length);
  if (wanted < minDirectBytes || !isAligned(data, 0, wanted)) return 0;
  const file = await openDirect(path, constants.O_WRONLY);
  if (!file) return 0;
  try {
    const { bytesWritten } = await file.write(data, 0, wanted, 0);
    return alignedPart(bytesWritten);
  } catch {
    return 0;
  } finally {
    await file.close();
  }
}

/** Removes a temporary file as well as it can: one that stays is invisible, and a later open of the vault removes it. */
export async function removeTemporary(path: string): Promise<boolean> {
  return unlink(path).then(() => true, () => false);
}

/** Removes what crashed writers left behind a day ago or more. Best effort, because a vault that can only be read must still open. */
export async function removeLeftovers(folder: string, nowMs: number): Promise<number> {
  let removed = 0;
  try {
    for await (const entry of await opendir(folder)) {
      if (!entry.isFile() || !temporaryFile.test(entry.name)) continue;
      const path = join(folder, entry.name);
      const { mtimeMs } = await lstat(path);
      if (nowMs - mtimeMs >= leftoverAgeMs && (await removeTemporary(path))) removed += 1;
    }
  } catch (error) {
    // A missing folder, one that this user may not enter, or a file that another opener removed first: nothing to do.
    if (systemCode(error) === undefined) throw error;
  }
  return removed;
}

/**
 * Gives a finished temporary file its name, unless the name is taken. `link` is the one call that is atomic,
 * refuses a taken name, and that every POSIX file system and NTFS have (link(2): EEXIST). Where it is missing nothing
 * else that Node offers does both: `rename` replaces, and an exclusive open shows a part. So such a disk is refused
 * rather than trusted. `linkFile` is for tests.
 */
export async function publish(temporaryPath: string, path: string, linkFile = link): Promise<'created' | 'exists'> {
  try {
    await linkFile(temporaryPath, path);
    return 'created';
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return 'exists';
    if (await lacksHardLinks(temporaryPath, error, linkFile)) {
      throw new HoldfastError('STORE_FAILED', `The file system of ${dirname(path)} has no hard links (FAT, exFAT and some network shares), so no object can be created there safely`, { cause: error });
    }
    throw error;
  }
}

/** FAT answers link with EPERM, which may also be a plain refusal: only a second link beside the file itself tells them apart. */
async function lacksHardLinks(temporaryPath: string, error: unknown, linkFile: typeof link): Promise<boolean> {
  const code = systemCode(error);
  if (code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'ENOSYS') return true;
  if (code !== 'EPERM') return false;
  const probe = join(dirname(temporaryPath), `${randomUUID()}.part`);
  const refused = await linkFile(temporaryPath, probe).then(() => false, (second: unknown) => systemCode(second) === 'EPERM');
  if (!refused) await removeTemporary(probe);
  return refused;
}

/** Makes the entries of a folder durable. Windows and some network shares have no such call: there the file's own sync is all there is. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw error;
  } finally {
    await folder.close();
  }
}

/**
 * The folders under one root that are known to be there, to be real folders and not links out of the vault, and
 * (for `make`) to have a durable entry in the folder above them, whoever made them.
 */
export class KnownFolders {
  readonly #root: string;
  readonly #plain = new Set<string>();
  /** The same by what `exist` is asked for, which is asked for every object. */
  readonly #known = new Set<string>();
  readonly #durable = new Map<string, Promise<void>>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Answers false when one of the folders is definitely not there; throws when one is a link. */
  async exist(parts: readonly string[]): Promise<boolean> {
    const folder = parts.join('/');
    if (this.#known.has(folder)) return true;
    for (let depth = 1; depth <= parts.length; depth += 1) {
      const path = join(this.#root, ...parts.slice(0, depth));
      if (this.#plain.has(path)) continue;
      try {
        if (!(await isPlainFolder(path))) return false;
      } catch (error) {
        if (isMissing(error)) return false;
        throw error;
      }
      this.#plain.add(path);
    }
    this.#known.add(folder);
    return true;
  }

  async make(parts: readonly string[]): Promise<void> {
    for (let depth = 1; depth <= parts.length; depth += 1) {
      const path = join(this.#root, ...parts.slice(0, depth));
      let made = this.#durable.get(path);
      if (made === undefined) {
        made = makeDurably(path);
        this.#durable.set(path, made);
        made.catch(() => this.#durable.delete(path));
      }
      await made;
      this.#plain.add(path);
    }
  }

  /** After a folder turned out to be gone. */
  forget(): void {
    this.#plain.clear();
    this.#known.clear();
    this.#durable.clear();
  }
}

async function makeDurably(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: folderMode });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    if (!(await isPlainFolder(path))) throw new HoldfastError('STORE_NAME', `${path} is an object, so no object can lie under it`, { cause: error });
  }
  // Also when another writer made it: that one may not have come to its own sync yet.
  await syncFolder(dirname(path));
}

async function isPlainFolder(path: string): Promise<boolean> {
  const found = await lstat(path);
  if (found.isSymbolicLink()) throw linkInVault(path);
  return found.isDirectory();
}

/** A link is an error and not an absence: whoever moved a part of the vault elsewhere and left a link must hear of it. */
export function linkInVault(path: string): HoldfastError {
  return new HoldfastError('STORE_FAILED', `${path} is a symbolic link; a vault holds only files and folders of its own`);
}
