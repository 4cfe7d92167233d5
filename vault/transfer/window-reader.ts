import type { BlockSource } from './block-source';
import { alignedBuffer } from './direct-io';
import { BLOCK_BYTES, MAX_CHUNK_BLOCKS, WINDOW_BYTES } from '../format/format';

/** Blocks read at once. One MiB: large enough for the network, small enough to have several under way. */
export const SEGMENT_BLOCKS = 256;
const AHEAD = 3;

/** A segment in memory. The room before `start` takes the tail of the segment before, so that a chunk is one piece of memory. */
export interface Segment {
  readonly buffer: Buffer;
  readonly startBlock: number;
  readonly blocks: number;
}

export const SEGMENT_ROOM_BYTES = MAX_CHUNK_BLOCKS * BLOCK_BYTES;

/**
 * Reads segments of one window, a few ahead of what is asked for, into a small pool of buffers: memory is bounded and the
 * disk or the network works while the processor does. Blocks beyond the end of the disk read as zeros.
 */
export class SegmentReader {
  readBytes = 0;
  private readonly pending = new Map<number, { blocks: number; segment: Promise<Segment> }>();
  private readonly free: Buffer[] = [];
  private windowStart = 0;

  constructor(private readonly source: BlockSource) {}

  startWindow(window: number): void {
    this.windowStart = window * WINDOW_BYTES;
  }

  /** Begins to read a segment that will be asked for soon, if a buffer is free. */
  prefetch(startBlock: number, blocks: number): void {
    if (this.pending.size >= AHEAD || this.pending.has(startBlock)) return;
    const segment = this.fetch(startBlock, blocks);
    // A failure is reported when the segment is asked for; one that nobody asks for any more concerns nobody.
    segment.catch(() => undefined);
    this.pending.set(startBlock, { blocks, segment });
  }

  async read(startBlock: number, blocks: number): Promise<Segment> {
    const ready = this.pending.get(startBlock);
    if (!ready) return this.fetch(startBlock, blocks);
    this.pending.delete(startBlock);
    const segment = await ready.segment;
    if (ready.blocks >= blocks) return segment;
    this.release(segment);
    return this.fetch(startBlock, blocks);
  }

  release(segment: Segment): void {
    this.free.push(segment.buffer);
  }

  /** Gives back what was read ahead and is not needed. */
  async endWindow(): Promise<void> {
    const left = [...this.pending.values()];
    this.pending.clear();
    for (const result of await Promise.allSettled(left.map(({ segment }) => segment))) {
      if (result.status === 'fulfilled') this.release(result.value);
    }
  }

  private async fetch(startBlock: number, blocks: number): Promise<Segment> {
    const buffer = this.free.pop() ?? alignedBuffer(SEGMENT_ROOM_BYTES + SEGMENT_BLOCKS * BLOCK_BYTES);
    const offset = this.windowStart + startBlock * BLOCK_BYTES;
    const wanted = blocks * BLOCK_BYTES;
    const there = Math.max(0, Math.min(wanted, this.source.sizeBytes - offset));
    if (there > 0) await this.source.readInto(buffer.subarray(SEGMENT_ROOM_BYTES, SEGMENT_ROOM_BYTES + there), offset);
    if (there < wanted) buffer.fill(0, SEGMENT_ROOM_BYTES + there, SEGMENT_ROOM_BYTES + wanted);
    this.readBytes += there;
    return { buffer, startBlock, blocks };
  }
}
