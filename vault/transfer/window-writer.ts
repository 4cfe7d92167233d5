import type { BlockSource, DiskRange } from './block-source';
import { type BlobRef, blobId } from '../format/blob';
import { ChunkCutter, isZeroBlock, type Piece } from './chunk-cutter';
import type { ChunkMover } from './chunk-mover';
import { BLOCK_BYTES, BlobKind } from '../format/format';
import type { VaultKeys } from '../keys/keys';
import { LeafBuilder, LeafMap } from '../format/leaf-map';
import { encodeLeaf, type Leaf, type LeafEntry } from '../format/nodes';
import type { PackWriter } from '../format/pack-writer';
import { hookKey, isHook, type ReuseIndex } from './reuse';
import { emptyStats, type TransferStats, type UsageDelta } from './transfer-types';
import { windowBlocks } from './window-blocks';
import { changedBlocks, planSpans, type Span } from './window-plan';
import { SEGMENT_BLOCKS, SEGMENT_ROOM_BYTES, type Segment, SegmentReader } from './window-reader';

export interface WindowJob {
  readonly window: number;
  /** Byte ranges of the disk known to have changed since the parent; null when that is not known and all must be read. */
  readonly ranges: readonly DiskRange[] | null;
  /** The parent's leaf of this window; null when it was zeros or there is no parent. */
  readonly parent: { readonly ref: BlobRef; readonly leaf: Leaf } | null;
  /**
   * True when the disk's tree is built anew, because its size is not the parent's: usage is then counted from nothing, and
   * `ranges` is null, since the parent serves for comparing only.
   */
  readonly fresh: boolean;
  /** True when the parent's leaf lies in a damaged pack: it is written anew even when nothing changed. */
  readonly stale: boolean;
}

export interface WindowResult {
  readonly window: number;
  /** 'same' when the content is the parent's; null when it is zeros. */
  readonly leaf: BlobRef | 'same' | null;
  readonly usage: UsageDelta;
  /** Prefixes of the window's hooks, one character a byte. */
  readonly hooks: readonly string[];
  readonly stats: TransferStats;
}

export interface WindowWriterDeps {
  readonly source: BlockSource;
  readonly keys: VaultKeys;
  readonly dataPacks: PackWriter;
  readonly metaPacks: PackWriter;
  readonly reuse: ReuseIndex;
  /** Damaged packs: no chunk of them is taken over. A window whose parent has some comes with `ranges` null, so that all of it is read. */
  readonly avoid: ReadonlySet<string>;
  /** Copies chunks out of sparse packs; null when there are none. */
  readonly mover: ChunkMover | null;
}

interface PendingChunk { readonly plain: Buffer; readonly startBlock: number; readonly blocks: number; readonly id: Buffer }

/** Turns windows of a disk into leaves: reads, cuts, looks up, compresses, encrypts, packs. One at a time, in one thread. */
export class WindowWriter {
  private readonly reader: SegmentReader;

  constructor(private readonly deps: WindowWriterDeps) {
    this.reader = new SegmentReader(deps.source);
  }

  /** The result's references are good once both pack writers are flushed. */
  async write(job: WindowJob): Promise<WindowResult> {
    const blocks = windowBlocks(this.deps.source.sizeBytes, job.window);
    const work = new WindowWork(this.deps, this.reader, job, blocks);
    this.reader.startWindow(job.window);
    try {
      await work.run();
    } finally {
      await this.reader.endWindow();
    }
    return work.finish();
  }
}

class WindowWork {
  private readonly parent: LeafMap;
  private readonly leaf = new LeafBuilder();
  private readonly stats = emptyStats();
  private readonly cutter: ChunkCutter;
  private readonly readBefore: number;

  constructor(private readonly deps: WindowWriterDeps, private readonly reader: SegmentReader, private readonly job: WindowJob, private readonly blocks: number) {
    this.parent = new LeafMap(job.parent && fitLeaf(job.parent.leaf, blocks), blocks);
    this.cutter = new ChunkCutter(deps.keys.cutSeed);
    this.readBefore = reader.readBytes;
  }

  async run(): Promise<void> {
    const { ranges, window } = this.job;
    const spans = ranges === null
      ? [{ start: 0, changedEnd: this.blocks, plannedEnd: this.blocks }]
      : planSpans(this.parent, changedBlocks(window, this.blocks, ranges));
    let done = 0;
    for (let next = 0; next < spans.length;) {
      const span = spans[next] as Span;
      this.parent.copy(this.leaf, done, span.start);
      const cut = await this.cutSpan(spans, next);
      done = cut.end;
      next = cut.next;
    }
    this.parent.copy(this.leaf, done, this.blocks);
  }

