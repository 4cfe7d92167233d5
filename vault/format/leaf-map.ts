import type { BlobRef } from './blob';
import { WINDOW_BLOCKS } from './format';
import type { Leaf, LeafEntry } from './nodes';

/** Collects the entries of a leaf in order, joining zero runs that touch. */
export class LeafBuilder {
  readonly entries: LeafEntry[] = [];
  blocks = 0;
  append(blocks: number, chunk: BlobRef | null): void {
    if (blocks === 0) return;
    this.blocks += blocks;
    const last = this.entries[this.entries.length - 1];
    if (chunk === null && last?.chunk === null) this.entries[this.entries.length - 1] = { blocks: last.blocks + blocks, chunk: null };
    else this.entries.push({ blocks, chunk });
  }
}

/** A leaf of the parent, made ready for looking up what was where. A missing leaf is a window of zeros. */
export class LeafMap {
  /** Start block of each entry, ascending. */
  readonly starts: number[] = [];
  readonly entries: readonly LeafEntry[];
  private byId: Map<string, BlobRef> | undefined;

  constructor(leaf: Leaf | null, readonly blocks: number = WINDOW_BLOCKS) {
    this.entries = leaf?.entries ?? [{ blocks, chunk: null }];
    let start = 0;
    for (const entry of this.entries) {
      this.starts.push(start);
      start += entry.blocks;
    }
  }

  /** The chunk with this id anywhere in the window. */
  find(id: Buffer): BlobRef | undefined {
    if (!this.byId) {
      this.byId = new Map();
      for (const { chunk } of this.entries) if (chunk) this.byId.set(idKey(chunk.id), chunk);
    }
    return this.byId.get(idKey(id));
  }

  /** Number of the entry that holds the block. */
  indexAt(block: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.starts[middle] as number) <= block) low = middle; else high = middle - 1;
    }
    return low;
  }

  /** The entry that starts exactly at the block. */
  startingAt(block: number): LeafEntry | undefined {
    const index = this.indexAt(block);
    return this.starts[index] === block ? this.entries[index] : undefined;
  }

  /** True where a cutter that stopped here could go on as the parent did: at a start of an entry or inside zeros. */
  isBoundary(block: number): boolean {
    if (block >= this.blocks) return true;
    const index = this.indexAt(block);
    return this.starts[index] === block || this.entries[index]?.chunk === null;
  }

  isZero(block: number): boolean {
    return block < this.blocks && this.entries[this.indexAt(block)]?.chunk === null;
  }

  /** Appends the parent's entries of [from, to) to a new leaf; both must be boundaries. */
  copy(target: LeafBuilder, from: number, to: number): void {
    for (let at = from; at < to;) {
      const index = this.indexAt(at);
      const entry = this.entries[index] as LeafEntry;
      const end = Math.min(to, (this.starts[index] as number) + entry.blocks);
      target.append(end - at, entry.chunk);
      at = end;
    }
  }
}

/** Ids as map keys: one character a byte. */
export const idKey = (id: Buffer): string => id.toString('latin1');
