import zlib, { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { MAX_CHUNK_BYTES } from './format';

/**
 * zstd for chunks. node:zlib's synchronous functions make a context, an output buffer and a stream object for every call, which for chunks of 64 KiB
 * costs a third of the time again and most of the garbage. So a context is made once and used again, through the binding that those functions use
 * themselves. It is not public: where it does not look as expected, or answers in an unexpected way, the public functions do the work. What comes out is proved in
 * any case: a writer decodes and compares, a reader knows the length and the id (docs/decisions/zstd-contexts.md).
 */
interface Binding {
  writeSync(flush: number, input: Buffer, inputOffset: number, inputBytes: number, output: Buffer, outputOffset: number, outputBytes: number): void;
}
interface Internals {
  readonly _handle: Binding | null;
  /** After a call: bytes left of the output, bytes left of the input. */
  readonly _writeState: Uint32Array;
  readonly destroyed: boolean;
  on(event: 'error', listener: () => void): unknown;
}

/** The largest chunk and what zstd adds to one that it cannot compress. */
const OUTPUT_BYTES = MAX_CHUNK_BYTES + 4096;

class Context {
  private readonly output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  private constructor(private readonly stream: Internals) {}

  static open(made: unknown): Context | null {
    const stream = made as Internals;
    const isKnown = typeof stream._handle?.writeSync === 'function' && stream._writeState instanceof Uint32Array && stream._writeState.length === 2;
    // An error is told by `run`; the event that comes later must not end the process.
    if (isKnown) stream.on('error', () => undefined);
    return isKnown ? new Context(stream) : null;
  }

  /** One whole frame in, its result out, as a view that the next call overwrites; null when that did not go as it should. */
  run(input: Buffer): Buffer | null {
    const { stream, output } = this;
    if (!stream._handle) return null;
    stream._handle.writeSync(constants.ZSTD_e_end, input, 0, input.length, output, 0, output.length);
    const [outputLeft = 0, inputLeft = 1] = stream._writeState;
    return stream.destroyed || inputLeft !== 0 || outputLeft === 0 ? null : output.subarray(0, output.length - outputLeft);
  }
}

/** Contexts of this thread. One that failed once is not used again: what it holds is not known. */
const compressors = new Map<number, Context | null>();
let decompressor: Context | null | undefined;

/** Compresses a chunk into one frame. The result is a view that the next call may overwrite. */
export function compressChunk(plain: Buffer, level: number): Buffer {
  if (plain.length <= MAX_CHUNK_BYTES) {
    let context = compressors.get(level);
    if (context === undefined) compressors.set(level, context = Context.open(new zlib.ZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } })));
    const frame = context?.run(plain) ?? null;
    if (frame) return frame;
    compressors.set(level, null);
  }
  return zstdCompressSync(plain, { chunkSize: plain.length + 1024, params: { [constants.ZSTD_c_compressionLevel]: level } });
}

/** The content of a frame, which has exactly `bytes`; otherwise null, and the caller finds out why. A view that the next call may overwrite. */
export function decompressExactly(frame: Buffer, bytes: number): Buffer | null {
  if (bytes > MAX_CHUNK_BYTES || decompressor === null) return null;
  decompressor ??= Context.open(new zlib.ZstdDecompress());
  const plain = decompressor?.run(frame) ?? null;
  if (plain?.length === bytes) return plain;
  // Part of a frame may be left in the context.
  decompressor = undefined;
  return null;
}

/**
 * The content of a frame of at most `limitBytes`. Throws what node:zlib throws for damage. An output buffer a little larger than the content
 * lets zlib finish in one step. Nodes have a limit far above their size, and what they are decoded to keeps this buffer alive, so for
 * them it follows what is stored.
 */
export function decompress(frame: Buffer, limitBytes: number): Buffer {
  const chunkSize = Math.min(limitBytes + 64, Math.max(MAX_CHUNK_BYTES + 64, 2 * frame.length));
  return zstdDecompressSync(frame, { chunkSize, maxOutputLength: limitBytes });
}

const FRAME_MAGIC = 0xFD2FB528;

/** What a frame says that its content is, in bytes (RFC 8878, 3.1.1.1); null where it does not say it, or is no frame. */
export function contentBytes(frame: Buffer): number | null {
  if (frame.length < 6 || frame.readUInt32LE(0) !== FRAME_MAGIC) return null;
  const descriptor = frame.readUInt8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const at = 5 + (isSingleSegment ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] as number);
  const kind = descriptor >> 6;
  const size = kind === 0 ? Number(isSingleSegment) : 2 ** kind;
  if (size === 0 || size > 4 || frame.length < at + size) return null;
  return frame.readUIntLE(at, size) + (size === 2 ? 256 : 0);
}
