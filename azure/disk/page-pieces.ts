import { HoldfastError } from '../../errors/holdfast-error';
import type { DiskRange } from '../../vault/transfer/block-source';

/** The protocol's grain. */
const pageBytes = 512;
/** The most that one Put Page takes (REST reference of Put Page). */
const pieceBytes = 4 * 1024 * 1024;

export type PagePiece = DiskRange;

/** `data` as whole pages of a target of `sizeBytes`: only at the target's very end may they be filled up, with zeros. */
export function paddedPages(data: Buffer, offsetBytes: number, sizeBytes: number): Buffer {
  const end = offsetBytes + data.length;
  if (!Number.isSafeInteger(offsetBytes) || offsetBytes < 0 || offsetBytes % pageBytes !== 0 || end > sizeBytes) {
    throw new HoldfastError('INTERNAL', `Bytes ${String(offsetBytes)} to ${String(end)} are not pages of a target of ${String(sizeBytes)} bytes`);
  }
  const missing = (pageBytes - (data.length % pageBytes)) % pageBytes;
  if (missing === 0) return data;
  // A disk of an odd size ends within a page; after that page the target holds zeros, so nothing that follows can be overwritten by them.
  return Buffer.concat([data, Buffer.alloc(missing)]);
}

/**
 * Works on the pieces of ranges, `parallel` at once. Settled, not raced: the caller may use its memory again after a failure, and no other piece
 * may still be on its way then.
 */
export async function eachPiece(ranges: readonly DiskRange[], parallel: number, work: (piece: PagePiece) => Promise<void>): Promise<void> {
  const pieces = cut(ranges);
  let isFailed = false;
  const worker = async (): Promise<void> => {
    for (let next = pieces.next(); !next.done && !isFailed; next = pieces.next()) {
      try {
        await work(next.value);
      } catch (error) {
        isFailed = true;
        throw error;
      }
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: parallel }, worker));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function* cut(ranges: readonly DiskRange[]): Generator<PagePiece, undefined> {
  for (const { offset, length } of ranges) {
    for (let at = offset; at < offset + length; at += pieceBytes) yield { offset: at, length: Math.min(pieceBytes, offset + length - at) };
  }
}

/** The bytes of the whole pages from `offsetBytes` on that cover the range, which lies within the target. */
export function wholePageBytes(offsetBytes: number, lengthBytes: number, sizeBytes: number): number {
  paddedPages(Buffer.alloc(0), offsetBytes, sizeBytes);
  if (!Number.isSafeInteger(lengthBytes) || lengthBytes <= 0 || offsetBytes + lengthBytes > sizeBytes) {
    throw new HoldfastError('INTERNAL', `${String(lengthBytes)} bytes at ${String(offsetBytes)} are not within a target of ${String(sizeBytes)} bytes`);
  }
  return Math.ceil(lengthBytes / pageBytes) * pageBytes;
}
