import { HoldfastError } from '../../errors/holdfast-error';
import { type BlobRef, verifyId } from '../format/blob';
import type { BlockSink } from './block-sink';
import type { BlockSource } from './block-source';
import { COMPARE_BYTES, type LaneMemory } from './lane-memory';
import { BLOCK_BYTES, WINDOW_BYTES } from '../format/format';
import type { LeafEntry } from '../format/nodes';
import { refFromJson } from '../format/ref-json';
import type { LaneCompareJob, LaneCompareResult } from './transfer-lane';
import { loadLeaf, type VaultAccess } from '../format/tree';
import { readWindow } from './window-restore';
import { windowBlocks } from './window-blocks';

/** A part of a window as it should be: a chunk, or zeros. Zeros are looked at in small parts, so that only what differs is cleared. */
export interface Piece { readonly start: number; readonly blocks: number; readonly chunk: BlobRef | null }

/** Which window of which disk. */
type WindowJob = Pick<LaneCompareJob, 'window' | 'diskBytes'>;

const ZERO_PIECE_BLOCKS = 16;
/** Pieces are read together up to this. */
const READ_BLOCKS = COMPARE_BYTES / BLOCK_BYTES;
const ZEROS = Buffer.alloc(ZERO_PIECE_BLOCKS * BLOCK_BYTES);

/**
 * Compares what a target holds in a window with what the recovery point says: every chunk by its id, and zeros where zeros belong. With a
 * sink, only what differs is written, and then read back and compared again. A window without a leaf is all zeros.
 * Throws TARGET_NOT_VERIFIED where the target is still another after that.
 */
export async function compareWindow(vault: VaultAccess, source: BlockSource, sink: BlockSink | null, job: LaneCompareJob, memory: LaneMemory): Promise<LaneCompareResult> {
  const pieces = await piecesOf(vault, job);
  const differing = await findDiffering(vault, source, job, pieces, memory);
  const differingBytes = bytesOf(differing, job);
  if (differing.length === 0 || !sink) return { window: job.window, comparedBytes: bytesOf(pieces, job), differingBytes, writtenBytes: 0 };
  await write(vault, sink, job, differing, memory);
  const still = await findDiffering(vault, source, job, differing, memory);
  if (still[0]) throw notVerified(job, still[0]);
  return { window: job.window, comparedBytes: bytesOf(pieces, job), differingBytes, writtenBytes: differingBytes };
}

export const notVerified = (job: Pick<LaneCompareJob, 'window'>, piece: Pick<Piece, 'start'>): HoldfastError => {
  const offset = offsetOf(job, piece);
  return new HoldfastError('TARGET_NOT_VERIFIED', `What the target holds at byte ${offset} is not what the recovery point says`, { data: { offset } });
};

export const offsetOf = ({ window }: Pick<LaneCompareJob, 'window'>, { start }: Pick<Piece, 'start'>): number => window * WINDOW_BYTES + start * BLOCK_BYTES;

/** Bytes of the disk that pieces cover: the last block may reach beyond its end. */
export const bytesOf = (pieces: readonly Piece[], job: WindowJob): number =>
  pieces.reduce((sum, piece) => sum + Math.min(piece.blocks * BLOCK_BYTES, job.diskBytes - offsetOf(job, piece)), 0);

export async function piecesOf(vault: VaultAccess, job: Omit<LaneCompareJob, 'patch'>): Promise<Piece[]> {
  const entries: readonly LeafEntry[] = job.leaf
    ? (await loadLeaf(vault, refFromJson(job.leaf), job.window, job.diskBytes)).entries
    : [{ blocks: windowBlocks(job.diskBytes, job.window), chunk: null }];
  const pieces: Piece[] = [];
  let block = 0;
  for (const { blocks, chunk } of entries) {
    const step = chunk ? blocks : ZERO_PIECE_BLOCKS;
    for (let start = block; start < block + blocks; start += step) pieces.push({ start, blocks: Math.min(step, block + blocks - start), chunk });
    block += blocks;
  }
  return pieces;
}

/** Reads the pieces, neighbours together and the next ones ahead, and answers those that are not as they should be. */
export async function findDiffering(vault: VaultAccess, source: BlockSource, job: WindowJob, pieces: readonly Piece[], memory: LaneMemory): Promise<Piece[]> {
  const groups = groupsOf(pieces);
  const buffers = [memory.compares.take(), memory.compares.take()];
  const differing: Piece[] = [];
  const fetch = (index: number): Promise<Buffer> | undefined => {
    const group = groups[index];
    if (!group) return undefined;
    const bytes = readGroup(source, job, group, buffers[index % 2] as Buffer);
    // It is awaited one step later; a failure in between is not an unhandled one.
    bytes.catch(() => undefined);
    return bytes;
  };
  let ahead = fetch(0);
  try {
    for (const [index, group] of groups.entries()) {
      const present = await ahead as Buffer;
      ahead = fetch(index + 1);
      const first = group[0] as Piece;
      for (const piece of group) {
        const from = (piece.start - first.start) * BLOCK_BYTES;
        const bytes = present.subarray(from, from + piece.blocks * BLOCK_BYTES);
        if (piece.chunk ? !verifyId(vault.keys, piece.chunk.id, bytes) : !bytes.equals(ZEROS.subarray(0, bytes.length))) differing.push(piece);
      }
    }
  } finally {
    // What ends this early is a read that failed, and no other one is under way then: nobody gets memory that is still being filled.
    for (const buffer of buffers) memory.compares.giveBack(buffer);
  }
  return differing;
}

const blocksOf = (group: readonly Piece[]): number => {
  const last = group[group.length - 1] as Piece;
  return last.start + last.blocks - (group[0] as Piece).start;
};

function groupsOf(pieces: readonly Piece[]): Piece[][] {
  const groups: Piece[][] = [];
  for (const piece of pieces) {
    const group = groups[groups.length - 1];
    const last = group?.[group.length - 1];
    const joins = group && last && last.start + last.blocks === piece.start && blocksOf(group) + piece.blocks <= READ_BLOCKS;
    if (joins) group.push(piece); else groups.push([piece]);
  }
  return groups;
}

async function readGroup(source: BlockSource, job: WindowJob, group: readonly Piece[], buffer: Buffer): Promise<Buffer> {
  const bytes = buffer.subarray(0, blocksOf(group) * BLOCK_BYTES);
  const offset = offsetOf(job, group[0] as Piece);
  const there = Math.min(bytes.length, job.diskBytes - offset);
  await source.readInto(bytes.subarray(0, there), offset);
  // The last block of a disk is filled up with zeros, as it was when its id was made.
  bytes.fill(0, there);
  return bytes;
}

async function write(vault: VaultAccess, sink: BlockSink, job: LaneCompareJob, differing: readonly Piece[], memory: LaneMemory): Promise<void> {
  const chunks = new Set(differing.filter(({ chunk }) => chunk).map(({ start }) => start));
  if (job.leaf && chunks.size > 0) await readWindow(vault, { ...job, leaf: job.leaf }, sink, false, memory, chunks);
  for (const piece of differing) {
    if (piece.chunk) continue;
    const offset = offsetOf(job, piece);
    const length = Math.min(piece.blocks * BLOCK_BYTES, job.diskBytes - offset);
    if (sink.clear) await sink.clear(offset, length);
    else await sink.write(ZEROS.subarray(0, length), offset);
  }
}
