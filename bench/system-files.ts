import { createHash } from 'node:crypto';
import { accessSync, constants, copyFileSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';

export interface SystemFile {
  readonly path: string;
  readonly sizeBytes: number;
}

const SOURCE = '/usr';
const BLOCK_BYTES = 4096;

/**
 * Regular files under /usr in a stable order that mixes them (by the hash of their path), so that any size asked for is a
 * sample of a whole system, not the first letters of the alphabet. No file is larger than `largestBytes`.
 */
export function listSystemFiles(largestBytes: number): SystemFile[] {
  const found: { readonly rank: string; readonly file: SystemFile }[] = [];
  const inodes = new Set<number>();
  const walk = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const full = path.join(folder, entry.name);
      if (entry.isDirectory()) walk(full);
      if (!entry.isFile() || !isReadable(full)) continue;
      const { size, ino } = lstatSync(full);
      if (size === 0 || size > largestBytes || inodes.has(ino)) continue;
      inodes.add(ino);
      found.push({ rank: createHash('sha256').update(full).digest('hex'), file: { path: full, sizeBytes: size } });
    }
  };
  walk(SOURCE);
  return found.sort((a, b) => (a.rank < b.rank ? -1 : 1)).map(({ file }) => file);
}

/** The files from the one at which `skipBytes` are passed until `bytes` are reached, counted in whole blocks. */
export function takeFiles(files: readonly SystemFile[], skipBytes: number, bytes: number): SystemFile[] {
  const taken: SystemFile[] = [];
  let passed = 0;
  for (const file of files) {
    if (passed >= skipBytes + bytes) break;
    if (passed >= skipBytes) taken.push(file);
    passed += Math.ceil(file.sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
  }
  return taken;
}

/** Copies files into a folder under the paths they have on the system. */
export function copyFiles(files: readonly SystemFile[], target: string): void {
  const made = new Set<string>();
  for (const file of files) {
    const copy = path.join(target, file.path);
    const folder = path.dirname(copy);
    if (!made.has(folder)) mkdirSync(folder, { recursive: true });
    made.add(folder);
    copyFileSync(file.path, copy, constants.COPYFILE_FICLONE);
  }
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    // A file that this user may not read is no part of the sample.
    return false;
  }
}
