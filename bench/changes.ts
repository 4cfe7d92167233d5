import { type FileHandle, open } from 'node:fs/promises';
import { changedRanges } from '../local/images/changed-ranges';
import { openImage } from '../local/images/open-image';
import type { DiskRange } from '../vault/transfer/block-source';
import { SeededRandom } from './random';

export interface ChangePlan {
  readonly seed: number;
  /** Share of the blocks in use that change. */
  readonly share: number;
  /** About how many ranges they lie in. */
  readonly ranges: number;
}

const BLOCK_BYTES = 4096;
const READ_BYTES = 4 * 1024 * 1024;
/** One range in four lies in free space, as a new file does; the others overwrite what is there. */
const NEW_FILE_SHARE = 0.25;

/**
 * Changes a copy of an image as a system that runs does: files edited in place, files rewritten with other text and programs, files
 * copied, and content that does not compress. Returns where the two images really differ: found by comparing them.
 */
export async function changeImage(base: string, target: string, plan: ChangePlan): Promise<DiskRange[]> {
  const random = new SeededRandom(plan.seed);
  const source = await open(base, 'r');
  const image = await open(target, 'r+');
  try {
    const used = await usedBlocks(source);
    for (const range of planRanges(random, used, plan)) await image.write(await newContent(random, source, used, range), 0, range.length, range.offset);
    await image.sync();
  } finally {
    await source.close();
    await image.close();
  }
  return compare(base, target);
}

/** One byte a block: 1 where it holds anything but zeros. */
async function usedBlocks(image: FileHandle): Promise<Uint8Array> {
  const { size } = await image.stat();
  const used = new Uint8Array(size / BLOCK_BYTES);
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  const zeros = Buffer.alloc(BLOCK_BYTES);
  for (let offset = 0; offset < size;) {
    const { bytesRead } = await image.read(buffer, 0, buffer.length, offset);
    if (bytesRead === 0 || bytesRead % BLOCK_BYTES !== 0) throw new Error(`The image gave ${bytesRead} bytes at ${offset} of ${size}`);
    for (let at = 0; at < bytesRead; at += BLOCK_BYTES) {
      if (zeros.compare(buffer, at, at + BLOCK_BYTES) !== 0) used[(offset + at) / BLOCK_BYTES] = 1;
    }
    offset += bytesRead;
  }
  return used;
}

/** Ranges that neither overlap nor touch, with lengths as of files: many small ones and a few large ones. */
function planRanges(random: SeededRandom, used: Uint8Array, plan: ChangePlan): DiskRange[] {
  const wantedBlocks = Math.round(used.reduce((sum, one) => sum + one, 0) * plan.share);
  const meanBlocks = wantedBlocks / plan.ranges;
  const taken = new Uint8Array(used.length + 1);
  const ranges: DiskRange[] = [];
  for (let blocks = 0; blocks < wantedBlocks;) {
    const drawn = Math.ceil(-Math.log(1 - random.fraction()) * meanBlocks);
    const length = Math.min(Math.max(1, drawn), Math.ceil(16 * meanBlocks), wantedBlocks - blocks);
    const start = pick(random, used, random.fraction() < NEW_FILE_SHARE ? 0 : 1);
    if (start === 0 || start + length >= used.length || taken.subarray(start - 1, start + length + 1).includes(1)) continue;
    taken.fill(1, start, start + length);
    ranges.push({ offset: start * BLOCK_BYTES, length: length * BLOCK_BYTES });
    blocks += length;
  }
  return ranges;
}

function pick(random: SeededRandom, used: Uint8Array, wanted: 0 | 1): number {
  for (;;) {
    const block = random.below(used.length);
    if (used[block] === wanted) return block;
  }
}

async function newContent(random: SeededRandom, source: FileHandle, used: Uint8Array, range: DiskRange): Promise<Buffer> {
  const kind = random.fraction();
  if (kind < 0.1) return random.fill(Buffer.allocUnsafe(range.length));
  if (kind < 0.5 && used[range.offset / BLOCK_BYTES] === 1) return edited(random, await readAt(source, range.offset, range.length));
  const from = pick(random, used, 1) * BLOCK_BYTES;
  // Off the grid, what was elsewhere compresses as files do, but is no chunk that anyone has stored.
  const shift = kind < 0.9 ? 1 + random.below(BLOCK_BYTES - 1) : 0;
  return readAt(source, Math.max(0, Math.min(from, used.length * BLOCK_BYTES - range.length - BLOCK_BYTES)) + shift, range.length);
}

/** A few bytes of every block are others. */
function edited(random: SeededRandom, content: Buffer): Buffer {
  for (let at = 0; at < content.length; at += BLOCK_BYTES) random.fill(content.subarray(at + random.below(BLOCK_BYTES - 64)).subarray(0, 64));
  return content;
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, offset);
  if (bytesRead !== length) throw new Error(`The image gave ${bytesRead} bytes at ${offset}, not ${length}`);
  return buffer;
}

async function compare(base: string, target: string): Promise<DiskRange[]> {
  const [before, now] = [await openImage(base), await openImage(target)];
  try {
    const found = await changedRanges(before, now, { offset: 0, length: now.sizeBytes }, BLOCK_BYTES);
    const joined: { offset: number; length: number }[] = [];
    for (const { offset, length } of found) {
      const last = joined.at(-1);
      if (last && last.offset + last.length === offset) last.length += length;
      else joined.push({ offset, length });
    }
    return joined;
  } finally {
    await before.close();
    await now.close();
  }
}
