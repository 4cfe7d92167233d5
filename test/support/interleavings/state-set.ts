/** Set of rows of a fixed number of 32-bit words, exact (no row is taken for another), in one typed array that grows: some 1.5 to 3 times the rows' own bytes. */
export class StateSet {
  size = 0;
  private slots = 1 << 16;
  private rows: Int32Array;
  private used: Uint8Array;

  constructor(private readonly width: number) {
    this.rows = new Int32Array(this.slots * width);
    this.used = new Uint8Array(this.slots);
  }

  /** False when the row was there before. */
  add(row: Int32Array): boolean {
    if (!this.put(row, 0)) return false;
    if (++this.size > this.slots * 0.7) this.grow();
    return true;
  }

  private put(from: Int32Array, at: number): boolean {
    const { width, rows, used, slots } = this;
    let hash = 0;
    for (let word = 0; word < width; word++) {
      hash = Math.imul(hash ^ (from[at + word] as number), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    for (let slot = hash & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
      const start = slot * width;
      if (used[slot] === 0) {
        used[slot] = 1;
        for (let word = 0; word < width; word++) rows[start + word] = from[at + word] as number;
        return true;
      }
      let same = true;
      for (let word = 0; word < width && same; word++) same = rows[start + word] === from[at + word];
      if (same) return false;
    }
  }

  private grow(): void {
    const { rows, used, slots, width } = this;
    this.slots *= 2;
    this.rows = new Int32Array(this.slots * width);
    this.used = new Uint8Array(this.slots);
    for (let slot = 0; slot < slots; slot++) if (used[slot] === 1) this.put(rows, slot * width);
  }
}
