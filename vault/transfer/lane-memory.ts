import { alignedBuffer, cachedReadBuffer } from './direct-io';

/** Buffers of one size that are used again and again. */
export class BufferPool {
  private readonly free: Buffer[] = [];
  constructor(private readonly make: () => Buffer) {}
  /** What it holds is whatever was in it before. */
  take(): Buffer { return this.free.pop() ?? this.make(); }
  /** Nobody may read from it or write to it any more, the system included. */
  giveBack(buffer: Buffer): void { this.free.push(buffer); }
}

/** Most that a restored disk is written with at once. */
export const WRITE_BYTES = 1024 * 1024;
/** Most that is read at once of a disk that is compared. */
export const COMPARE_BYTES = 2 * 1024 * 1024;

/**
 * Memory that a lane keeps from window to window. New memory for each would be a page fault for every block, and garbage of a size that V8 sees too little of: it
 * would pile up, or be collected again and again.
 */
export class LaneMemory {
  readonly writes = new BufferPool(() => alignedBuffer(WRITE_BYTES));
  readonly compares = new BufferPool(() => cachedReadBuffer(COMPARE_BYTES));
}
