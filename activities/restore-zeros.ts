import { regionOf } from '../vault/transfer/backup-disk';
import type { DiskRange } from '../vault/transfer/block-source';
import { HoldfastError } from '../errors/holdfast-error';
import { REGION_BYTES, REGION_WINDOWS, WINDOW_BYTES } from '../vault/format/format';
import { diskTree, loadManifest, type ManifestDisk } from '../vault/format/manifest';
import type { InnerNode } from '../vault/format/nodes';
import { loadRoot, type VaultAccess } from '../vault/format/tree';
import { windowCount } from '../vault/transfer/window-blocks';
import type { PageTarget } from './restore-cloud';
import type { PlannedRestoreDisk, RestorePlan } from './restore-records';

const READ_BYTES = 4 * 1024 * 1024;
const ZEROS = Buffer.alloc(READ_BYTES);

/**
 * Throws TARGET_NOT_VERIFIED unless the target reads as zeros wherever the recovery point has no window with data, up to its very end: windows with
 * data were compared whole. Pages that the service does not list are zeros; what it lists is read.
 */
export async function assertZeros(vault: VaultAccess, plan: RestorePlan, disk: PlannedRestoreDisk, target: PageTarget): Promise<void> {
  const { manifest } = await loadManifest(vault, plan.recoveryPoint);
  const tree = diskTree(manifest.disks[disk.disk] as ManifestDisk);
  const root = await loadRoot(vault, tree);
  for (let region = 0; region * REGION_BYTES < target.sizeBytes; region++) {
    const node = region * REGION_WINDOWS < windowCount(tree.sizeBytes) ? await regionOf(vault, root, region) : null;
    const start = region * REGION_BYTES;
    for await (const range of target.listRanges({ offset: start, length: Math.min(REGION_BYTES, target.sizeBytes - start) })) {
      for (const part of outsideData(range, node, region, tree.sizeBytes)) await assertZeroRange(target, part);
    }
  }
}

/** The parts of a range that lie in windows without data, or beyond the disk's end. */
function* outsideData({ offset, length }: DiskRange, node: InnerNode | null, region: number, diskBytes: number): Generator<DiskRange> {
  for (let at = offset; at < offset + length;) {
    const window = Math.floor(at / WINDOW_BYTES);
    const windowEnd = (window + 1) * WINDOW_BYTES;
    const end = Math.min(offset + length, windowEnd);
    const dataEnd = node?.children.has(window - region * REGION_WINDOWS) ? Math.min(windowEnd, diskBytes) : 0;
    const start = Math.max(at, Math.min(dataEnd, end));
    if (start < end) yield { offset: start, length: end - start };
    at = end;
  }
}

async function assertZeroRange(target: PageTarget, { offset, length }: DiskRange): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, length));
  for (let done = 0; done < length; done += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, length - done));
    await target.readInto(part, offset + done);
    if (!part.equals(ZEROS.subarray(0, part.length))) throw new HoldfastError('TARGET_NOT_VERIFIED', `The target holds data at byte ${offset + done} or soon after, where the recovery point has zeros`, { data: { offset: offset + done } });
  }
}
