import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import type { AccessRecord } from './state';
import { BlobError } from './wire';
import { keyOf, type World } from './world';
import type { KeyedDisk } from './range-index';

/** The page blob behind an access URL: a fixed VHD in the state folder, its footer included in the size. */
export class BlobFile implements KeyedDisk {
  private constructor(private readonly handle: FileHandle, readonly key: string, readonly sizeBytes: number, readonly etag: string,
    readonly modifiedAtMs: number) {}

  /** Throws the BlobError BlobNotFound when what the access was given for is gone. */
  static async open(world: World, access: AccessRecord, versions: ReadonlyMap<string, number>): Promise<BlobFile> {
    const snapshot = world.findSnapshotlike(access.resourceId);
    const disk = world.state.disks[keyOf(access.resourceId)];
    const copy = snapshot?.record.copy;
    const file = copy === null || copy === undefined ? disk?.file : `${copy.id}.vhd`;
    if (file === undefined) throw new BlobError(404, 'BlobNotFound', 'The specified blob does not exist.');
    const handle = await open(world.store.contentPath(file), access.mode === 'Write' ? 'r+' : 'r');
    const stats = await handle.stat();
    const version = disk === undefined ? 0 : (versions.get(file) ?? world.firstBlobVersion);
    return new BlobFile(handle, `${file}#${version}`, stats.size, etagOf(file, version), stats.mtimeMs);
  }

  get fileName(): string {
    return this.key.split('#')[0] ?? this.key;
  }

  async readInto(buffer: Buffer, offset: number): Promise<void> {
    let done = 0;
    while (done < buffer.length) {
      const { bytesRead } = await this.handle.read(buffer, done, buffer.length - done, offset + done);
      if (bytesRead === 0) throw new BlobError(500, 'InternalError', 'The stored copy is shorter than it should be.');
      done += bytesRead;
    }
  }

  async write(bytes: Buffer, offset: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) done += (await this.handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Changes with every write to the blob, and differs between blobs. */
export function etagOf(fileName: string, version: number): string {
  return `"0x${createHash('sha256').update(`${fileName}#${version}`).digest('hex').slice(0, 16).toUpperCase()}"`;
}
