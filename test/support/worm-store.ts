import { assertObjectName } from '../../vault/store/object-names';
import type { HeldObject, ObjectRetention, Store } from '../../vault/store/store';
import { objectHeld, objectNotFound } from '../../vault/store/store-errors';

export interface WormOptions {
  /** How long the place holds every new object: its default policy, in milliseconds. */
  readonly holdMs: number;
  /** The clock of the pretended server. */
  readonly clock: () => number;
  /** False for a policy of the whole container: no object can be held for longer by itself. */
  readonly eachObject?: boolean;
}

export interface WormStore extends Store {
  /** Deletes that were refused so far, by name. */
  readonly refused: readonly string[];
  /** Extensions so far. */
  readonly extended: readonly { readonly name: string; readonly untilMs: number }[];
}

/**
 * Any store under a WORM policy, with the rules of Azure's version-level immutability: what is written is held from that moment on, nothing is
 * overwritten, no delete before the time is over, by the server's clock, and a time can only be moved forwards.
 */
export function createWormStore(inner: Store, options: WormOptions): WormStore {
  const { clock, holdMs } = options;
  const untilMs = new Map<string, number>();
  const refused: string[] = [];
  const extended: { name: string; untilMs: number }[] = [];
  const known = async (name: string): Promise<number> => {
    assertObjectName(name);
    if (!(await inner.stat(name))) throw objectNotFound(inner.description, name);
    return untilMs.get(name) ?? 0;
  };
  const retention: ObjectRetention = {
    until: known,
    async *list(prefix): AsyncGenerator<HeldObject> {
      for await (const info of inner.list(prefix)) yield { ...info, untilMs: untilMs.get(info.name) ?? 0 };
    },
    async extend(name, wantedMs) {
      const until = Math.max(await known(name), wantedMs);
      if (until > (untilMs.get(name) ?? 0)) extended.push({ name, untilMs: until });
      untilMs.set(name, until);
      return until;
    },
  };
  return {
    description: `${inner.description} (WORM)`,
    refused,
    extended,
    ...(options.eachObject === false ? {} : { retention }),
    async create(name, data) {
      const outcome = await inner.create(name, data);
      if (outcome === 'created') untilMs.set(name, clock() + holdMs);
      return outcome;
    },
    read: (name, range) => inner.read(name, range),
    stat: (name) => inner.stat(name),
    list: (prefix) => inner.list(prefix),
    async delete(name) {
      assertObjectName(name);
      const until = untilMs.get(name) ?? 0;
      if (clock() < until && (await inner.stat(name))) {
        refused.push(name);
        throw objectHeld(inner.description, name, options.eachObject === false ? null : until);
      }
      return inner.delete(name);
    },
    serverTimeMs: () => Promise.resolve(clock()),
    close: () => inner.close(),
  };
}
