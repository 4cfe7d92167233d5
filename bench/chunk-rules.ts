import { crc32 } from 'node:zlib';

export const BLOCK_BYTES = 4096;
/** Whole windows are read and cut, as the product does: no chunk crosses a window. */
export const WINDOW_BYTES = 64 * 1024 * 1024;

/** How a window is cut. Lengths in blocks of 4 KiB. */
export interface ChunkRule {
  readonly name: string;
  readonly minBlocks: number;
  readonly maxBlocks: number;
  /** One block in this many ends a chunk that is long enough; 0 cuts at fixed places and never by content. */
  readonly oneIn: number;
}

/** An average of content-defined lengths is minBlocks - 1 + oneIn, less what the maximum cuts off. */
export const CHUNK_RULES: readonly ChunkRule[] = [
  { name: 'by content, 8-24-128 KiB', minBlocks: 2, maxBlocks: 32, oneIn: 5 },
  { name: 'by content, 16-64-256 KiB', minBlocks: 4, maxBlocks: 64, oneIn: 13 },
  { name: 'by content, 32-140-512 KiB', minBlocks: 8, maxBlocks: 128, oneIn: 28 },
  { name: 'fixed 64 KiB', minBlocks: 16, maxBlocks: 16, oneIn: 0 },
];

/** Calls `emit` for every piece of the window in order. `zero` pieces hold nothing but zeros. */
export function cutWindow(window: Buffer, rule: ChunkRule, seed: number, emit: (piece: Buffer, zero: boolean) => void): void {
  if (rule.oneIn === 0) cutFixed(window, rule.maxBlocks * BLOCK_BYTES, emit);
  else cutByContent(window, rule, seed, emit);
}

function cutFixed(window: Buffer, bytes: number, emit: (piece: Buffer, zero: boolean) => void): void {
  for (let at = 0; at < window.length; at += bytes) {
    const piece = window.subarray(at, at + bytes);
    emit(piece, isZero(piece));
  }
}

function cutByContent(window: Buffer, rule: ChunkRule, seed: number, emit: (piece: Buffer, zero: boolean) => void): void {
  const cutBelow = Math.floor(2 ** 32 / rule.oneIn);
  const zeroCrc = crc32(ZEROS.subarray(0, BLOCK_BYTES), seed);
  let [start, inZeros] = [0, false];
  const end = (at: number): void => {
    if (at > start) emit(window.subarray(start, at), inZeros);
    start = at;
  };
  for (let at = 0; at < window.length; at += BLOCK_BYTES) {
    const block = window.subarray(at, at + BLOCK_BYTES);
    const crc = crc32(block, seed);
    const zero = crc === zeroCrc && isZero(block);
    if (zero !== inZeros) end(at);
    inZeros = zero;
    if (zero) continue;
    const blocks = (at - start) / BLOCK_BYTES + 1;
    if (blocks === rule.maxBlocks || (blocks >= rule.minBlocks && crc < cutBelow)) end(at + BLOCK_BYTES);
  }
  end(window.length);
}

const ZEROS = Buffer.alloc(WINDOW_BYTES);
const isZero = (piece: Buffer): boolean => piece.compare(ZEROS, 0, piece.length) === 0;
