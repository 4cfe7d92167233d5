import assert from 'node:assert/strict';
import type { RestoreCloud, UploadDiskRequest } from '../../activities/restore-cloud';

/** Looks until something is over: each look is a request that the service answers, and a busy machine needs more of them. */
export async function lookUntil<T>(look: () => Promise<T>, isOver: (seen: T) => boolean): Promise<T> {
  for (let looks = 0; looks < 2_000; looks += 1) {
    const seen = await look();
    if (isOver(seen)) return seen;
  }
  return assert.fail('it was not over after 2,000 looks');
}

/** Begins an upload disk and waits until it can be written to. */
export async function readyDisk(restores: RestoreCloud, request: UploadDiskRequest): Promise<string> {
  await restores.startCreateUploadDisk(request);
  await lookUntil(() => restores.getDisk(request.id), (disk) => disk?.state === 'succeeded');
  return request.id;
}
