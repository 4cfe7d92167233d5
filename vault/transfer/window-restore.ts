import type { KeyObject } from 'node:crypto';
import { type ErrorReport, HoldfastError } from '../../errors/holdfast-error';
import { isDamage } from '../proof/damage';
import type { BlobRef } from '../format/blob';
import { type BufferPool, type LaneMemory, WRITE_BYTES } from './lane-memory';
import type { BlockSink } from './block-sink';
import { BLOCK_BYTES, BlobKind, PackKind, WINDOW_BYTES } from '../format/format';
import { packKey, type VaultKeys } from '../keys/keys';
import { openBlob, readPackRange } from '../format/pack-reader';
import { type BlobRefJson, refFromJson } from '../format/ref-json';
import type { LaneReadJob, LaneReadResult } from './transfer-lane';
import { loadLeaf, type VaultAccess } from '../format/tree';

interface Wanted { readonly chunk: BlobRef; readonly offset: number; readonly bytes: number }
interface Run { readonly pack: string; readonly offset: number; length: number; readonly chunks: Wanted[] }

/** Blobs that lie this near in a pack are read with one request. */
const NEAR_BYTES = 32 * 1024;
const MAX_RUN_BYTES = 2 * 1024 * 1024;
/** Writes under way at once in a lane, so that decoding does not wait for the disk. */
const MAX_PENDING_WRITES = 4;

/**
 * Reads a window back: fetches its chunks with few large requests, proves every one (tag, length, id), and writes them to the sink
 * if there is one. Without `collectDamage` the first damage throws; with it, everything is looked at and damage is listed.
 * `only` names the chunks that are wanted, by the block of the window at which they start.
 */
export async function readWindow(vault: VaultAccess, job: LaneReadJob, sink: BlockSink | null, collectDamage: boolean, memory: LaneMemory, only?: ReadonlySet<number>): Promise<LaneReadResult> {
  const damage: ErrorReport[] = [];
  const note = (error: unknown): void => {
    if (!collectDamage || !isDamage(error)) throw error;
    damage.push(error.toJSON());
  };
  const totals = { chunks: 0, plainBytes: 0, storedBytes: 0 };
  let wanted: Wanted[] = [];
  try {
    wanted = await chunksOf(vault, sink ? { ...job, provedLeaf: undefined } : job, only);
  } catch (error) {
    note(error);
  }
  const runs = planRuns(wanted);
  const keys = new PackKeys(vault.keys);
  const writes = new WriteBatch(sink, job.diskBytes, memory.writes);
  try {
    let ahead = runs[0] && fetchRun(vault, runs[0]);
    for (let index = 0; index < runs.length; index++) {
      const run = runs[index] as Run;
      const current = ahead as Promise<Buffer>;
      const next = runs[index + 1];
      ahead = next && fetchRun(vault, next);
      let stored: Buffer;
      try {
        stored = await current;
      } catch (error) {
        note(error);
        continue;
      }
      for (const { chunk, offset, bytes } of run.chunks) {
        try {
          const start = chunk.offset - run.offset;
          const plain = openBlob(stored.subarray(start, start + chunk.length), chunk, keys.get(chunk.pack), vault.keys, BlobKind.chunk, bytes);
          if (plain.length !== bytes) throw new HoldfastError('PACK_DAMAGED', `Pack ${chunk.pack}: the chunk at ${chunk.offset} has ${plain.length} bytes, not ${bytes}`, { data: { pack: chunk.pack } });
          await writes.add(plain, offset);
          totals.chunks++;
          totals.plainBytes += bytes;
          totals.storedBytes += chunk.length;
        } catch (error) {
          note(error);
        }
      }
    }
    await writes.finish();
  } finally {
    await writes.settle();
  }
  return { window: job.window, ...totals, damage };
}

function fetchRun(vault: VaultAccess, run: Run): Promise<Buffer> {
  const bytes = readPackRange(vault.store, PackKind.data, run.pack, run.offset, run.length);
  // It is awaited one step later; a failure in between is not an unhandled one.
  bytes.catch(() => undefined);
  return bytes;
}

