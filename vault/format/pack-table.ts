import { PACK_ID_BYTES } from './format';

const WORDS = PACK_ID_BYTES / 4;
const FIRST_PACKS = 1024;

/**
 * Numbers packs from 0 in the order in which they are first named, so that sets and counts of them are arrays of numbers. Takes 16 bytes for each
 * id and 8 to 16 for the index, where a Map of strings takes about a hundred.
 */
export class PackTable {
  private ids = new Uint32Array(FIRST_PACKS * WORDS);
  /** Number of the pack and 1, or 0 for a free slot. Ids are random, so their own first word spreads them. */
  private slots = new Uint32Array(FIRST_PACKS * 2);
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** The number of a pack, which it gets now if it has none. `id` is 32 hex digits. */
  add(id: string): number {
    const words = wordsOf(id);
    const slot = this.slotOf(words);
    const found = this.slots[slot] as number;
    if (found > 0) return found - 1;
    if (this.count === this.ids.length / WORDS) {
      this.grow();
      return this.insert(this.slotOf(words), words);
    }
    return this.insert(slot, words);
  }

  /** The number of a pack, or -1 when it was never named. */
  find(id: string): number {
    return (this.slots[this.slotOf(wordsOf(id))] as number) - 1;
  }

  id(number: number): string {
    let id = '';
    for (let word = 0; word < WORDS; word++) id += (this.ids[number * WORDS + word] as number).toString(16).padStart(8, '0');
    return id;
  }

  private insert(slot: number, words: Words): number {
    this.ids.set(words, this.count * WORDS);
    this.slots[slot] = ++this.count;
    return this.count - 1;
  }

  /** The slot that holds the id, or the free one where it would go: there is always one, since half of them stay free. */
  private slotOf(words: Words): number {
    const mask = this.slots.length - 1;
    for (let slot = words[0] & mask; ; slot = (slot + 1) & mask) {
      const at = ((this.slots[slot] as number) - 1) * WORDS;
      if (at < 0) return slot;
      const { ids } = this;
      if (ids[at] === words[0] && ids[at + 1] === words[1] && ids[at + 2] === words[2] && ids[at + 3] === words[3]) return slot;
    }
  }

  private grow(): void {
    const ids = new Uint32Array(this.ids.length * 2);
    ids.set(this.ids);
    this.ids = ids;
    this.slots = new Uint32Array(this.slots.length * 2);
    const mask = this.slots.length - 1;
    for (let number = 0; number < this.count; number++) {
      let slot = (ids[number * WORDS] as number) & mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
      this.slots[slot] = number + 1;
    }
  }
}

type Words = readonly [number, number, number, number];

const wordsOf = (id: string): Words => [word(id, 0), word(id, 8), word(id, 16), word(id, 24)];
const word = (id: string, at: number): number => Number.parseInt(id.slice(at, at + 8), 16);

/** A column of numbers beside a PackTable, 0 where nothing was set. */
export class PackColumn {
  private values = new Int32Array(FIRST_PACKS);

  get(number: number): number {
    return this.values[number] ?? 0;
  }

  set(number: number, value: number): void {
    if (number >= this.values.length) {
      const values = new Int32Array(Math.max(this.values.length * 2, number + 1));
      values.set(this.values);
      this.values = values;
    }
    this.values[number] = value;
  }
}
