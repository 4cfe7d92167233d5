import { BlobKind, BLOCK_BYTES, PackKind } from '../format/format';
import type { BlobRef } from '../format/blob';
import type { LeafEntry } from '../format/nodes';
import { fetchBlob } from '../format/pack-reader';
import type { PackWriter } from '../format/pack-writer';
import type { ReuseIndex } from './reuse';
import type { VaultAccess } from '../format/tree';
import type { TransferStats } from './transfer-types';

/** Chunks that are read at once: hides the time of a round trip, and holds 2 MiB at most. */
const PARALLEL_READS = 8;

/**
 * Copies chunks out of packs that are hardly used any more (see copy-forward.ts): reads them from the vault, never from the source, proves each, and adds it to
 * the packs that are being written. Nothing that is stored changes: only the new leaf refers to the new place.
 */
export class ChunkMover {
  constructor(private readonly vault: VaultAccess, private readonly forward: ReadonlySet<string>, private readonly dataPacks: PackWriter, private readonly reuse: ReuseIndex) {}

  /** The entries with every chunk at its new place. Throws damage when a chunk does not prove. */
  async move(entries: readonly LeafEntry[], stats: TransferStats): Promise<readonly LeafEntry[]> {
    const moving = entries.filter((entry): entry is Moving => entry.chunk !== null && this.forward.has(entry.chunk.pack));
    if (moving.length === 0) return entries;
    const places = new Map<LeafEntry, BlobRef>();
    for (let next = 0; next < moving.length; next += PARALLEL_READS) {
      const batch = moving.slice(next, next + PARALLEL_READS);
      const read = await Promise.all(batch.map(async (entry) => (this.placed(entry.chunk) ? null : await this.read(entry))));
      for (const [index, entry] of batch.entries()) places.set(entry, this.placed(entry.chunk) ?? await this.copy(entry, read[index] ?? await this.read(entry), stats));
    }
    return entries.map((entry) => ({ blocks: entry.blocks, chunk: places.get(entry) ?? entry.chunk }));
  }

  /** Where this worker has put the same chunk already. */
  private placed({ id }: BlobRef): BlobRef | undefined {
    const known = this.reuse.find(id);
    return known && !this.forward.has(known.pack) ? known : undefined;
  }

  private async read({ chunk, blocks }: Moving): Promise<Buffer> {
    const plain = await fetchBlob(this.vault.store, this.vault.keys, PackKind.data, BlobKind.chunk, chunk, blocks * BLOCK_BYTES);
    // A copy: what a chunk is decoded to is overwritten by the next one.
    return Buffer.from(plain);
  }

  private async copy({ chunk }: Moving, plain: Buffer, stats: TransferStats): Promise<BlobRef> {
    const ref = await this.dataPacks.add(BlobKind.chunk, chunk.id, plain);
    stats.forwardedChunks++;
    stats.forwardedBytes += ref.length;
    this.reuse.remember(ref);
    return ref;
  }
}

interface Moving extends LeafEntry { readonly chunk: BlobRef }