async function chunksOf(vault: VaultAccess, job: LaneReadJob, only: ReadonlySet<number> | undefined): Promise<Wanted[]> {
  const leaf = await loadLeaf(vault, refFromJson(job.leaf), job.window, job.diskBytes);
  const proved = job.provedLeaf ? await placesIn(vault, job, job.provedLeaf) : null;
  const wanted: Wanted[] = [];
  let block = 0;
  for (const entry of leaf.entries) {
    if (entry.chunk && (!only || only.has(block)) && !proved?.has(placeOf(entry.blocks, entry.chunk))) wanted.push({ chunk: entry.chunk, offset: job.window * WINDOW_BYTES + block * BLOCK_BYTES, bytes: entry.blocks * BLOCK_BYTES });
    block += entry.blocks;
  }
  return wanted;
}

/** All that a chunk is proved by: where it lies, what its id is, how much it holds. A reference that differs in any of it has to be proved itself. */
const placeOf = (blocks: number, { pack, offset, length, id }: BlobRef): string => `${pack}.${offset}.${length}.${blocks}.${id.toString('latin1')}`;

async function placesIn(vault: VaultAccess, { window, diskBytes }: LaneReadJob, leaf: BlobRefJson): Promise<ReadonlySet<string> | null> {
  try {
    const { entries } = await loadLeaf(vault, refFromJson(leaf), window, diskBytes);
    return new Set(entries.flatMap(({ blocks, chunk }) => (chunk ? [placeOf(blocks, chunk)] : [])));
  } catch (error) {
    // It was whole when it was proved. Now nothing that it says counts, and everything is read.
    if (!isDamage(error)) throw error;
    return null;
  }
}

/** Groups chunks by pack and nearness, so that a window costs a few requests rather than a thousand. */
function planRuns(wanted: readonly Wanted[]): Run[] {
  const runs: Run[] = [];
  const sorted = [...wanted].sort((a, b) => (a.chunk.pack === b.chunk.pack ? a.chunk.offset - b.chunk.offset : a.chunk.pack < b.chunk.pack ? -1 : 1));
  for (const item of sorted) {
    const last = runs[runs.length - 1];
    const end = item.chunk.offset + item.chunk.length;
    if (last && last.pack === item.chunk.pack && item.chunk.offset <= last.offset + last.length + NEAR_BYTES && end - last.offset <= MAX_RUN_BYTES) {
      last.length = Math.max(last.length, end - last.offset);
      last.chunks.push(item);
    } else {
      runs.push({ pack: item.chunk.pack, offset: item.chunk.offset, length: item.chunk.length, chunks: [item] });
    }
  }
  return runs;
}

/** Joins chunks that follow each other on the disk into one write, has a few writes under way, and cuts what lies beyond the disk's end. */
class WriteBatch {
  private buffer: Buffer | undefined;
  private start = 0;
  private bytes = 0;
  private readonly pending: Promise<void>[] = [];

  constructor(private readonly sink: BlockSink | null, private readonly diskBytes: number, private readonly memory: BufferPool) {}

  async add(plain: Buffer, offset: number): Promise<void> {
    if (!this.sink) return;
    if (offset !== this.start + this.bytes || this.bytes + plain.length > WRITE_BYTES) await this.flush();
    if (this.bytes === 0) this.start = offset;
    // A copy: the chunk's own memory is used again for the next one.
    this.buffer ??= this.memory.take();
    plain.copy(this.buffer, this.bytes);
    this.bytes += plain.length;
  }

  /** Everything is written when this resolves. */
  async finish(): Promise<void> {
    await this.flush();
    while (this.pending.length > 0) await this.pending.shift();
  }

  /** Nothing is being written any more when this resolves, whatever became of it: the sink may be closed. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.pending);
    if (this.buffer) this.memory.giveBack(this.buffer);
    this.buffer = undefined;
  }

  private async flush(): Promise<void> {
    const { buffer, bytes, start } = this;
    this.buffer = undefined;
    this.bytes = 0;
    if (!this.sink || !buffer || bytes === 0) return;
    if (this.pending.length === MAX_PENDING_WRITES) await this.pending.shift();
    const write = this.sink.write(buffer.subarray(0, Math.min(bytes, this.diskBytes - start)), start).then(() => this.memory.giveBack(buffer));
    // A failure is told when the write is waited for.
    write.catch(() => undefined);
    this.pending.push(write);
  }
}

/** Derives each pack's key once a window. */
class PackKeys {
  private readonly known = new Map<string, KeyObject>();
  constructor(private readonly keys: VaultKeys) {}
  get(pack: string): KeyObject {
    const key = this.known.get(pack) ?? packKey(this.keys, Buffer.from(pack, 'hex'));
    this.known.set(pack, key);
    return key;
  }
}
