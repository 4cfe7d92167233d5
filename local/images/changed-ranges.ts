import type { DiskRange } from '../../vault/transfer/block-source';

/** What a comparison needs of a disk. */
export interface ReadableDisk {
  readonly sizeBytes: number;
  readInto(buffer: Buffer, offsetBytes: number): Promise<void>;
}

/** `cleared` reads as zeros now and did not before; without a base only `data` occurs. */
export interface ChangedRange extends DiskRange {
  readonly kind: 'data' | 'cleared';
}

export const blockClass = { same: 0, data: 1, cleared: 2 } as const;

const readBytes = 1024 * 1024;

/**
 * The ranges of `range` where `now` differs from `base`, ascending, never touching one of the same kind, with
 * boundaries on the grid of `granularityBytes` or at an end of the asked range. A base of undefined is all zeros,
 * so the answer is what holds data; bytes past the end of the shorter disk count as zeros.
 */
export async function changedRanges(base: ReadableDisk | undefined, now: ReadableDisk, range: DiskRange, granularityBytes = 4096): Promise<ChangedRange[]> {
  const first = Math.floor(range.offset / granularityBytes) * granularityBytes;
  const end = Math.min(range.offset + range.length, now.sizeBytes);
  if (end <= range.offset) return [];
  const classes = await classifyBlocks(base, now, { offset: first, length: end - first }, granularityBytes);
  return rangesOfClasses(classes, first, granularityBytes, { offset: range.offset, length: end - range.offset });
}

/**
 * One byte a block of `granularityBytes` from `range.offset` (which lies on the grid) on: same, data or cleared.
 * Memory is two buffers of 1 MiB and the answer, whatever the disks' sizes.
 */
export async function classifyBlocks(base: ReadableDisk | undefined, now: ReadableDisk, range: DiskRange, granularityBytes: number): Promise<Uint8Array> {
  const end = Math.min(range.offset + range.length, now.sizeBytes);
  const classes = new Uint8Array(Math.max(0, Math.ceil((end - range.offset) / granularityBytes)));
  const stepBytes = Math.max(granularityBytes, Math.floor(readBytes / granularityBytes) * granularityBytes);
  const nowBuffer = Buffer.allocUnsafe(stepBytes);
  const baseBuffer = base === undefined ? undefined : Buffer.allocUnsafe(stepBytes);
  const zeros = Buffer.alloc(stepBytes);
  for (let offset = range.offset; offset < end; offset += stepBytes) {
    const length = Math.min(stepBytes, end - offset);
    const current = nowBuffer.subarray(0, length);
    const before = baseBuffer === undefined ? zeros.subarray(0, length) : baseBuffer.subarray(0, length);
    await now.readInto(current, offset);
    if (base !== undefined) await readPadded(base, before, offset);
    if (current.equals(before)) continue;
    for (let at = 0; at < length; at += granularityBytes) {
      const blockEnd = Math.min(at + granularityBytes, length);
      if (current.compare(before, at, blockEnd, at, blockEnd) === 0) continue;
      const cleared = current.compare(zeros, at, blockEnd, at, blockEnd) === 0;
      classes[(offset + at - range.offset) / granularityBytes] = cleared ? blockClass.cleared : blockClass.data;
    }
  }
  return classes;
}

/** Joins neighbouring blocks of one class into ranges, clipped to `clip`. */
export function rangesOfClasses(classes: Uint8Array, firstOffset: number, granularityBytes: number, clip: DiskRange): ChangedRange[] {
  const ranges: ChangedRange[] = [];
  const clipEnd = clip.offset + clip.length;
  let index = 0;
  while (index < classes.length) {
    const found = classes[index];
    let next = index + 1;
    while (next < classes.length && classes[next] === found) next++;
    if (found !== blockClass.same) {
      const offset = Math.max(firstOffset + index * granularityBytes, clip.offset);
      const end = Math.min(firstOffset + next * granularityBytes, clipEnd);
      if (end > offset) ranges.push({ offset, length: end - offset, kind: found === blockClass.cleared ? 'cleared' : 'data' });
    }
    index = next;
  }
  return ranges;
}

/** Appends a range, joining it to the last one where they touch and are of one kind. */
export function appendRange(ranges: ChangedRange[], range: ChangedRange): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.kind === range.kind && last.offset + last.length === range.offset) {
    ranges[ranges.length - 1] = { ...last, length: last.length + range.length };
  } else {
    ranges.push(range);
  }
}

async function readPadded(disk: ReadableDisk, buffer: Buffer, offset: number): Promise<void> {
  const available = Math.max(0, Math.min(buffer.length, disk.sizeBytes - offset));
  if (available > 0) await disk.readInto(buffer.subarray(0, available), offset);
  buffer.fill(0, available);
}
