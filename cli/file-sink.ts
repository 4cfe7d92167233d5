import { open } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import type { BlockSink } from '../vault/block-sink';

/** Writes a disk into a file that is there already, at its full size, reading as zeros. */
export async function openFileSink(path: string): Promise<BlockSink> {
  const file = await open(path, 'r+');
  return {
    async write(data, offsetBytes) {
      try {
        for (let done = 0; done < data.length;) {
          done += (await file.write(data, done, data.length - done, offsetBytes + done)).bytesWritten;
        }
      } catch (cause) {
        throw new HoldfastError('TARGET_WRITE_FAILED', `${path} cannot be written at ${offsetBytes}: ${messageOf(cause)}`, { cause, data: { path } });
      }
    },
    close: () => file.close(),
  };
}
