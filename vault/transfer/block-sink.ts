import type { BlockSource, DiskRange } from './block-source';

/** Where a disk is restored to: a file, a managed disk. Starts as zeros, so that zeros need not be written. */
export interface BlockSink {
  /** Writes the bytes at the offset; the memory of `data` is the caller's again when it resolves. Throws TARGET_WRITE_FAILED with the native error as its cause. */
  write(data: Buffer, offsetBytes: number): Promise<void>;
  /** Makes a range read as zeros; where there is none, zeros are written. */
  clear?(offsetBytes: number, lengthBytes: number): Promise<void>;
  /**
   * Has the service behind the sink copy ranges of `source` to the same places, without their bytes passing through here: for what the two have in common.
   * False where the service refuses that: then none of them counts as written. Ranges are whole pages of 512 bytes, within both.
   */
  copyFrom?(source: BlockSource, ranges: readonly DiskRange[]): Promise<boolean>;
  close(): Promise<void>;
}
