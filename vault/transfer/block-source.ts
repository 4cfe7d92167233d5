/** A disk as a row of bytes that does not change while it is read: an image file, a snapshot behind an access URL. */
export interface BlockSource {
  readonly sizeBytes: number;
  /**
   * Fills `buffer` with the bytes at `offsetBytes`. The range lies within `sizeBytes`.
   * Throws a HoldfastError when the source cannot deliver every byte: never a short read, never made-up zeros.
   */
  readInto(buffer: Buffer, offsetBytes: number): Promise<void>;
  /**
   * Called once when everything was read: throws SOURCE_CHANGED when the source is not what it was at the start
   * (an image file that was written to, shrank or was replaced). A snapshot has nothing to check.
   */
  verifyUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/** A range of a disk in bytes. */
export interface DiskRange {
  readonly offset: number;
  readonly length: number;
}
