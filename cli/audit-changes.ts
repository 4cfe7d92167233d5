import { randomInt } from 'node:crypto';
import { blobId } from '../vault/blob';
import type { BlockSource, DiskRange } from '../vault/block-source';
import { BLOCK_BYTES, MAX_CHUNK_BLOCKS, REGION_WINDOWS, WINDOW_BYTES } from '../vault/format';
import type { InnerNode, LeafEntry } from '../vault/nodes';
import { type DiskTree, loadLeaf, loadRegion, loadRoot, type VaultAccess } from '../vault/tree';
import { changedBlocks } from '../vault/window-plan';
import { windowBlocks, windowCount } from '../vault/window-blocks';

/** About 2 MiB in all: enough to notice a list that belongs to another disk or another recovery point, and hardly any time. */
const SAMPLED_WINDOWS = 4;
const SAMPLED_PIECES = 8;

interface Piece { readonly startBlock: number; readonly blocks: number; readonly id: Buffer | null }

/**
 * Reads a random sample of what a list of changes calls unchanged and compares it with the parent. Answers the offset in
 * bytes of a difference, or null when there was none in the sample. Tools that track changes have lost some before, and
 * a list is easily used with the wrong parent.
 */
export async function findUnreported(vault: VaultAccess, source: BlockSource, parent: DiskTree, changed: readonly DiskRange[]): Promise<number | null> {
  const root = await loadRoot(vault, parent);
  const regions = new Map<number, InnerNode | null>();
  const all = windowCount(parent.sizeBytes);
  const windows = new Set(Array.from({ length: Math.min(SAMPLED_WINDOWS, all) }, (_, index) => (all <= SAMPLED_WINDOWS ? index : randomInt(all))));
  for (const window of windows) {
    const number = Math.floor(window / REGION_WINDOWS);
    const ref = root?.children.get(number);
    if (!regions.has(number)) regions.set(number, ref ? await loadRegion(vault, ref, number, parent.sizeBytes) : null);
    const leafRef = regions.get(number)?.children.get(window % REGION_WINDOWS);
    const blocks = windowBlocks(parent.sizeBytes, window);
    const entries: readonly LeafEntry[] = leafRef ? (await loadLeaf(vault, leafRef, window, parent.sizeBytes)).entries : [{ blocks, chunk: null }];
    const pieces = unchangedPieces(entries, changedBlocks(window, blocks, changed));
    for (let left = SAMPLED_PIECES; left > 0 && pieces.length > 0; left--) {
      const [piece] = pieces.splice(randomInt(pieces.length), 1);
      const offset = window * WINDOW_BYTES + (piece?.startBlock ?? 0) * BLOCK_BYTES;
      if (piece && !(await isAsBefore(vault, source, parent.sizeBytes, offset, piece))) return offset;
    }
  }
  return null;
}

/** Chunks, and zero runs cut to the size of one, that no reported change touches. */
function unchangedPieces(entries: readonly LeafEntry[], changed: readonly { readonly start: number; readonly end: number }[]): Piece[] {
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
  return id ? blobId(vault.keys, bytes).equals(id) : bytes.every((byte) => byte === 0);
}
