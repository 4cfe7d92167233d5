/**
 * The blocks of a POSIX tar archive (POSIX.1-2001, "ustar Interchange Format" and "pax Header Format"). Pure functions. A size of 8 GiB or more, or a name
 * that does not fit, stands in a pax header before the file's own; readers that know no pax format refuse neither.
 */
export const TAR_BLOCK_BYTES = 512;

/** Eleven octal digits. */
const MAX_OCTAL_SIZE = 0o77777777777;
const MAX_NAME_BYTES = 100;

export interface TarFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
}

/** Everything that stands before a file's bytes. */
export function tarHeader(file: TarFile): Buffer {
  const records: [string, string][] = [];
  if (Buffer.byteLength(file.name) > MAX_NAME_BYTES || !isAscii(file.name)) records.push(['path', file.name]);
  if (file.sizeBytes > MAX_OCTAL_SIZE) records.push(['size', String(file.sizeBytes)]);
  const own = ustarBlock(shortName(file.name), Math.min(file.sizeBytes, MAX_OCTAL_SIZE), file.modifiedAtMs, '0');
  if (records.length === 0) return own;
  const pax = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
  return Buffer.concat([ustarBlock('PaxHeaders/holdfast', pax.length, file.modifiedAtMs, 'x'), pax, padding(pax.length), own]);
}

/** Zeros from the end of a file's bytes to the next block. */
export const padding = (sizeBytes: number): Buffer => Buffer.alloc((TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);

/** Two blocks of zeros: without them an archive is not whole. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * TAR_BLOCK_BYTES);

function ustarBlock(name: string, sizeBytes: number, modifiedAtMs: number, type: '0' | 'x'): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES);
  const octal = (value: number, at: number, digits: number): void => void block.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1');
  block.write(name, 0, 'latin1');
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(sizeBytes, 124, 11);
  octal(Math.max(0, Math.floor(modifiedAtMs / 1000)), 136, 11);
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  // The sum is taken with the field itself as blanks.
  block.fill(' ', 148, 156);
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  const bare = Buffer.byteLength(rest);
  let length = bare + String(bare).length;
  if (bare + String(length).length !== length) length = bare + String(length).length;
  return Buffer.from(`${length}${rest}`, 'utf8');
}

const isAscii = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

/** What a reader without pax sees; the full name stands in the pax header. */
const shortName = (name: string): string => name.replace(/[^\x20-\x7e]/g, '_').slice(0, MAX_NAME_BYTES);
