import { vhdChecksum } from '../../../vault/format/vhd-footer';

export interface DynamicVhdParts {
  readonly sizeBytes: number;
  readonly blockBytes?: number;
  /** Blocks by index: their content, and which sectors count as written (all when left out). */
  readonly blocks: ReadonlyMap<number, { readonly content: Buffer; readonly written?: (sector: number) => boolean }>;
}

/** A dynamic VHD as the specification lays it out: footer copy, header, block table, blocks with bitmaps, footer. */
export function dynamicVhd({ sizeBytes, blockBytes = 2 * 1024 * 1024, blocks }: DynamicVhdParts): Buffer {
  const footer = Buffer.alloc(512);
  footer.write('conectix', 0);
  footer.writeUInt32BE(2, 8);
  footer.writeUInt32BE(0x10000, 12);
  footer.writeBigUInt64BE(512n, 16);
  footer.writeBigUInt64BE(BigInt(sizeBytes), 40);
  footer.writeBigUInt64BE(BigInt(sizeBytes), 48);
  footer.writeUInt32BE(3, 60);
  footer.fill(0x5a, 68, 84);
  footer.writeUInt32BE(vhdChecksum(footer, 64), 64);
  const entries = Math.ceil(sizeBytes / blockBytes);
  const header = Buffer.alloc(1024);
  header.write('cxsparse', 0);
  header.writeBigUInt64BE(0xffff_ffff_ffff_ffffn, 8);
  header.writeBigUInt64BE(1536n, 16);
  header.writeUInt32BE(0x10000, 24);
  header.writeUInt32BE(entries, 28);
  header.writeUInt32BE(blockBytes, 32);
  header.writeUInt32BE(vhdChecksum(header, 36), 36);
  const table = Buffer.alloc(Math.ceil((entries * 4) / 512) * 512, 0xff);
  const bitmapBytes = Math.ceil(blockBytes / 512 / 8 / 512) * 512;
  const parts = [footer, header, table];
  let at = 1536 + table.length;
  for (const [index, { content, written = () => true }] of blocks) {
    table.writeUInt32BE(at / 512, index * 4);
    const bitmap = Buffer.alloc(bitmapBytes);
    for (let sector = 0; sector < blockBytes / 512; sector++) if (written(sector)) bitmap[sector >> 3] = (bitmap[sector >> 3] ?? 0) | (0x80 >> (sector & 7));
    const data = Buffer.alloc(blockBytes);
    content.copy(data);
    parts.push(bitmap, data);
    at += bitmapBytes + blockBytes;
  }
  return Buffer.concat([...parts, footer]);
}
