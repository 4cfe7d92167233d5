import { randomBytes } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { link, lstat, open, rename, statfs, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HoldfastError, isHoldfastError, messageOf } from '../errors/holdfast-error';
import { WINDOW_BYTES } from '../vault/format/format';
import { withLanes } from '../vault/transfer/lanes';
import { type DiskTree, leafRefs, loadLeaf, regionsOf } from '../vault/format/tree';
import { readDisk, type ReadTotals } from '../vault/transfer/read-disk';
import { systemCode } from '../vault/store/folder-errors';
import { syncFolder } from '../vault/store/folder-files';
import { atLastMinute, untilAborted } from './interrupt';
import type { OpenedVault } from './open-vault';
import { startProgress } from './progress';

export interface WriteImageRequest {
  readonly tree: DiskTree;
  /** Where the finished image appears, in one step. */
  readonly target: string;
  readonly force: boolean;
  /** Follows the disk's bytes, at the next multiple of 512: the footer of a VHD. */
  readonly footer: Buffer | null;
  readonly threads: number | undefined;
  readonly label: string;
  readonly quiet: boolean;
  readonly signal: AbortSignal;
}

/** The bytes of the disk with zeros up to a whole sector: what a VHD's footer follows. */
export const paddedBytes = (sizeBytes: number): number => Math.ceil(sizeBytes / 512) * 512;

/**
 * Writes a disk into a new file. The bytes go into a file beside the target, which gets the target's name only when all
 * of it was read, proved and synced; on any failure it is removed. Throws TARGET_EXISTS, TARGET_NO_SPACE, TARGET_WRITE_FAILED.
 */
export async function writeImage(opened: OpenedVault, request: WriteImageRequest): Promise<ReadTotals> {
  const target = resolve(request.target);
  await refuseExisting(target, request.force);
  const fileBytes = request.footer ? paddedBytes(request.tree.sizeBytes) + request.footer.length : request.tree.sizeBytes;
  await refuseWithoutRoom(opened, request.tree, target);
  const partial = `${target}.partial-${randomBytes(4).toString('hex')}`;
  const forget = atLastMinute(() => unlinkSync(partial));
  try {
    await makeSparse(partial, fileBytes);
    const totals = await untilAborted(request.signal, readInto(opened, request, partial));
    await finishFile(partial, request);
    await giveName(partial, target, request.force);
    return totals;
  } catch (error) {
    throw await withoutPartial(partial, error);
  } finally {
    forget();
  }
}

async function readInto({ vault, spec }: OpenedVault, request: WriteImageRequest, partial: string): Promise<ReadTotals> {
  const progress = startProgress(request.label, 0, request.quiet);
  try {
    const plan = { factory: join(__dirname, 'transfer-factory.js'), store: { ...spec }, sink: { path: partial }, keys: vault.keys, threads: request.threads };
    return await withLanes(plan, (lanes) => readDisk(vault, lanes, request.tree, {
      signal: request.signal,
      onPlan: (windows) => progress.describe(request.label, windows),
      onWindow: ({ plainBytes }) => progress.advance(1, plainBytes),
    }));
  } finally {
    progress.end();
  }
}

/** Refuses to replace anything unasked, and never replaces what is no plain file, such as a disk of this machine. */
async function refuseExisting(target: string, force: boolean): Promise<void> {
  const found = await lstat(target).catch((cause: unknown) => {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw targetFailed(target, cause);
  });
  if (!found) return;
  if (!found.isFile()) throw new HoldfastError('TARGET_EXISTS', `${target} exists and is no plain file, so it is not replaced`, { data: { path: target } });
  if (!force) throw new HoldfastError('TARGET_EXISTS', `${target} exists; --force replaces it`, { data: { path: target } });
}

/**
 * Throws TARGET_NO_SPACE when the disk's content certainly does not fit. Zeros take no room, and how much is zeros is
 * only looked up where it matters.
 */
async function refuseWithoutRoom({ vault }: OpenedVault, tree: DiskTree, target: string): Promise<void> {
  const folder = dirname(target);
  const { bavail, bsize } = await statfs(folder).catch((cause: unknown) => { throw targetFailed(target, cause); });
  const free = bavail * bsize;
  if (tree.sizeBytes <= free) return;
  let needed = 0;
  for await (const region of regionsOf(vault, tree)) {
    if (needed + region.children.size * WINDOW_BYTES <= free) {
      needed += region.children.size * WINDOW_BYTES;
      continue;
    }
    for (const [window, ref] of leafRefs(region)) {
      const { entries } = await loadLeaf(vault, ref, window, tree.sizeBytes);
      for (const { blocks, chunk } of entries) needed += chunk ? blocks * 4096 : 0;
      if (needed > free) throw new HoldfastError('TARGET_NO_SPACE', `${folder} has ${free} bytes free; the disk has more data than that`, { data: { path: target, freeBytes: free } });
    }
  }
}

async function makeSparse(path: string, sizeBytes: number): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.truncate(sizeBytes);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw targetFailed(path, cause);
  }
}

async function finishFile(path: string, { footer, tree }: WriteImageRequest): Promise<void> {
  try {
    const file = await open(path, 'r+');
    try {
      if (footer) await file.write(footer, 0, footer.length, paddedBytes(tree.sizeBytes));
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw targetFailed(path, cause);
  }
}

/** Without force a link, which fails where a name is taken, also when it was taken a moment ago. */
export async function giveName(partial: string, target: string, force: boolean): Promise<void> {
  try {
    if (force) await rename(partial, target);
    else await linkOrClaim(partial, target);
    await syncFolder(dirname(target));
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST') throw new HoldfastError('TARGET_EXISTS', `${target} was made by someone else meanwhile`, { data: { path: target }, cause });
    throw targetFailed(target, cause);
  }
}

async function linkOrClaim(partial: string, target: string): Promise<void> {
  try {
    await link(partial, target);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemCode(error) ?? '')) throw error;
    // A file system without hard links, such as FAT: the name is claimed with an empty file, which the image then replaces.
    await (await open(target, 'wx', 0o600)).close();
    await rename(partial, target);
    return;
  }
  await unlink(partial);
}

/** Removes the unfinished file; if that fails too, the error says where it lies. */
async function withoutPartial(partial: string, error: unknown): Promise<unknown> {
  try {
    await unlink(partial);
    return error;
  } catch (second) {
    if (systemCode(second) === 'ENOENT' || !isHoldfastError(error)) return error;
    return new HoldfastError(error.code, `${error.message}. The unfinished ${partial} could not be removed: ${messageOf(second)}`, { data: error.data, cause: error });
  }
}

export const targetFailed = (path: string, cause: unknown): HoldfastError =>
  isHoldfastError(cause) ? cause : new HoldfastError('TARGET_WRITE_FAILED', `${path} cannot be written: ${messageOf(cause)}`, { data: { path }, cause });