  /** Cuts from the span's start until a boundary coincides with the parent's, taking in later spans that it runs into. */
  private async cutSpan(spans: readonly Span[], index: number): Promise<{ end: number; next: number }> {
    let next = index + 1;
    let { changedEnd, plannedEnd } = spans[index] as Span;
    let position = (spans[index] as Span).start;
    let carry: Buffer = Buffer.alloc(0);
    for (;;) {
      const blocks = Math.min(SEGMENT_BLOCKS, plannedEnd > position ? plannedEnd - position : 16, this.blocks - position);
      this.prefetch(spans, next, position, position + blocks, plannedEnd);
      const segment = await this.reader.read(position, blocks);
      const stop = (at: number): boolean => {
        for (let later = spans[next]; later && later.start < at; later = spans[next]) {
          changedEnd = later.changedEnd;
          plannedEnd = Math.max(plannedEnd, later.plannedEnd);
          next++;
        }
        return at >= changedEnd && this.parent.isBoundary(at);
      };
      const cut = this.cutSegment(segment, blocks, carry, stop);
      await this.store(cut.chunks);
      carry = cut.end === null ? Buffer.from(cut.rest) : carry;
      this.reader.release(segment);
      if (cut.end !== null) return { end: cut.end, next };
      position += blocks;
    }
  }

  private prefetch(spans: readonly Span[], next: number, start: number, end: number, plannedEnd: number): void {
    this.reader.prefetch(start, end - start);
    for (let at = end; at < plannedEnd && at < end + 2 * SEGMENT_BLOCKS; at += SEGMENT_BLOCKS) this.reader.prefetch(at, Math.min(SEGMENT_BLOCKS, plannedEnd - at));
    for (const span of spans.slice(next, next + 3)) this.reader.prefetch(span.start, Math.min(SEGMENT_BLOCKS, span.plannedEnd - span.start));
  }

  /**
   * Offers a segment's blocks to the cutter. `carry` is the open chunk's part from the segment before; it is put in front of the
   * segment, so that the chunk is one piece of memory. `end` is where cutting may stop, or null when more must be read.
   */
  private cutSegment(segment: Segment, blocks: number, carry: Buffer, stop: (at: number) => boolean): { chunks: PendingChunk[]; rest: Buffer; end: number | null } {
    const { buffer, startBlock } = segment;
    carry.copy(buffer, SEGMENT_ROOM_BYTES - carry.length);
    const chunks: PendingChunk[] = [];
    let boundary = startBlock - this.cutter.openBlocks;
    const byteAt = (block: number): number => SEGMENT_ROOM_BYTES + (block - startBlock) * BLOCK_BYTES;
    let end: number | null = null;
    const emit = (piece: Piece): void => {
      if (!piece.zero) {
        const plain = buffer.subarray(byteAt(boundary), byteAt(boundary + piece.blocks));
        chunks.push({ plain, startBlock: boundary, blocks: piece.blocks, id: blobId(this.deps.keys, plain) });
      } else {
        chunks.push({ plain: EMPTY, startBlock: boundary, blocks: piece.blocks, id: EMPTY });
      }
      boundary += piece.blocks;
    };
    for (let reached = startBlock; reached < startBlock + blocks;) {
      const known = this.unchangedChunk(buffer.subarray(byteAt(reached), byteAt(startBlock + blocks)), reached);
      if (known) {
        // It follows zeros, or another chunk: then nothing is open.
        this.cutter.end(emit);
        chunks.push(known);
        boundary += known.blocks;
        reached += known.blocks;
      } else {
        this.cutter.next(buffer.subarray(byteAt(reached), byteAt(reached + 1)), emit);
        reached++;
      }
      // A chunk also ends where the parent's zeros follow unchanged: no need to read them to know.
      const beforeZeros = this.cutter.openBlocks > 0 && (this.cutter.openIsZero || this.parent.isZero(reached));
      if (reached === this.blocks || (beforeZeros && stop(reached))) this.cutter.end(emit);
      if (this.cutter.openBlocks === 0 && (reached === this.blocks || stop(reached))) {
        end = reached;
        break;
      }
    }
    const rest = end === null && !this.cutter.openIsZero ? buffer.subarray(byteAt(boundary), byteAt(startBlock + blocks)) : EMPTY;
    return { chunks, rest, end };
  }

  /**
   * The parent's chunk at this block if it is here as it was, so that it need not be cut. What ends a chunk is its own content, or the zeros behind it: those have to be here
   * too. Only where all is compared: a known change begins at a chunk that is certainly another one.
   */
  private unchangedChunk(content: Buffer, at: number): PendingChunk | null {
    if (this.job.ranges !== null || (this.cutter.openBlocks > 0 && !this.cutter.openIsZero)) return null;
    const entry = this.parent.startingAt(at);
    const endsByZeros = entry !== undefined && this.parent.isZero(at + entry.blocks);
    if (!entry?.chunk || (entry.blocks + (endsByZeros ? 1 : 0)) * BLOCK_BYTES > content.length) return null;
    const plain = content.subarray(0, entry.blocks * BLOCK_BYTES);
    if (endsByZeros && !isZeroBlock(content.subarray(plain.length, plain.length + BLOCK_BYTES))) return null;
    const id = blobId(this.deps.keys, plain);
    return id.equals(entry.chunk.id) ? { plain, startBlock: at, blocks: entry.blocks, id } : null;
  }

  private async store(chunks: readonly PendingChunk[]): Promise<void> {
    await this.deps.reuse.prepare(chunks.map(({ id }) => id).filter((id) => id.length > 0));
    for (const chunk of chunks) this.leaf.append(chunk.blocks, chunk.id.length === 0 ? this.zeros(chunk) : await this.place(chunk));
  }

