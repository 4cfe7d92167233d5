import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import type { BlockSink } from '../vault/transfer/block-sink';
import { isAligned, isDirectRefused, openDirect } from '../vault/transfer/direct-io';

/** After so much the file is synced while writing goes on, so that the sync at the end, without which nothing is called restored, is short. */
const SYNC_EVERY_BYTES = 96 * 1024 * 1024;

/** Writes a disk into a file that is there already, at its full size, reading as zeros. What it wrote is durable when it is closed. */
export async function openFileSink(path: string): Promise<BlockSink> {
  const file = await open(path, 'r+');
  const direct = await openDirect(path, constants.O_WRONLY);
  let isDirectUsable = true;
  const failed = (what: string, cause: unknown): HoldfastError => new HoldfastError('TARGET_WRITE_FAILED', `${path} cannot be ${what}: ${messageOf(cause)}`, { cause, data: { path } });
  let isWritten = false;
  let unsyncedBytes = 0;
  let syncing: Promise<void> | undefined;
  // The system tells an error of writing back once, to whichever sync comes first: it is kept for all that come later.
  let syncFailure: HoldfastError | undefined;
  const sync = async (): Promise<void> => {
    unsyncedBytes = 0;
    await file.datasync().catch((cause: unknown) => { syncFailure ??= failed('synced', cause); });
    syncing = undefined;
  };
  /** How much was written past the page cache: all, or nothing where that is not to be had; then the ordinary write says what is wrong. */
  const writeDirect = async (data: Buffer, offsetBytes: number): Promise<number> => {
    if (!direct || !isDirectUsable || !isAligned(data, offsetBytes)) return 0;
    try {
      return (await direct.write(data, 0, data.length, offsetBytes)).bytesWritten;
    } catch (error) {
      if (isDirectRefused(error)) isDirectUsable = false;
      return 0;
    }
  };
  return {
    async write(data, offsetBytes) {
      if (syncFailure) throw syncFailure;
      isWritten = true;
      const written = await writeDirect(data, offsetBytes);
      if (written === data.length) return;
      try {
        for (let done = written; done < data.length;) {
          done += (await file.write(data, done, data.length - done, offsetBytes + done)).bytesWritten;
        }
      } catch (cause) {
        throw failed(`written at ${offsetBytes}`, cause);
      }
      unsyncedBytes += data.length - written;
      if (unsyncedBytes >= SYNC_EVERY_BYTES) syncing ??= sync();
    },
    async close() {
      await syncing;
      // After direct writes too: where the data lies is not on the disk before a sync.
      if (isWritten && !syncFailure) await sync();
      await direct?.close();
      await file.close();
      if (syncFailure) throw syncFailure;
    },
  };
}
