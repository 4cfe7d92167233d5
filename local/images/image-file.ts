import { constants, type BigIntStats } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { HoldfastError } from '../../errors/holdfast-error';
import { isAligned, isDirectRefused, openDirect } from '../../vault/transfer/direct-io';

/**
 * A time stamp is only as fine as the kernel's clock tick (10 ms at 100 Hz), so a write that follows another one
 * within a tick leaves the stamp as it was. A file written to this recently is given time to age before its stamp
 * is taken as the one to compare with.
 */
const settleMs = 20;

/**
 * With so many reads under way the disk is what is waited for, and the page cache may have what is wanted: the next read goes through it. With fewer
 * it is the processor, and the next read goes past the cache, which costs hardly any of its time.
 */
const MAX_DIRECT_READS = 2;
/** A short read is over sooner from the page cache, where the system has read ahead. */
const MIN_DIRECT_BYTES = 512 * 1024;

/** One open file that is read at any offset and can say whether it changed since it was opened. */
export class ImageFile {
  private reading = 0;

  private constructor(readonly path: string, private readonly handle: FileHandle, private direct: FileHandle | null, private readonly first: BigIntStats,
    readonly sizeBytes: number, readonly isDevice: boolean) {}

  /** Opens a regular file or a block device. Throws IMAGE_NOT_FOUND, IMAGE_UNREADABLE or IMAGE_NOT_A_DISK. */
  static async open(path: string): Promise<ImageFile> {
    const before = await statImage(path);
    if (!before.isFile() && !before.isBlockDevice()) {
      const what = before.isDirectory() ? 'a directory' : 'neither a file nor a block device';
      throw new HoldfastError('IMAGE_NOT_A_DISK', `${path} is ${what}`, { data: { path } });
    }
    const handle = await open(path, constants.O_RDONLY).catch((cause: unknown) => { throw unreadable(path, cause); });
    try {
      const first = await settledStat(handle);
      const isDevice = first.isBlockDevice();
      const sizeBytes = isDevice ? await deviceSizeBytes(path, first) : Number(first.size);
      return new ImageFile(path, handle, await openSameDirect(path, first), first, sizeBytes, isDevice);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Fills `buffer` from `offset`. Throws SOURCE_SHRANK when the file ends first, SOURCE_UNREADABLE when the disk fails. */
  async readFully(buffer: Buffer, offset: number): Promise<void> {
    this.reading++;
    try {
      await this.fill(buffer, offset, await this.readDirect(buffer, offset));
    } finally {
      this.reading--;
    }
  }

  /** How much of `buffer` a direct read filled: all, or nothing where one is not to be had; then the ordinary read says what is wrong. */
  private async readDirect(buffer: Buffer, offset: number): Promise<number> {
    const { direct } = this;
    if (!direct || buffer.length < MIN_DIRECT_BYTES || this.reading > MAX_DIRECT_READS || !isAligned(buffer, offset) || offset + buffer.length > this.sizeBytes) return 0;
    try {
      return (await direct.read(buffer, 0, buffer.length, offset)).bytesRead;
    } catch (error) {
      if (isDirectRefused(error) && this.direct === direct) {
        this.direct = null;
        // Other reads may be under way on it; closing waits for them.
        await direct.close();
      }
      return 0;
    }
  }

  private async fill(buffer: Buffer, offset: number, from: number): Promise<void> {
    let done = from;
    while (done < buffer.length) {
      const { bytesRead } = await this.handle.read(buffer, done, buffer.length - done, offset + done).catch((cause: unknown) => {
        throw new HoldfastError('SOURCE_UNREADABLE', `${this.path} cannot be read at offset ${offset + done}`, { data: { path: this.path }, cause });
      });
      if (bytesRead === 0) {
        throw new HoldfastError('SOURCE_SHRANK', `${this.path} ends at ${offset + done}, before the ${this.sizeBytes} bytes it had at the start`, { data: { path: this.path } });
      }
      done += bytesRead;
    }
  }

  /**
   * Throws SOURCE_CHANGED unless size, modification time and inode, of the open file and of what lies at the path, are as
   * at the start. A block device has no modification time of its own: only its identity and size are compared.
   */
  async verifyUnchanged(): Promise<void> {
    const [now, atPath] = await Promise.all([this.handle.stat({ bigint: true }), stat(this.path, { bigint: true }).catch(() => undefined)]);
    const sizeNow = this.isDevice ? await deviceSizeBytes(this.path, now) : Number(now.size);
    const changes: string[] = [];
    if (sizeNow !== this.sizeBytes) changes.push(`its size went from ${this.sizeBytes} to ${sizeNow} bytes`);
    if (!this.isDevice && now.mtimeNs !== this.first.mtimeNs) changes.push('it was written to');
    if (atPath === undefined || atPath.ino !== this.first.ino || atPath.dev !== this.first.dev) changes.push('another file took its place');
    if (changes.length > 0) {
      throw new HoldfastError('SOURCE_CHANGED', `${this.path} changed while it was read: ${changes.join(', ')}`, { data: { path: this.path } });
    }
  }

  async close(): Promise<void> {
    await this.direct?.close();
    await this.handle.close();
  }
}

/** The very file that is open already, for direct reads: a name may have been given to another file meanwhile. */
async function openSameDirect(path: string, first: BigIntStats): Promise<FileHandle | null> {
  const direct = await openDirect(path, constants.O_RDONLY);
  if (!direct) return null;
  const found = await direct.stat({ bigint: true });
  if (found.ino === first.ino && found.dev === first.dev) return direct;
  await direct.close();
  return null;
}

async function statImage(path: string): Promise<BigIntStats> {
  return stat(path, { bigint: true }).catch((cause: unknown) => { throw unreadable(path, cause); });
}

async function settledStat(handle: FileHandle): Promise<BigIntStats> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const found = await handle.stat({ bigint: true });
    const ageMs = Date.now() - Number(found.mtimeNs / 1_000_000n);
    if (ageMs >= settleMs || ageMs < 0) return found;
    await delay(settleMs - ageMs);
  }
  return handle.stat({ bigint: true });
}

/** stat says 0 for a block device; on Linux its size stands in sysfs, in units of 512 bytes whatever its sectors. */
async function deviceSizeBytes(path: string, stats: BigIntStats): Promise<number> {
  const device = Number(stats.rdev);
  const major = (device >>> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  const text = await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8').catch((cause: unknown) => {
    throw new HoldfastError('IMAGE_UNREADABLE', `The size of the block device ${path} cannot be found`, { data: { path }, cause });
  });
  return Number(text.trim()) * 512;
}

function unreadable(path: string, cause: unknown): HoldfastError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  return code === 'ENOENT' || code === 'ENOTDIR'
    ? new HoldfastError('IMAGE_NOT_FOUND', `There is no file ${path}`, { data: { path }, cause })
    : new HoldfastError('IMAGE_UNREADABLE', `${path} cannot be opened: ${code}`, { data: { path }, cause });
}