  private zeros({ startBlock, blocks }: PendingChunk): null {
    for (let at = startBlock; at < startBlock + blocks;) {
      const index = this.parent.indexAt(at);
      const entry = this.parent.entries[index] as LeafEntry;
      const end = Math.min(startBlock + blocks, (this.parent.starts[index] as number) + entry.blocks);
      if (entry.chunk) this.stats.changedBytes += (end - at) * BLOCK_BYTES;
      at = end;
    }
    return null;
  }

  private async place(chunk: PendingChunk): Promise<BlobRef> {
    const before = this.parent.startingAt(chunk.startBlock);
    const same = before?.chunk && before.blocks === chunk.blocks && before.chunk.id.equals(chunk.id) ? before.chunk : undefined;
    if (same && this.isSound(same)) return same;
    if (!same) this.stats.changedBytes += chunk.plain.length;
    const elsewhere = this.parent.find(chunk.id);
    const known = elsewhere && this.isSound(elsewhere) ? elsewhere : this.deps.reuse.find(chunk.id);
    if (known) {
      this.stats.reusedChunks++;
      this.stats.reusedBytes += chunk.plain.length;
      return known;
    }
    const ref = await this.deps.dataPacks.add(BlobKind.chunk, chunk.id, chunk.plain);
    this.stats.newChunks++;
    this.stats.newBytes += chunk.plain.length;
    this.deps.reuse.remember(ref);
    return ref;
  }

  private isSound(chunk: BlobRef): boolean {
    return !this.deps.avoid.has(chunk.pack);
  }

  async finish(): Promise<WindowResult> {
    const { job, stats } = this;
    const entries = await this.deps.mover?.move(this.leaf.entries, stats) ?? this.leaf.entries;
    stats.readBytes = this.reader.readBytes - this.readBefore;
    stats.windows = 1;
    const hooks = new Set<string>();
    for (const { chunk } of entries) if (chunk && isHook(chunk.id)) hooks.add(hookKey(chunk.id));
    const zero = entries.length === 1 && entries[0]?.chunk === null;
    // Against the parent's own leaf, not the fitted one: a leaf for another number of blocks must never be kept.
    const same = zero ? job.parent === null : !job.stale && sameEntries(entries, job.parent?.leaf.entries ?? []);
    const usage = usageDelta(job.fresh ? [] : this.parent.entries, entries);
    if (same) return { window: job.window, leaf: job.parent ? 'same' : null, usage, hooks: [...hooks], stats };
    const leaf = zero ? null : await this.writeLeaf(entries);
    return { window: job.window, leaf, usage, hooks: [...hooks], stats };
  }

  private writeLeaf(entries: readonly LeafEntry[]): Promise<BlobRef> {
    const plain = encodeLeaf({ window: this.job.window, entries });
    return this.deps.metaPacks.add(BlobKind.node, blobId(this.deps.keys, plain), plain);
  }
}

const EMPTY: Buffer = Buffer.alloc(0);

const sameEntries = (a: readonly LeafEntry[], b: readonly LeafEntry[]): boolean =>
  a.length === b.length && a.every((entry, index) => {
    const other = b[index] as LeafEntry;
    return entry.blocks === other.blocks && (entry.chunk === other.chunk || (entry.chunk !== null && other.chunk !== null && samePlace(entry.chunk, other.chunk)));
  });

/** The same content in another place is another leaf: it was healed, or copied out of a sparse pack. */
const samePlace = (a: BlobRef, b: BlobRef): boolean => a.pack === b.pack && a.offset === b.offset && a.id.equals(b.id);

/**
 * A parent's leaf brought to another number of blocks, for the last window of a disk that was resized: blocks that the leaf does not
 * have, and a chunk that reaches beyond the new end, count as zeros. Only for comparing, never for copying.
 */
function fitLeaf(leaf: Leaf, blocks: number): Leaf {
  const builder = new LeafBuilder();
  for (const entry of leaf.entries) {
    const room = blocks - builder.blocks;
    builder.append(Math.min(entry.blocks, room), entry.blocks <= room ? entry.chunk : null);
  }
  builder.append(blocks - builder.blocks, null);
  return { window: leaf.window, entries: builder.entries };
}

/** What the window's references to each data pack gained or lost against the parent. */
function usageDelta(before: readonly LeafEntry[], after: readonly LeafEntry[]): UsageDelta {
  const delta = new Map<string, { chunks: number; bytes: number }>();
  const count = (entries: readonly LeafEntry[], sign: 1 | -1): void => {
    for (const { chunk } of entries) {
      if (!chunk) continue;
      const row = delta.get(chunk.pack) ?? { chunks: 0, bytes: 0 };
      row.chunks += sign;
      row.bytes += sign * chunk.length;
      delta.set(chunk.pack, row);
    }
  };
  count(after, 1);
  count(before, -1);
  return [...delta].filter(([, row]) => row.chunks !== 0 || row.bytes !== 0).map(([pack, row]) => [pack, row.chunks, row.bytes] as const);
}
