import type { DiskRange } from '../vault/transfer/block-source';
import { isHoldfastError } from '../errors/holdfast-error';
import { HoldfastError } from '../errors/holdfast-error';
import type { Cloud, SnapshotHandle } from './cloud';

/** Access lives as long as a step may; every step asks for itself, and asking again prolongs it. */
export const ACCESS_SECONDS = 4 * 3_600;

/** Opens access to a snapshot, and to its base if there is one, and gives the ranges that have to be looked at: those that differ, or those that hold data. */
export async function openRanges(cloud: Cloud, handle: SnapshotHandle, base: SnapshotHandle | null): Promise<(range: DiskRange) => AsyncIterable<DiskRange>> {
  const access = await cloud.grantRead(handle, ACCESS_SECONDS);
  if (!base) return (range) => cloud.listRanges(access, range);
  const baseAccess = await cloud.grantRead(base, ACCESS_SECONDS).catch((cause: unknown) => {
    // A base that is gone is no failure of the run: the disk is compared whole instead (fault 24).
    if (isHoldfastError(cause, 'CLOUD_NOT_FOUND')) throw new HoldfastError('CLOUD_DIFF_UNSUPPORTED', `The base snapshot is gone: ${cause.message}`, { cause });
    throw cause;
  });
  return (range) => cloud.listChangedRanges(access, baseAccess, range);
}
