/**
 * The footer of a VHD: its last 512 bytes, big endian. An Azure managed disk travels as a fixed VHD, that is as
 * its data followed by this footer, so exports from the vault and the local stand-in both build it here.
 * Layout: Virtual Hard Disk Image Format Specification 1.0. Pure functions, no I/O.
 */
export const vhdFooterBytes = 512;

const cookie = 'conectix';
const features = 0x2;
const formatVersion = 0x0001_0000;
const noDataOffset = 0xffff_ffff_ffff_ffffn;
const epochMs = Date.UTC(2000, 0, 1);
const checksumOffset = 64;
const diskTypeCodes = { fixed: 2, dynamic: 3, differencing: 4 } as const;

export type VhdDiskType = keyof typeof diskTypeCodes;

export interface VhdFooter {
  readonly diskType: VhdDiskType;
  /** Bytes of the disk that a guest sees. */
  readonly currentSizeBytes: number;
  /** Where the dynamic header lies in the file; null for a fixed VHD. */
  readonly dataOffset: number | null;
  /** Lower-case GUID text. */
  readonly uniqueId: string;
  readonly createdAtMs: number;
}

export type ParsedFooter = { readonly footer: VhdFooter } | { readonly problem: string };

/** The footer of a fixed VHD. `uniqueId` is GUID text; `createdAt` is in milliseconds since 1970. */
export function buildFixedFooter(dataBytes: number, identity: { readonly uniqueId: string; readonly createdAt: number }): Buffer {
  if (!Number.isSafeInteger(dataBytes) || dataBytes <= 0 || dataBytes % 512 !== 0) {
    throw new RangeError(`A VHD holds a positive multiple of 512 bytes, not ${dataBytes}`);
  }
  const footer = Buffer.alloc(vhdFooterBytes);
  footer.write(cookie, 0, 'latin1');
  footer.writeUInt32BE(features, 8);
  footer.writeUInt32BE(formatVersion, 12);
  footer.writeBigUInt64BE(noDataOffset, 16);
  footer.writeUInt32BE(Math.max(0, Math.floor((identity.createdAt - epochMs) / 1000)) >>> 0, 24);
  footer.write('hfst', 28, 'latin1');
  footer.writeUInt32BE(formatVersion, 32);
  footer.write('Wi2k', 36, 'latin1');
  footer.writeBigUInt64BE(BigInt(dataBytes), 40);
  footer.writeBigUInt64BE(BigInt(dataBytes), 48);
  writeGeometry(footer, dataBytes);
  footer.writeUInt32BE(diskTypeCodes.fixed, 60);
  guidBytes(identity.uniqueId).copy(footer, 68);
  footer.writeUInt32BE(vhdChecksum(footer, checksumOffset), checksumOffset);
  return footer;
}

/** Reads a footer. Never throws: a footer that cannot be trusted comes back as the problem found first. */
export function parseFooter(sector: Buffer): ParsedFooter {
  if (sector.length !== vhdFooterBytes) return { problem: `a footer has 512 bytes, this has ${sector.length}` };
  if (sector.toString('latin1', 0, 8) !== cookie) return { problem: 'the cookie "conectix" is missing' };
  const stored = sector.readUInt32BE(checksumOffset);
  const computed = vhdChecksum(sector, checksumOffset);
  if (stored !== computed) return { problem: `the checksum is ${hex(stored)} where the content gives ${hex(computed)}` };
  const version = sector.readUInt32BE(12);
  if (version >>> 16 !== 1) return { problem: `the format version is ${hex(version)}, only 1.x is known` };
  const typeCode = sector.readUInt32BE(60);
  const diskType = (Object.keys(diskTypeCodes) as VhdDiskType[]).find((name) => diskTypeCodes[name] === typeCode);
  if (diskType === undefined) return { problem: `the disk type is ${typeCode}, only 2, 3 and 4 are known` };
  const currentSize = sector.readBigUInt64BE(48);
  if (currentSize === 0n || currentSize % 512n !== 0n || currentSize > BigInt(Number.MAX_SAFE_INTEGER)) {
    return { problem: `the disk size is ${currentSize}, which is no positive multiple of 512` };
  }
  const dataOffset = sector.readBigUInt64BE(16);
  if (diskType !== 'fixed' && dataOffset > BigInt(Number.MAX_SAFE_INTEGER)) return { problem: `the header's offset is ${dataOffset}` };
  return {
    footer: {
      diskType,
      currentSizeBytes: Number(currentSize),
      dataOffset: diskType === 'fixed' ? null : Number(dataOffset),
      uniqueId: guidText(sector.subarray(68, 84)),
      createdAtMs: epochMs + sector.readUInt32BE(24) * 1000,
    },
  };
}

/** One's complement of the sum of all bytes, the checksum field itself taken as zero. Also guards the dynamic header. */
export function vhdChecksum(bytes: Buffer, fieldOffset: number): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (at < fieldOffset || at >= fieldOffset + 4) sum += bytes[at] ?? 0;
  }
  return ~sum >>> 0;
}

/** Cylinders, heads and sectors by the specification's rule; disks over about 127 GiB all get the largest geometry. */
function writeGeometry(footer: Buffer, dataBytes: number): void {
  const sectors = Math.min(dataBytes / 512, 65535 * 16 * 255);
  let sectorsPerTrack: number;
  let heads: number;
  let cylinderTimesHeads: number;
  if (sectors >= 65535 * 16 * 63) {
    sectorsPerTrack = 255;
    heads = 16;
    cylinderTimesHeads = Math.floor(sectors / sectorsPerTrack);
  } else {
    sectorsPerTrack = 17;
    cylinderTimesHeads = Math.floor(sectors / sectorsPerTrack);
    heads = Math.max(4, Math.floor((cylinderTimesHeads + 1023) / 1024));
    if (cylinderTimesHeads >= heads * 1024 || heads > 16) {
      sectorsPerTrack = 31;
      heads = 16;
      cylinderTimesHeads = Math.floor(sectors / sectorsPerTrack);
    }
    if (cylinderTimesHeads >= heads * 1024) {
      sectorsPerTrack = 63;
      heads = 16;
      cylinderTimesHeads = Math.floor(sectors / sectorsPerTrack);
    }
  }
  footer.writeUInt16BE(Math.floor(cylinderTimesHeads / heads), 56);
  footer.writeUInt8(heads, 58);
  footer.writeUInt8(sectorsPerTrack, 59);
}

function guidBytes(guid: string): Buffer {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex');
  if (bytes.length !== 16) throw new RangeError(`A VHD's unique id is a GUID, not "${guid}"`);
  return bytes;
}

function guidText(bytes: Buffer): string {
  const text = bytes.toString('hex');
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
