import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/**
 * Reads and writes past the page cache (open(2), O_DIRECT). Copying through the cache costs more processor time than encrypting does, and a
 * backup has no use for it: what it reads and writes once only pushes out what others need. Where a file system or a system does not offer it, everything here
 * answers null or false, and the caller goes the ordinary way: speed is all that changes (docs/decisions/direct-io.md).
 */

/** Offset, length and address of a direct transfer are multiples of this: the largest logical block there is on disks in use. */
const ALIGNMENT_BYTES = 4096;

/** What TypeScript's libraries for Node leave out. */
declare const WebAssembly: { readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer } };

const alignedMemory = new WeakSet<ArrayBufferLike>();

/**
 * A buffer of at least `bytes`, filled with zeros, that begins on a page of memory, as direct transfers need. node:buffer promises no alignment; a WebAssembly memory
 * begins on a page wherever there is one. Where it cannot be had, an ordinary buffer is returned, and transfers with it are not direct.
 */
export function alignedBuffer(bytes: number): Buffer {
  try {
    const { buffer } = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65_536) });
    alignedMemory.add(buffer);
    return Buffer.from(buffer, 0, bytes);
  } catch {
    // Out of address space, as under a limit on virtual memory.
    return Buffer.alloc(bytes);
  }
}

/**
 * Memory for reads that go through the page cache, which for what is cached is the fastest way. Where a copy's target lies some bytes behind a page and its source at the beginning of one, as
 * with the memory that malloc gives and the pages of a file, AMD's processors with fast short moves copy at a quarter of their speed. So this begins on another cache line of a page, which
 * also keeps it from being taken for memory for direct transfers.
 */
export const cachedReadBuffer = (bytes: number): Buffer => alignedBuffer(CACHE_LINE_BYTES + bytes).subarray(CACHE_LINE_BYTES);

const CACHE_LINE_BYTES = 64;

/** True when a transfer of `data` at this place of a file can be direct. */
export const isAligned = (data: Uint8Array, offset: number, length = data.length): boolean =>
  alignedMemory.has(data.buffer) && data.byteOffset % ALIGNMENT_BYTES === 0 && offset % ALIGNMENT_BYTES === 0 && length % ALIGNMENT_BYTES === 0;

/** How much of `bytes` can be transferred directly; the rest goes the ordinary way. */
export const alignedPart = (bytes: number): number => bytes - (bytes % ALIGNMENT_BYTES);

/** Opens a file for direct transfers beside its ordinary handle; null where that is not to be had. */
export async function openDirect(path: string, flags: number): Promise<FileHandle | null> {
  if (!constants.O_DIRECT) return null;
  // Whatever is wrong with the file itself, the ordinary open has told or will tell.
  return open(path, flags | constants.O_DIRECT).catch(() => null);
}

/** True for the answer of a file system that opens a file for direct transfers and then refuses one. */
export const isDirectRefused = (error: unknown): boolean => (error as NodeJS.ErrnoException | null)?.code === 'EINVAL';
