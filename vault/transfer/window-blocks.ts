import { BLOCK_BYTES, WINDOW_BLOCKS, WINDOW_BYTES } from '../format/format';

/** How many blocks a window of a disk of this size has; the last one may be shorter. */
export const windowBlocks = (diskBytes: number, window: number): number =>
  Math.min(WINDOW_BLOCKS, Math.ceil((diskBytes - window * WINDOW_BYTES) / BLOCK_BYTES));

export const windowCount = (diskBytes: number): number => Math.ceil(diskBytes / WINDOW_BYTES);
