import type { BlockSink } from './block-sink';
import type { BlockSource, DiskRange } from './block-source';
import { BLOCK_BYTES } from '../format/format';
import type { LaneMemory } from './lane-memory';
import type { LaneAssembleJob, LaneAssembleResult } from './transfer-lane';
import type { VaultAccess } from '../format/tree';
import { bytesOf, findDiffering, notVerified, offsetOf, type Piece, piecesOf } from './window-compare';
import { readWindow } from './window-restore';

/** The grain of what a service copies: pages of a disk. */
const PAGE_BYTES = 512;

/**
 * Fills a window of a new sink: chunks that `source` holds in the same places, found by reading it and comparing their ids, are copied by the sink's own
 * service; the others come from the vault; zeros are not written. Then all of the window is read back from the sink and compared.
 * Copied is only what was found equal in a source that does not change. So whoever does the same a second time, at once or late, and breaks
 * off anywhere, never puts another byte there than the recovery point's. Throws TARGET_NOT_VERIFIED.
 */
export async function assembleWindow(vault: VaultAccess, source: BlockSource, sink: BlockSink & BlockSource, job: LaneAssembleJob, memory: LaneMemory): Promise<LaneAssembleResult> {
  const pieces = await piecesOf(vault, job);
  const data = pieces.filter(({ chunk }) => chunk !== null);
  const candidates = data.filter((piece) => isCopyable(rangeOf(piece, job), source));
  const differing = new Set(await findDiffering(vault, source, job, candidates, memory));
  const equal = candidates.filter((piece) => !differing.has(piece));
  const isCopied = equal.length > 0 && await sink.copyFrom?.(source, joined(equal.map((piece) => rangeOf(piece, job)))) === true;
  const copied = new Set(isCopied ? equal : []);
  const wanted = data.filter((piece) => !copied.has(piece));
  if (job.leaf && wanted.length > 0) await readWindow(vault, { ...job, leaf: job.leaf }, sink, false, memory, new Set(wanted.map(({ start }) => start)));
  const [wrong] = await findDiffering(vault, sink, job, pieces, memory);
  if (wrong) throw notVerified(job, wrong);
  return { window: job.window, copiedBytes: bytesOf([...copied], job), writtenBytes: bytesOf(wanted, job), refusedBytes: isCopied ? 0 : bytesOf(equal, job) };
}

const rangeOf = (piece: Piece, job: LaneAssembleJob): DiskRange => {
  const offset = offsetOf(job, piece);
  return { offset, length: Math.min(piece.blocks * BLOCK_BYTES, job.diskBytes - offset) };
};

/** Whole pages, and all of them within the source: a disk may have shrunk or be of an odd size. */
const isCopyable = ({ offset, length }: DiskRange, source: BlockSource): boolean => length % PAGE_BYTES === 0 && offset + length <= source.sizeBytes;

/** Neighbours as one range: the fewer requests, the better. */
function joined(ranges: readonly DiskRange[]): DiskRange[] {
  const all: { offset: number; length: number }[] = [];
  for (const { offset, length } of ranges) {
    const last = all[all.length - 1];
    if (last && last.offset + last.length === offset) last.length += length;
    else all.push({ offset, length });
  }
  return all;
}
