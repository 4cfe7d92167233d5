import { statSync } from 'node:fs';
import { WINDOW_BYTES } from '../vault/format/format';
import { prepareLanes } from '../vault/transfer/lanes';

/**
 * Starts the threads that will read or write disks before the command's own code is loaded: they load theirs meanwhile. Nothing here decides what a command does;
 * threads that it does not take do not keep the process alive.
 */
export const startThreads = (threads: number | undefined): void => prepareLanes(threads);

/** The same for a backup, of which one window is done without threads. About what is no plain file, the backup itself has to find out. */
export function startThreadsFor(images: readonly string[], threads: number | undefined): void {
  if (images.some((path) => sizeOf(path) > WINDOW_BYTES)) prepareLanes(threads);
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    // The backup says what is wrong with it.
    return 0;
  }
}
