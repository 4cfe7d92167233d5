import { assertByteRange, assertNamePrefix, assertObjectName, compareNames } from './object-names';
import type { ByteRange, ObjectInfo, Store } from './store';
import { objectNotFound, rangePastEnd } from './store-errors';

interface StoredObject {
  readonly data: Buffer;
  readonly modifiedAtMs: number;
}

export interface MemoryStoreOptions {
  /** The clock of the pretended server, in milliseconds since 1970. */
  readonly clock?: () => number;
}

/** A store in this process's memory, for tests and dry runs: it copies in and out, so that no caller can change what it stored. */
export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  return new MemoryStore(options.clock ?? Date.now);
}

class MemoryStore implements Store {
  readonly description = 'memory';
  readonly #objects = new Map<string, StoredObject>();
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  async create(name: string, data: Uint8Array): Promise<'created' | 'exists'> {
    assertObjectName(name);
    if (this.#objects.has(name)) return 'exists';
    this.#objects.set(name, { data: Buffer.from(data), modifiedAtMs: this.#clock() });
    return 'created';
  }

  async read(name: string, range?: ByteRange): Promise<Buffer> {
    assertObjectName(name);
    if (range !== undefined) assertByteRange(range);
    const found = this.#objects.get(name);
    if (found === undefined) throw objectNotFound(this.description, name);
    if (range === undefined) return Buffer.from(found.data);
    if (range.offset + range.length > found.data.length) throw rangePastEnd(this.description, name, range, found.data.length);
    return Buffer.from(found.data.subarray(range.offset, range.offset + range.length));
  }

  async stat(name: string): Promise<ObjectInfo | undefined> {
    assertObjectName(name);
    return this.#info(name);
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    assertNamePrefix(prefix);
    const names = [...this.#objects.keys()].filter((name) => name.startsWith(prefix)).sort(compareNames);
    for (const name of names) {
      const info = this.#info(name);
      if (info !== undefined) yield info;
    }
  }

  async delete(name: string): Promise<'deleted' | 'absent'> {
    assertObjectName(name);
    return this.#objects.delete(name) ? 'deleted' : 'absent';
  }

  async serverTimeMs(): Promise<number> {
    return this.#clock();
  }

  /** Keeps the objects: a test that closes and uses it again has reopened it. */
  async close(): Promise<void> {}

  #info(name: string): ObjectInfo | undefined {
    const found = this.#objects.get(name);
    return found && { name, sizeBytes: found.data.length, modifiedAtMs: found.modifiedAtMs };
  }
}
