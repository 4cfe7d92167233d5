import { crc32, deflateSync, inflateSync } from 'node:zlib';

/** Length of the signature of a PNG, and of what stands around the data of a chunk. */
const SIGNATURE_BYTES = 8;
const AROUND_BYTES = 12;
const COLOURS = 256;
const RGB = 3;

/**
 * A screenshot (8 bits, RGB) with a palette of its most frequent colours, in about half the bytes. Areas keep their colours exactly; of the edges of letters each takes the nearest.
 * Throws where it is another kind of PNG.
 */
export function withPalette(png: Buffer): Buffer {
  const { width, height, data } = chunksOf(png);
  const pixels = unfiltered(data, width * RGB, height);
  const counts = new Map<number, number>();
  for (let at = 0; at < pixels.length; at += RGB) {
    const colour = pixels.readUIntBE(at, RGB);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const palette = [...counts].sort(([, a], [, b]) => b - a).slice(0, COLOURS).map(([colour]) => colour);
  const places = new Map(palette.map((colour, place) => [colour, place]));
  const rows = Buffer.alloc((width + 1) * height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const colour = pixels.readUIntBE(pixel * RGB, RGB);
    let place = places.get(colour);
    if (place === undefined) places.set(colour, place = nearest(palette, colour));
    rows[pixel + Math.floor(pixel / width) + 1] = place;
  }
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 3, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const colours = Buffer.alloc(palette.length * RGB);
  for (const [place, colour] of palette.entries()) colours.writeUIntBE(colour, place * RGB, RGB);
  return Buffer.concat([png.subarray(0, SIGNATURE_BYTES), chunk('IHDR', header), chunk('PLTE', colours), chunk('IDAT', deflateSync(rows, { level: 9, memLevel: 9 })), chunk('IEND', Buffer.alloc(0))]);
}

function nearest(palette: readonly number[], colour: number): number {
  const distance = (other: number): number => ((other >> 16) - (colour >> 16)) ** 2 + (((other >> 8) & 255) - ((colour >> 8) & 255)) ** 2 + ((other & 255) - (colour & 255)) ** 2;
  return palette.reduce((best, other, place) => (distance(other) < distance(palette[best] ?? 0) ? place : best), 0);
}

function chunksOf(png: Buffer): { width: number; height: number; data: Buffer } {
  const parts: Buffer[] = [];
  let header: Buffer = Buffer.alloc(0);
  for (let at = SIGNATURE_BYTES; at < png.length;) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    if (type === 'IHDR') header = png.subarray(at + 8, at + 8 + length);
    if (type === 'IDAT') parts.push(png.subarray(at + 8, at + 8 + length));
    at += length + AROUND_BYTES;
  }
  if (header[8] !== 8 || header[9] !== 2 || header[12] !== 0) throw new Error('This is no PNG of 8 bits, RGB, without interlacing');
  return { width: header.readUInt32BE(0), height: header.readUInt32BE(4), data: inflateSync(Buffer.concat(parts)) };
}

/** Undoes the filters of rows (PNG specification, 9.2). */
function unfiltered(data: Buffer, rowBytes: number, height: number): Buffer {
  const out = Buffer.alloc(rowBytes * height);
  for (let row = 0; row < height; row++) {
    const filter = data[row * (rowBytes + 1)];
    for (let column = 0; column < rowBytes; column++) {
      const at = row * rowBytes + column;
      const left = column < RGB ? 0 : out[at - RGB] ?? 0;
      const up = row === 0 ? 0 : out[at - rowBytes] ?? 0;
      const corner = row === 0 || column < RGB ? 0 : out[at - rowBytes - RGB] ?? 0;
      const guess = filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : filter === 4 ? paeth(left, up, corner) : 0;
      out[at] = (data[row * (rowBytes + 1) + 1 + column] ?? 0) + guess;
    }
  }
  return out;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [toLeft, toUp, toCorner] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function chunk(type: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const out = Buffer.alloc(content.length + AROUND_BYTES);
  out.writeUInt32BE(content.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), out.length - 4);
  return out;
}
