import { crc32 } from 'node:zlib';
import { BLOCK_BYTES, CUT_BELOW, MAX_CHUNK_BLOCKS, MIN_CHUNK_BLOCKS } from '../format/format';

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);

export const isZeroBlock = (block: Buffer): boolean => block[0] === 0 && block.equals(ZERO_BLOCK);

/** A run of blocks between two boundaries: a chunk, or zeros. */
export interface Piece {
  readonly blocks: number;
  readonly zero: boolean;
}

/**
 * Decides where chunks end (format §7.1). Blocks are offered in order with `next`; it answers with the piece that ends
 * *before* the offered block, or `after` it, so the caller never has to look ahead. At a boundary the cutter has no memory:
 * what follows depends on the content that follows alone. That is what lets an incremental run start at a boundary of
 * its parent and stop at the first one that coincides.
 */
export class ChunkCutter {
  private blocks = 0;
  private zero = false;

  constructor(private readonly seed: number) {}

  /** Blocks of the piece that is still open. */
  get openBlocks(): number { return this.blocks; }
  get openIsZero(): boolean { return this.zero; }

  /** Offers the next block. `emit` is called for every piece that is complete now, in order: at most two. */
  next(block: Buffer, emit: (piece: Piece) => void): void {
    const zero = isZeroBlock(block);
    if (this.blocks > 0 && zero !== this.zero) this.end(emit);
    this.zero = zero;
    this.blocks++;
    if (zero) return;
    // Only where a cut may fall is the checksum needed.
    if (this.blocks === MAX_CHUNK_BLOCKS || (this.blocks >= MIN_CHUNK_BLOCKS && crc32(block, this.seed) < CUT_BELOW)) this.end(emit);
  }

  /** Ends the open piece: at the end of the window, or where the caller stops inside a zero run. */
  end(emit: (piece: Piece) => void): void {
    if (this.blocks === 0) return;
    const piece = { blocks: this.blocks, zero: this.zero };
    this.blocks = 0;
    emit(piece);
  }
}
