/** Where a disk is restored to: a file, a managed disk. Starts as zeros, so that zeros need not be written. */
export interface BlockSink {
  /** Writes the bytes at the offset; the memory of `data` is the caller's again when it resolves. Throws TARGET_WRITE_FAILED with the native error as its cause. */
  write(data: Buffer, offsetBytes: number): Promise<void>;
  /** Makes a range read as zeros; where there is none, zeros are written. */
  clear?(offsetBytes: number, lengthBytes: number): Promise<void>;
  close(): Promise<void>;
}
