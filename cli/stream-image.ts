import type { Writable } from 'node:stream';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import type { BlockSink } from '../vault/transfer/block-sink';
import { WINDOW_BYTES } from '../vault/format/format';
import { refToJson } from '../vault/format/ref-json';
import { type DiskTree, leafRefs, regionsOf, type VaultAccess } from '../vault/format/tree';
import { windowCount } from '../vault/transfer/window-blocks';
import { LaneMemory } from '../vault/transfer/lane-memory';
import { readWindow } from '../vault/transfer/window-restore';

export interface StreamOptions {
  /** Follows the disk's bytes and the padding before it. */
  readonly tail: Buffer;
  readonly signal: AbortSignal;
  readonly onWindow?: (bytes: number) => void;
}

const ZEROS = Buffer.alloc(1024 * 1024);

/**
 * Writes a disk's bytes in order to a stream. Memory is one window (64 MiB), whatever the disk's size: within a window
 * chunks come in the order in which they are stored, so it is put together before it goes out.
 * What was damaged is found before its window is written, but windows before it are out by then: the stream ends short.
 */
export async function streamImage(vault: VaultAccess, tree: DiskTree, stream: Writable, options: StreamOptions): Promise<void> {
  const writer = new StreamWriter(stream);
  const window = Buffer.alloc(Math.min(WINDOW_BYTES, tree.sizeBytes));
  const memory = new LaneMemory();
  try {
    for await (const region of regionsOf(vault, tree)) {
      for (const [number, leaf] of leafRefs(region)) {
        if (options.signal.aborted) throw new HoldfastError('CANCELLED', 'It was stopped by a signal');
        const start = number * WINDOW_BYTES;
        const bytes = Math.min(WINDOW_BYTES, tree.sizeBytes - start);
        await writer.zerosTo(start);
        window.fill(0);
        await readWindow(vault, { window: number, leaf: refToJson(leaf), diskBytes: tree.sizeBytes }, sinkInto(window, start), false, memory);
        await writer.write(window.subarray(0, bytes));
        options.onWindow?.(bytes);
      }
    }
    await writer.zerosTo(tree.sizeBytes);
    await writer.write(options.tail);
  } finally {
    writer.close();
  }
}

/** How many windows a progress line may count on at most. */
export const streamWindows = (tree: DiskTree): number => windowCount(tree.sizeBytes);

const sinkInto = (window: Buffer, start: number): BlockSink => ({
  write(data, offset) {
    data.copy(window, offset - start);
    return Promise.resolve();
  },
  close: () => Promise.resolve(),
});

/** Counts what went out and waits for the reader, so that nothing piles up in memory. */
class StreamWriter {
  private position = 0;
  private failure: Error | undefined;
  private readonly onError = (error: Error): void => { this.failure = error; };

  constructor(private readonly stream: Writable) {
    stream.on('error', this.onError);
  }

  async write(data: Buffer): Promise<void> {
    if (data.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      this.stream.write(data, (error) => (error ? reject(this.failed(error)) : resolve()));
    });
    if (this.failure) throw this.failed(this.failure);
    this.position += data.length;
  }

  async zerosTo(end: number): Promise<void> {
    while (this.position < end) await this.write(ZEROS.subarray(0, Math.min(ZEROS.length, end - this.position)));
  }

  close(): void {
    this.stream.off('error', this.onError);
  }

  private failed(cause: Error): HoldfastError {
    return new HoldfastError('TARGET_WRITE_FAILED', `The output ended after ${this.position} bytes: ${messageOf(cause)}`, { cause });
  }
}
