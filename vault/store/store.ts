/**
 * Where a vault's objects lie. Every object is written once, whole, and never changed: that is what lets a
 * WORM policy hold the vault, and what makes every writer safe to run twice.
 *
 * Contract, proved for every implementation by test/support/store-contract.ts:
 * - Names are relative, with `/` between parts, at most 900 characters; each part matches [A-Za-z0-9._-]{1,120} and
 *   does not end in a dot; the first is not `.tmp`. Anything else throws STORE_NAME. No name is also the folder of
 *   another name, and no two differ in case alone: a folder on some disks cannot tell those apart.
 * - An error is never an absence: only a definite "not there" answers undefined / 'absent' / STORE_OBJECT_NOT_FOUND.
 *   Anything else throws a HoldfastError of a STORE_ code with the native error as its cause.
 * - Transient failures (429, 500, 503, resets) are retried inside, bounded, honouring Retry-After; then they throw.
 */
export interface Store {
  /** For messages: a path or an address without any secret. */
  readonly description: string;

  /**
   * Writes a new object. Atomic: no reader ever sees a part of it, and a crash leaves all or nothing.
   * Durable when it resolves. If the name is taken nothing is written and the answer is 'exists' (the caller
   * compares the content if it matters). An unknown outcome (the write was applied but an error came back)
   * is resolved inside by reading back: identical content of this very write answers 'created'.
   * The caller does not touch `data` until it resolves. After a delete the name may be created again.
   */
  create(name: string, data: Uint8Array): Promise<'created' | 'exists'>;

  /** Reads the whole object, or exactly `range`. Throws STORE_OBJECT_NOT_FOUND, or STORE_RANGE when the object ends before the range does. The buffer is the caller's own. */
  read(name: string, range?: ByteRange): Promise<Buffer>;

  /** Size and server time of the last write, or undefined when the object is definitely not there. */
  stat(name: string): Promise<ObjectInfo | undefined>;

  /**
   * Every object whose name starts with `prefix` (a plain string prefix, '' for all), in ascending order of
   * the name by code unit. Throws on any failure, also in the middle: an error is never the end of the list.
   * What is there from the first page to the last is listed exactly once; what is created or deleted meanwhile may
   * or may not be. A file or blob whose name no store could have written is not an object and is passed over.
   */
  list(prefix: string): AsyncIterable<ObjectInfo>;

  /** The names alone, by the same rules. Present where that costs less; for who does not care there is list-names.ts. */
  listNames?(prefix: string): AsyncIterable<string>;

  /**
   * Removes an object, durably. Idempotent. When an applied delete was answered by an error, its retry answers 'deleted'. Throws STORE_IMMUTABLE where a
   * WORM policy holds the object, with `untilMs` in its data (null where the store does not say): nothing is gained by asking again before.
   */
  delete(name: string): Promise<'deleted' | 'absent'>;

  /**
   * What the clock says that `modifiedAtMs` is of, in milliseconds since 1970, within a second or two: the service's, or the file system's.
   * A folder that is open for reading only has no other clock to offer than this machine's.
   */
  serverTimeMs(): Promise<number>;

  /** Present where objects can be held against deletion one by one. Whether the place really does so is the owner's choice: see ObjectRetention. */
  readonly retention?: ObjectRetention;

  /** Releases sockets and handles. The store is not used afterwards. */
  close(): Promise<void>;
}

/**
 * WORM for each object (in Azure: version-level immutability). All times are milliseconds since 1970 by the store's clock. How long a new object is held is a setting of the
 * place and not of Holdfast; it can only be made longer.
 */
export interface ObjectRetention {
  /** Until when the object can be neither changed nor deleted; null when nothing holds it. A time may be past. Throws STORE_OBJECT_NOT_FOUND. */
  until(name: string): Promise<number | null>;

  /** As Store.list, with the time of each object. */
  list(prefix: string): AsyncIterable<HeldObject>;

  /**
   * Holds the object until `untilMs` at least; an earlier time than it has changes nothing. Idempotent. Answers the time that holds then. Throws
   * STORE_OBJECT_NOT_FOUND, STORE_ACCESS_DENIED where the identity may not, STORE_FAILED where the place holds no single objects.
   */
  extend(name: string, untilMs: number): Promise<number>;
}

export interface HeldObject extends ObjectInfo {
  readonly untilMs: number | null;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface ObjectInfo {
  readonly name: string;
  readonly sizeBytes: number;
  /** By the clock of the store's server, in milliseconds since 1970. */
  readonly modifiedAtMs: number;
  /** The access tier, in small letters, where the store has such. Reads are the same in each, but not what they cost. */
  readonly tier?: string;
}
