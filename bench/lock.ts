import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { BENCH_FOLDER } from './options';

const LOCK = path.join(BENCH_FOLDER, 'lock');

/** Runs `use` as the only bench on this folder: two at once would share files, and each would slow the other. Throws an Error that names the other process. */
export async function alone<T>(use: () => Promise<T>): Promise<T> {
  mkdirSync(BENCH_FOLDER, { recursive: true });
  try {
    writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const other = Number(readFileSync(LOCK, 'utf8'));
    if (isRunning(other)) throw new Error(`Another bench runs as process ${other}; if that is no bench, delete ${LOCK}`, { cause: error });
    writeFileSync(LOCK, String(process.pid));
  }
  try {
    return await use();
  } finally {
    rmSync(LOCK, { force: true });
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
