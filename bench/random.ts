/** A stream of numbers that a seed decides, so that every machine changes an image of the same content in the same places. */
export class SeededRandom {
  private state: number;

  constructor(seed: number) {
    // xorshift never leaves zero.
    this.state = (seed >>> 0) || 0x9e3779b9;
  }

  /** A whole number from 0 to 2^32 - 1 (xorshift32, Marsaglia 2003). */
  uint32(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state;
  }

  /** From 0 inclusive to 1 exclusive. */
  fraction(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A whole number from 0 inclusive to `end` exclusive. */
  below(end: number): number {
    return Math.floor(this.fraction() * end);
  }

  fill(buffer: Buffer): Buffer {
    const whole = buffer.length - (buffer.length % 4);
    for (let at = 0; at < whole; at += 4) buffer.writeUInt32LE(this.uint32(), at);
    for (let at = whole; at < buffer.length; at++) buffer[at] = this.uint32() & 0xff;
    return buffer;
  }
}
