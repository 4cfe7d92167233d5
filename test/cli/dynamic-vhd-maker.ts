import { buildFixedFooter, vhdChecksum } from '../../vault/format/vhd-footer';

const BLOCK_BYTES = 2 * 1024 * 1024;
const SECTOR_BYTES = 512;

/** A dynamic VHD of a disk (Virtual Hard Disk Image Format Specification 1.0): blocks of zeros are left out of it. */
export function dynamicVhdOf(disk: Buffer): Buffer {
  const footer = buildFixedFooter(disk.length, { uniqueId: '0f8fad5b-d9cb-469f-a165-70867728950e', createdAt: 1_700_000_000_000 });
  footer.writeBigUInt64BE(512n, 16);
  footer.writeUInt32BE(3, 60);
  footer.writeUInt32BE(vhdChecksum(footer, 64), 64);
  const blocks = Math.ceil(disk.length / BLOCK_BYTES);
  const header = Buffer.alloc(1024);
  header.write('cxsparse', 0, 'latin1');
  header.writeBigUInt64BE(0xffff_ffff_ffff_ffffn, 8);
  header.writeBigUInt64BE(1536n, 16);
  header.writeUInt32BE(0x0001_0000, 24);
  header.writeUInt32BE(blocks, 28);
  header.writeUInt32BE(BLOCK_BYTES, 32);
  header.writeUInt32BE(vhdChecksum(header, 36), 36);
  const table = Buffer.alloc(Math.ceil(blocks * 4 / SECTOR_BYTES) * SECTOR_BYTES, 0xff);
  const parts = [footer, header, table];
  let sector = parts.reduce((sum, { length }) => sum + length, 0) / SECTOR_BYTES;
  for (let index = 0; index < blocks; index++) {
    const data = disk.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
    if (data.every((byte) => byte === 0)) continue;
    table.writeUInt32BE(sector, index * 4);
    const block = Buffer.concat([Buffer.alloc(SECTOR_BYTES, 0xff), data, Buffer.alloc(BLOCK_BYTES - data.length)]);
    parts.push(block);
    sector += block.length / SECTOR_BYTES;
  }
  return Buffer.concat([...parts, footer]);
}
