import { ImageFile } from '../local/images/image-file';
import type { BlockSource } from '../vault/transfer/block-source';

/** A file as the bytes that it has: what a restore wrote is compared as such, also where it looks like a VHD. */
export async function openRawFile(path: string): Promise<BlockSource> {
  const file = await ImageFile.open(path);
  return {
    sizeBytes: file.sizeBytes,
    readInto: (buffer, offset) => file.readFully(buffer, offset),
    verifyUnchanged: () => file.verifyUnchanged(),
    close: () => file.close(),
  };
}
