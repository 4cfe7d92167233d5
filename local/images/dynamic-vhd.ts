import { HoldfastError } from '../../errors/holdfast-error';
import { vhdChecksum, vhdFooterBytes, type VhdFooter } from '../../vault/format/vhd-footer';
import type { ImageFile } from './image-file';

const headerBytes = 1024;
const headerCookie = 'cxsparse';
const headerChecksumOffset = 36;
const unallocated = 0xffff_ffff;
const sectorBytes = 512;
/** The format's own limit; with the smallest block it bounds the block table to 16 MiB of memory. */
const maxDiskBytes = 2040 * 1024 ** 3;
const minBlockBytes = 512 * 1024;
const maxBlockBytes = 256 * 1024 ** 2;
const cachedBitmaps = 64;

/**
 * The data of a dynamic VHD: a table says where each block lies in the file, and a bitmap before each block says which
 * of its sectors were ever written. Everything else reads as zeros. Only the table is held in memory.
 */
export class DynamicVhd {
  private readonly bitmaps = new Map<number, Buffer>();

  private constructor(private readonly file: ImageFile, readonly sizeBytes: number, private readonly table: Uint32Array,
    private readonly blockBytes: number, private readonly bitmapBytes: number) {}

  /** Throws IMAGE_VHD_BROKEN, saying what is wrong, unless every block of the table lies whole within the file. */
  static async open(file: ImageFile, footer: VhdFooter): Promise<DynamicVhd> {
    const broken = (problem: string): HoldfastError =>
      new HoldfastError('IMAGE_VHD_BROKEN', `The dynamic VHD ${file.path} is damaged: ${problem}`, { data: { path: file.path } });
    const headerOffset = footer.dataOffset ?? 0;
    if (headerOffset < vhdFooterBytes || headerOffset + headerBytes > file.sizeBytes) throw broken(`its header would lie at ${headerOffset}`);
    const header = Buffer.alloc(headerBytes);
    await file.readFully(header, headerOffset);
    if (header.toString('latin1', 0, 8) !== headerCookie) throw broken('the cookie "cxsparse" is missing');
    if (header.readUInt32BE(headerChecksumOffset) !== vhdChecksum(header, headerChecksumOffset)) throw broken('the checksum of its header is wrong');
    const blockBytes = header.readUInt32BE(32);
    const entries = header.readUInt32BE(28);
    const tableOffset = Number(header.readBigUInt64BE(16));
    if (blockBytes < minBlockBytes || blockBytes > maxBlockBytes || (blockBytes & (blockBytes - 1)) !== 0) throw broken(`its block size is ${blockBytes}`);
    if (footer.currentSizeBytes > maxDiskBytes) throw broken(`its disk size is ${footer.currentSizeBytes}`);
    const needed = Math.ceil(footer.currentSizeBytes / blockBytes);
    if (entries < needed) throw broken(`its table has ${entries} blocks where the disk has ${needed}`);
    if (tableOffset + needed * 4 > file.sizeBytes) throw broken('its table lies beyond the end of the file');
    const table = await readTable(file, tableOffset, needed);
    const bitmapBytes = Math.ceil(blockBytes / sectorBytes / 8 / sectorBytes) * sectorBytes;
    checkPlaces(table, bitmapBytes + blockBytes, file.sizeBytes - vhdFooterBytes, broken);
    return new DynamicVhd(file, footer.currentSizeBytes, table, blockBytes, bitmapBytes);
  }

  async readInto(buffer: Buffer, offset: number): Promise<void> {
    let done = 0;
    while (done < buffer.length) {
      const block = Math.floor((offset + done) / this.blockBytes);
      const within = (offset + done) % this.blockBytes;
      const length = Math.min(buffer.length - done, this.blockBytes - within);
      await this.readFromBlock(block, within, buffer.subarray(done, done + length));
      done += length;
    }
  }

  private async readFromBlock(block: number, within: number, target: Buffer): Promise<void> {
    const sector = this.table[block] ?? unallocated;
    if (sector === unallocated) {
      target.fill(0);
      return;
    }
    const start = sector * sectorBytes;
    const bitmap = await this.bitmapAt(block, start);
    await this.file.readFully(target, start + this.bitmapBytes + within);
    let at = 0;
    while (at < target.length) {
      const index = Math.floor((within + at) / sectorBytes);
      const end = Math.min(target.length, (index + 1) * sectorBytes - within);
      const written = ((bitmap[index >>> 3] ?? 0) & (0x80 >>> (index & 7))) !== 0;
      if (!written) target.fill(0, at, end);
      at = end;
    }
  }

  private async bitmapAt(block: number, start: number): Promise<Buffer> {
    const known = this.bitmaps.get(block);
    if (known !== undefined) return known;
    const bitmap = Buffer.alloc(this.bitmapBytes);
    await this.file.readFully(bitmap, start);
    const oldest = this.bitmaps.keys().next();
    if (this.bitmaps.size >= cachedBitmaps && oldest.done !== true) this.bitmaps.delete(oldest.value);
    this.bitmaps.set(block, bitmap);
    return bitmap;
  }
}

async function readTable(file: ImageFile, offset: number, entries: number): Promise<Uint32Array> {
  const bytes = Buffer.alloc(entries * 4);
  await file.readFully(bytes, offset);
  bytes.swap32();
  return new Uint32Array(bytes.buffer, bytes.byteOffset, entries);
}

/** Two blocks in one place would show the same bytes twice on the disk; a block past the end has no bytes at all. */
function checkPlaces(table: Uint32Array, spanBytes: number, endOfBlocks: number, broken: (problem: string) => HoldfastError): void {
  const sorted = table.slice().sort();
  let previousEnd = 0;
  for (const sector of sorted) {
    if (sector === unallocated) break;
    const start = sector * sectorBytes;
    if (start + spanBytes > endOfBlocks) throw broken(`a block at ${start} reaches past the end of the file`);
    if (start < previousEnd) throw broken(`two blocks overlap at ${start}`);
    previousEnd = start + spanBytes;
  }
}
