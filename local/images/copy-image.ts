import { constants } from 'node:fs';
import { copyFile, open, truncate } from 'node:fs/promises';
import type { ImageSource } from './open-image';

const readBytes = 1024 * 1024;
const holeBytes = 64 * 1024;

/** How the bytes came over: `clone` shares the blocks of the original, `sparse` copied what is not zero. */
export type CopyMethod = 'clone' | 'sparse';

/**
 * Writes the disk in `image` to `targetPath` as a raw image. Where the file system can, the copy shares the
 * original's blocks and costs nothing; else zeros become holes. It does not look whether the image changes
 * meanwhile: the caller asks image.verifyUnchanged() when all that belongs together is copied.
 */
export async function copyImage(image: ImageSource, targetPath: string): Promise<CopyMethod> {
  if (image.format !== 'dynamic-vhd' && !image.isDevice && (await tryClone(image.path, targetPath))) {
    await truncate(targetPath, image.sizeBytes);
    return 'clone';
  }
  await sparseCopy(image, targetPath);
  return 'sparse';
}

async function tryClone(sourcePath: string, targetPath: string): Promise<boolean> {
  try {
    await copyFile(sourcePath, targetPath, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    // Each of these says that this file system, or this pair of them, cannot share blocks; anything else is a real failure.
    if (['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EINVAL', 'ENOTTY'].includes(code)) return false;
    throw error;
  }
}

async function sparseCopy(image: ImageSource, targetPath: string): Promise<void> {
  const target = await open(targetPath, 'w', 0o600);
  try {
    await target.truncate(image.sizeBytes);
    const buffer = Buffer.allocUnsafe(readBytes);
    const zeros = Buffer.alloc(readBytes);
    for (let offset = 0; offset < image.sizeBytes; offset += readBytes) {
      const length = Math.min(readBytes, image.sizeBytes - offset);
      const chunk = buffer.subarray(0, length);
      await image.readInto(chunk, offset);
      if (chunk.equals(zeros.subarray(0, length))) continue;
      for (const [start, end] of dataRuns(chunk, zeros)) await writeFully(target, chunk.subarray(start, end), offset + start);
    }
  } finally {
    await target.close();
  }
}

function dataRuns(chunk: Buffer, zeros: Buffer): [number, number][] {
  const runs: [number, number][] = [];
  for (let at = 0; at < chunk.length; at += holeBytes) {
    const end = Math.min(at + holeBytes, chunk.length);
    if (chunk.compare(zeros, 0, end - at, at, end) === 0) continue;
    const last = runs.at(-1);
    if (last !== undefined && last[1] === at) last[1] = end;
    else runs.push([at, end]);
  }
  return runs;
}

async function writeFully(target: Awaited<ReturnType<typeof open>>, bytes: Buffer, offset: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await target.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
}
