import { appendRange, classifyBlocks, rangesOfClasses, type ChangedRange, type ReadableDisk } from '../images/changed-ranges';

const segmentBytes = 64 * 1024 * 1024;
/** One byte a block: at 4 KiB blocks a segment takes 16 KiB, so that all of them together stay under 64 MiB. */
const cachedSegments = 4096;

/** Bytes that never change under this key; a disk that is written to brings a new key with each write. */
export interface KeyedDisk extends ReadableDisk {
  readonly key: string;
}

/** What differs between two disks, found by reading both, 64 MiB at a time, and remembered. */
export class RangeIndex {
  private readonly segments = new Map<string, Promise<Uint8Array>>();

  constructor(private readonly granularityBytes: number) {}

  /**
   * At most `limit` ranges of `[offset, end)` in ascending order, and where the next one begins when there are more.
   * With a base of undefined: what holds data.
   */
  async ranges(base: KeyedDisk | undefined, now: KeyedDisk, offset: number, end: number, limit: number): Promise<{ readonly ranges: ChangedRange[]; readonly next: number | null }> {
    const found: ChangedRange[] = [];
    const lastEnd = Math.min(end, now.sizeBytes);
    for (let start = Math.floor(offset / segmentBytes) * segmentBytes; start < lastEnd; start += segmentBytes) {
      const clipStart = Math.max(start, offset);
      const clipEnd = Math.min(start + segmentBytes, lastEnd);
      const classes = await this.segment(base, now, start);
      for (const range of rangesOfClasses(classes, start, this.granularityBytes, { offset: clipStart, length: clipEnd - clipStart })) appendRange(found, range);
      const beyond = found[limit];
      if (beyond !== undefined) return { ranges: found.slice(0, limit), next: beyond.offset };
    }
    return { ranges: found, next: null };
  }

  private segment(base: KeyedDisk | undefined, now: KeyedDisk, start: number): Promise<Uint8Array> {
    const key = `${base?.key ?? ''}|${now.key}|${start}`;
    const known = this.segments.get(key);
    if (known !== undefined) {
      this.segments.delete(key);
      this.segments.set(key, known);
      return known;
    }
    const computed = classifyBlocks(base, now, { offset: start, length: segmentBytes }, this.granularityBytes);
    this.segments.set(key, computed);
    computed.catch(() => this.segments.delete(key));
    const oldest = this.segments.keys().next();
    if (this.segments.size > cachedSegments && oldest.done !== true) this.segments.delete(oldest.value);
    return computed;
  }
}
