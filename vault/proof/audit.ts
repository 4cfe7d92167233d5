import { createHash } from 'node:crypto';
import type { BlockSource } from '../transfer/block-source';
import { regionOf } from '../transfer/backup-disk';
import { blobId } from '../format/blob';
import { BLOCK_BYTES, MAX_CHUNK_BLOCKS, REGION_WINDOWS, WINDOW_BYTES } from '../format/format';
import type { InnerNode, LeafEntry } from '../format/nodes';
import { type DiskTree, loadLeaf, loadRoot, type VaultAccess } from '../format/tree';
import { windowBlocks, windowCount } from '../transfer/window-blocks';

/** Blocks of a window, from `start` up to but not including `end`. */
export interface BlockRange { readonly start: number; readonly end: number }

export interface AuditRequest {
  /** The tree that says what the unchanged content is. */
  readonly tree: DiskTree;
  /** What is known to have changed in a window, so that nothing follows from it. */
  readonly changedIn: (window: number, blocks: number) => readonly BlockRange[];
  /** A whole number from 0 up to but not including `below`; seeded where the same sample must come again. */
  readonly random: (below: number) => number;
  readonly windows: number;
  readonly piecesPerWindow: number;
}

export interface AuditResult {
  readonly samples: number;
  readonly mismatches: number;
  /** Byte on the disk where the first difference begins, or null. */
  readonly firstDifference: number | null;
}

interface Piece { readonly startBlock: number; readonly blocks: number; readonly id: Buffer | null }

/**
 * Reads a random sample of what a diff calls unchanged from the source and compares it with the tree (fault 25): diffs have lost changes
 * before, were cut short, or were taken against the wrong parent. Both chunks and zeros are looked at.
 */
export async function auditUnchanged(vault: VaultAccess, source: BlockSource, request: AuditRequest): Promise<AuditResult> {
  const { tree, random } = request;
  const root = await loadRoot(vault, tree);
  const regions = new Map<number, InnerNode | null>();
  let [samples, mismatches] = [0, 0];
  let firstDifference: number | null = null;
  for (const window of chooseWindows(request)) {
    const number = Math.floor(window / REGION_WINDOWS);
    if (!regions.has(number)) regions.set(number, await regionOf(vault, root, number));
    const leaf = regions.get(number)?.children.get(window % REGION_WINDOWS);
    const blocks = windowBlocks(tree.sizeBytes, window);
    const entries: readonly LeafEntry[] = leaf ? (await loadLeaf(vault, leaf, window, tree.sizeBytes)).entries : [{ blocks, chunk: null }];
    const pieces = unchangedPieces(entries, request.changedIn(window, blocks));
    for (let left = request.piecesPerWindow; left > 0 && pieces.length > 0; left--) {
      const [piece] = pieces.splice(random(pieces.length), 1) as [Piece];
      const offset = window * WINDOW_BYTES + piece.startBlock * BLOCK_BYTES;
      samples++;
      if (await isAsBefore(vault, source, tree.sizeBytes, offset, piece)) continue;
      mismatches++;
      firstDifference ??= offset;
    }
  }
  return { samples, mismatches, firstDifference };
}

/** Different windows with something unchanged in them: all of a small disk, else by chance. Looks at twice as many as it needs and no more. */
function chooseWindows({ tree, windows, changedIn, random }: AuditRequest): Set<number> {
  const all = windowCount(tree.sizeBytes);
  const chosen = new Set<number>();
  const draws = all <= windows ? all : 2 * windows;
  for (let draw = 0; draw < draws && chosen.size < windows; draw++) {
    const window = all <= windows ? draw : random(all);
    const blocks = windowBlocks(tree.sizeBytes, window);
    const isWholly = changedIn(window, blocks).some(({ start, end }) => start === 0 && end >= blocks);
    if (!isWholly) chosen.add(window);
  }
  return chosen;
}

/** Chunks, and zero runs cut to the size of one, that no known change touches. */
function unchangedPieces(entries: readonly LeafEntry[], changed: readonly BlockRange[]): Piece[] {
  const pieces: Piece[] = [];
  let block = 0;
  for (const { blocks, chunk } of entries) {
    const step = chunk ? blocks : MAX_CHUNK_BLOCKS;
    for (let startBlock = block; startBlock < block + blocks; startBlock += step) {
      const size = Math.min(step, block + blocks - startBlock);
      if (!changed.some(({ start, end }) => start < startBlock + size && end > startBlock)) pieces.push({ startBlock, blocks: size, id: chunk?.id ?? null });
    }
    block += blocks;
  }
  return pieces;
}

async function isAsBefore(vault: VaultAccess, source: BlockSource, diskBytes: number, offset: number, { blocks, id }: Piece): Promise<boolean> {
  // The last block of a disk is filled up with zeros, as it was when its id was made.
  const bytes = Buffer.alloc(blocks * BLOCK_BYTES);
  await source.readInto(bytes.subarray(0, Math.min(bytes.length, diskBytes - offset)), offset);
  return id ? blobId(vault.keys, bytes).equals(id) : bytes.equals(Buffer.alloc(bytes.length));
}

/** Whole numbers below a bound that follow from the seed: the same sample when the step runs again, or when someone wants to see it. */
export function seededRandom(seed: string): (below: number) => number {
  let counter = 0;
  return (below) => Math.floor((createHash('sha256').update(`${seed}:${counter++}`).digest().readUInt32LE(0) / 2 ** 32) * below);
}
