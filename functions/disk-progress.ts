import type { DurableClient } from 'durable-functions';
import { regionInstanceId } from '../orchestrations/names';
import { REGION_BYTES, WINDOW_BYTES } from '../vault/format/format';
import { findStatus, isActive } from './durable-status';

/** A disk of a job, and the sub-orchestration that works on it. */
export interface DiskOfJob {
  readonly instanceId: string;
  readonly sizeBytes: number;
}

export interface BytesDone {
  /** Of the disks' address space: what needs no work counts as done. */
  readonly done: number;
  readonly total: number;
  readonly disksDone: number;
}

/** What the sub-orchestrations of a disk and of a region say of themselves, backing up or restoring. */
interface DiskWork { readonly regions: number; readonly regionsDone: number; readonly running: readonly number[] }
interface RegionWork { readonly windows: number; readonly windowsDone: number }

/** How far the disks of a job are: `all` when it has succeeded; otherwise they are asked, or nothing is known where that is not `deep`. */
export async function bytesDone(client: DurableClient, disks: readonly DiskOfJob[], { all, deep }: { readonly all: boolean; readonly deep: boolean }): Promise<BytesDone> {
  const total = disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (all) return { done: total, total, disksDone: disks.length };
  let done = 0;
  let disksDone = 0;
  for (const { instanceId, sizeBytes } of deep ? disks : []) {
    const status = await findStatus(client, instanceId);
    if (!status) continue;
    if (isActive(status)) {
      done += await diskBytesDone(client, instanceId, sizeBytes, status.customStatus as DiskWork | null);
    } else {
      done += sizeBytes;
      disksDone++;
    }
  }
  return { done: Math.min(done, total), total, disksDone };
}

/** Regions that need no work count as done as soon as the plan says so; of those that run, the windows that are done. */
async function diskBytesDone(client: DurableClient, instanceId: string, sizeBytes: number, disk: DiskWork | null): Promise<number> {
  if (!disk) return 0;
  const regionBytes = Math.min(REGION_BYTES, sizeBytes);
  let left = (disk.regions - disk.regionsDone) * regionBytes;
  for (const region of disk.running) {
    const status = await findStatus(client, regionInstanceId(instanceId, region));
    const progress = status && isActive(status) ? status.customStatus as RegionWork | null : null;
    if (progress) left -= regionBytes - Math.min(regionBytes, (progress.windows - progress.windowsDone) * WINDOW_BYTES);
  }
  return Math.max(0, sizeBytes - Math.max(0, left));
}
