import { type BigIntStats } from 'node:fs';
import { lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HoldfastError, isHoldfastError, messageOf } from '../errors/holdfast-error';
import { regionOf } from '../vault/transfer/backup-disk';
import { REGION_WINDOWS } from '../vault/format/format';
import { withLanes } from '../vault/transfer/lanes';
import { refToJson } from '../vault/format/ref-json';
import { systemCode } from '../vault/store/folder-errors';
import { syncFolder } from '../vault/store/folder-files';
import { runLanes } from '../vault/transfer/transfer';
import type { Lane, LaneCompareJob } from '../vault/transfer/transfer-lane';
import { type DiskTree, loadRoot } from '../vault/format/tree';
import { windowCount } from '../vault/transfer/window-blocks';
import { untilAborted } from './interrupt';
import type { OpenedVault } from './open-vault';
import { startProgress } from './progress';
import { giveName, targetFailed } from './write-image';

export interface PatchImageRequest {
  readonly tree: DiskTree;
  readonly target: string;
  readonly threads: number | undefined;
  readonly label: string;
  readonly quiet: boolean;
  readonly signal: AbortSignal;
}

export interface PatchTotals {
  readonly comparedBytes: number;
  /** Only this was other than the recovery point says, and was written. */
  readonly writtenBytes: number;
  /** True when an earlier, unfinished differential restore was gone on with. */
  readonly resumed: boolean;
}

/** What the file is called while it is neither what it was nor what it is to be. */
export const unfinishedName = (target: string): string => `${target}.holdfast-partial`;

/**
 * Makes an existing file equal to a disk by writing only what differs. Until every byte was compared or written, read back and synced, the
 * file has another name, so a half-written image is never taken for a whole one; the same command finishes what was broken off.
 * Throws IMAGE_NOT_FOUND, TARGET_EXISTS, TARGET_WRITE_FAILED, TARGET_NOT_VERIFIED.
 */
export async function patchImage(opened: OpenedVault, request: PatchImageRequest): Promise<PatchTotals> {
  const target = resolve(request.target);
  const unfinished = unfinishedName(target);
  const resumed = await claim(target, unfinished);
  try {
    await setSize(unfinished, request.tree.sizeBytes);
    const totals = await untilAborted(request.signal, patch(opened, request, unfinished));
    await syncFile(unfinished);
    await giveName(unfinished, target, false);
    return { ...totals, resumed };
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    throw new HoldfastError(error.code, `${error.message}. ${unfinished} is unfinished: the same command goes on with it`, { data: { ...error.data, unfinished }, cause: error });
  }
}

/** Gives the target its other name, or finds it under that. True when it had it already. */
async function claim(target: string, unfinished: string): Promise<boolean> {
  const [present, left] = [await look(target), await look(unfinished)];
  for (const [path, found] of [[target, present], [unfinished, left]] as const) {
    if (found && !found.isFile()) throw new HoldfastError('TARGET_EXISTS', `${path} is no plain file, so it is not written to`, { data: { path } });
  }
  if (present && left) {
    if (present.ino !== left.ino || present.dev !== left.dev) {
      throw new HoldfastError('TARGET_EXISTS', `${target} exists, and ${unfinished} of an earlier restore as well: delete the one that you do not want`, { data: { path: target } });
    }
    // It was whole and had both names for a moment when the one before was stopped; which of its disks it is, is found out anew.
    await unlink(target).catch((cause: unknown) => { throw targetFailed(target, cause); });
    return true;
  }
  if (left) return true;
  if (!present) throw new HoldfastError('IMAGE_NOT_FOUND', `There is no file ${target} that could be compared; without --differential it is written anew`, { data: { path: target } });
  try {
    await rename(target, unfinished);
    await syncFolder(dirname(target));
  } catch (cause) {
    throw targetFailed(target, cause);
  }
  return false;
}

async function look(path: string): Promise<BigIntStats | undefined> {
  return lstat(path, { bigint: true }).catch((cause: unknown) => {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw targetFailed(path, cause);
  });
}

async function patch({ vault, spec }: OpenedVault, request: PatchImageRequest, path: string): Promise<{ comparedBytes: number; writtenBytes: number }> {
  const { tree, signal } = request;
  const totals = { comparedBytes: 0, writtenBytes: 0 };
  const progress = startProgress(request.label, windowCount(tree.sizeBytes), request.quiet);
  const plan = { factory: join(__dirname, 'transfer-factory.js'), store: { ...spec }, source: { path, raw: true }, sink: { path }, keys: vault.keys, threads: request.threads };
  try {
    await withLanes(plan, async (lanes: readonly Lane[]) => {
      const root = await loadRoot(vault, tree);
      for (let region = 0; region * REGION_WINDOWS < windowCount(tree.sizeBytes); region++) {
        const node = await regionOf(vault, root, region);
        const end = Math.min((region + 1) * REGION_WINDOWS, windowCount(tree.sizeBytes));
        const jobs = Array.from({ length: end - region * REGION_WINDOWS }, (_, number): LaneCompareJob => {
          const leaf = node?.children.get(number);
          return { window: region * REGION_WINDOWS + number, leaf: leaf ? refToJson(leaf) : null, diskBytes: tree.sizeBytes, patch: true };
        });
        await runLanes(lanes, jobs, (lane, job) => lane.compare(job), {
          signal,
          onResult: ({ comparedBytes, writtenBytes }) => {
            totals.comparedBytes += comparedBytes;
            totals.writtenBytes += writtenBytes;
            progress.advance(1, comparedBytes);
          },
        });
      }
    });
    return totals;
  } finally {
    progress.end();
  }
}

/** What lies beyond the disk's end goes; what is added reads as zeros. */
async function setSize(path: string, sizeBytes: number): Promise<void> {
  await withFile(path, (file) => file.truncate(sizeBytes));
}

const syncFile = (path: string): Promise<void> => withFile(path, (file) => file.sync());

async function withFile(path: string, use: (file: Awaited<ReturnType<typeof open>>) => Promise<void>): Promise<void> {
  try {
    const file = await open(path, 'r+');
    try {
      await use(file);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new HoldfastError('TARGET_WRITE_FAILED', `${path} cannot be written: ${messageOf(cause)}`, { data: { path }, cause });
  }
}
