import { createHash, type Hash } from 'node:crypto';
import { Writable } from 'node:stream';
import { HoldfastError, isHoldfastError, messageOf } from '../errors/holdfast-error';
import { diskTree, type LoadedManifest, type ManifestDisk } from '../vault/format/manifest';
import type { VaultAccess } from '../vault/format/tree';
import type { RecordStream } from './record-stream';
import { streamImage } from './stream-image';
import { END_OF_ARCHIVE, padding, tarHeader } from './tar-headers';
import { paddedBytes } from './write-image';

/** GNU tar's own default. */
export const DEFAULT_RECORD_BYTES = 10_240;

export interface TarRequest {
  readonly point: LoadedManifest;
  readonly disks: readonly ManifestDisk[];
  /** The footer of a disk as a VHD; null for a raw image. */
  readonly footerOf: (disk: ManifestDisk) => Buffer | null;
  readonly signal: AbortSignal;
  readonly onWindow: (bytes: number) => void;
}

/** A file of the archive and the SHA-256 of its bytes, as the archive's last file lists them. */
export interface TarMember { readonly name: string; readonly sizeBytes: number; readonly sha256: string }

/**
 * Writes a recovery point as a tar archive: `manifest.json`, each disk, and as the last file `SHA256SUMS`, which only a whole archive has.
 * Every chunk is proved on its way. When something fails the archive breaks off within a file and has no end.
 */
export async function writeTar(vault: VaultAccess, out: RecordStream, request: TarRequest): Promise<TarMember[]> {
  try {
    return await writeMembers(vault, out, request);
  } catch (error) {
    // The header of the next file is always there before its bytes are looked for, so a reader sees that something is missing.
    await out.breakOff().catch(() => undefined);
    throw error;
  }
}

async function writeMembers(vault: VaultAccess, out: RecordStream, { point: { manifest }, disks, footerOf, signal, onWindow }: TarRequest): Promise<TarMember[]> {
  const modifiedAtMs = Date.parse(manifest.createdAt);
  const members: TarMember[] = [];
  const addFile = async (name: string, sizeBytes: number, write: (stream: Writable) => Promise<void>): Promise<void> => {
    await put(out, tarHeader({ name, sizeBytes, modifiedAtMs }));
    const member = new MemberStream(out, sizeBytes);
    await write(member);
    members.push({ name, sizeBytes, sha256: member.digest() });
    await put(out, padding(sizeBytes));
  };
  const addBytes = (name: string, bytes: Buffer): Promise<void> => addFile(name, bytes.length, (stream) => put(stream, bytes));
  await addBytes('manifest.json', Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
  const names = memberNames(disks);
  for (const [index, disk] of disks.entries()) {
    const footer = footerOf(disk);
    const tail = footer ? Buffer.concat([Buffer.alloc(paddedBytes(disk.sizeBytes) - disk.sizeBytes), footer]) : Buffer.alloc(0);
    await addFile(`${names[index]}.${footer ? 'vhd' : 'img'}`, disk.sizeBytes + tail.length, (stream) => streamImage(vault, diskTree(disk), stream, { tail, signal, onWindow }));
  }
  await addBytes('SHA256SUMS', Buffer.from(members.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')));
  await put(out, END_OF_ARCHIVE);
  await out.endRecords();
  return members;
}

/** File names of disks: their own, without what a path or a list of sums cannot hold, and with the lun where two would be the same. */
function memberNames(disks: readonly ManifestDisk[]): string[] {
  const plain = disks.map(({ name }) => name.replace(/[^\p{L}\p{N}_.-]/gu, '_').replace(/^\.+/, '_'));
  return plain.map((name, index) => (plain.filter((other) => other.toLowerCase() === name.toLowerCase()).length > 1 ? `${name}-lun${disks[index]?.lun ?? ''}` : name));
}

async function put(stream: Writable, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return;
  await new Promise<void>((resolve, reject) => stream.write(bytes, (error) => (error ? reject(asTargetFailure(error)) : resolve())));
}

const asTargetFailure = (error: Error): Error =>
  isHoldfastError(error) ? error : new HoldfastError('TARGET_WRITE_FAILED', `The archive cannot be written: ${messageOf(error)}`, { cause: error });

/** One file's bytes on their way into the archive: counted and summed. */
class MemberStream extends Writable {
  private readonly hash: Hash = createHash('sha256');
  private bytes = 0;

  constructor(private readonly out: Writable, private readonly sizeBytes: number) {
    super({ highWaterMark: 1 });
    this.on('error', () => undefined);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.hash.update(chunk);
    this.bytes += chunk.length;
    this.out.write(chunk, done);
  }

  /** Throws when the header promised another size: every file after it would be garbage. */
  digest(): string {
    if (this.bytes !== this.sizeBytes) throw new HoldfastError('INTERNAL', `A file of the archive has ${this.bytes} bytes, and ${this.sizeBytes} were announced`);
    return this.hash.digest('hex');
  }
}
