import { open } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import type { BlockSink } from '../vault/block-sink';

/** After so much the file is synced while writing goes on, so that the sync at the end, without which nothing is called restored, is short. */
const SYNC_EVERY_BYTES = 96 * 1024 * 1024;

/** Writes a disk into a file that is there already, at its full size, reading as zeros. What it wrote is durable when it is closed. */
export async function openFileSink(path: string): Promise<BlockSink> {
  const file = await open(path, 'r+');
  const failed = (what: string, cause: unknown): HoldfastError => new HoldfastError('TARGET_WRITE_FAILED', `${path} cannot be ${what}: ${messageOf(cause)}`, { cause, data: { path } });
  let unsyncedBytes = 0;
  let syncing: Promise<void> | undefined;
  // The system tells an error of writing back once, to whichever sync comes first: it is kept for all that come later.
  let syncFailure: HoldfastError | undefined;
  const sync = async (): Promise<void> => {
    unsyncedBytes = 0;
    await file.datasync().catch((cause: unknown) => { syncFailure ??= failed('synced', cause); });
    syncing = undefined;
  };
  return {
    async write(data, offsetBytes) {
      if (syncFailure) throw syncFailure;
      try {
        for (let done = 0; done < data.length;) {
          done += (await file.write(data, done, data.length - done, offsetBytes + done)).bytesWritten;
        }
      } catch (cause) {
        throw failed(`written at ${offsetBytes}`, cause);
      }
      unsyncedBytes += data.length;
      if (unsyncedBytes >= SYNC_EVERY_BYTES) syncing ??= sync();
    },
    async close() {
      await syncing;
      if (unsyncedBytes > 0 && !syncFailure) await sync();
      await file.close();
      if (syncFailure) throw syncFailure;
    },
  };
}
