import { HoldfastError } from '../../errors/holdfast-error';

/** How many bytes of the start and of the end of a file are looked at. */
export const sampleBytes = 4096;

interface Magic {
  readonly name: string;
  readonly offset: number;
  readonly bytes: Buffer;
  /** A disk in another container, or something that is no disk image at all. */
  readonly kind: 'disk-format' | 'archive' | 'other';
}

const magic = (name: string, kind: Magic['kind'], bytes: string | readonly number[], offset = 0): Magic => ({
  name, kind, offset, bytes: typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes),
});

const magics: readonly Magic[] = [
  magic('VHDX', 'disk-format', 'vhdxfile'),
  magic('qcow2', 'disk-format', [0x51, 0x46, 0x49, 0xfb]),
  magic('VMDK', 'disk-format', 'KDMV'),
  magic('VMDK descriptor', 'disk-format', '# Disk DescriptorFile'),
  magic('VDI', 'disk-format', [0x7f, 0x10, 0xda, 0xbe], 64),
  magic('gzip', 'archive', [0x1f, 0x8b, 0x08]),
  magic('zip', 'archive', [0x50, 0x4b, 0x03, 0x04]),
  magic('xz', 'archive', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]),
  magic('zstd', 'archive', [0x28, 0xb5, 0x2f, 0xfd]),
  magic('bzip2', 'archive', [0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59]),
  magic('7-Zip', 'archive', [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]),
  magic('tar', 'archive', 'ustar', 257),
  magic('PDF', 'other', '%PDF-'),
  magic('PNG', 'other', [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
  magic('ELF program', 'other', [0x7f, 0x45, 0x4c, 0x46]),
];

/** Whoever gives a file one of these names says that it is a disk, even when its bytes happen to be text. */
const diskNames = /\.(img|raw|dd|bin|disk|iso|vhd)$/i;

/**
 * Refuses what is plainly no raw disk: other disk formats, archives, documents, text. `head` and `tail` are the
 * first and last bytes of the file. Taking a qcow2 or a gzip for a raw disk would back up every byte of it faithfully
 * and restore something that no machine boots from.
 */
export function refuseForeignFormats(path: string, head: Buffer, tail: Buffer): void {
  const found = magics.find(({ offset, bytes }) => head.subarray(offset, offset + bytes.length).equals(bytes));
  if (found?.kind === 'disk-format') {
    throw new HoldfastError('IMAGE_FORMAT_UNSUPPORTED', `${path} is a ${found.name} image`, { data: { path, format: found.name } });
  }
  if (found !== undefined) {
    const hint = found.kind === 'archive' ? `${path} is a ${found.name} archive: unpack the image in it first` : `${path} is a ${found.name} file`;
    throw new HoldfastError('IMAGE_NOT_A_DISK', hint, { data: { path, format: found.name } });
  }
  if (!diskNames.test(path) && isText(head) && isText(tail)) {
    throw new HoldfastError('IMAGE_NOT_A_DISK', `${path} is a text file`, { data: { path, format: 'text' } });
  }
}

function isText(bytes: Buffer): boolean {
  return bytes.length > 0 && bytes.every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte !== 127));
}
