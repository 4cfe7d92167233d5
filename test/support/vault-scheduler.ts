import type { ByteRange, ObjectInfo, Store } from '../../vault/store/store';

/** Which actor goes on: gets the actors that wait before a store call, and answers with the position of one of them. */
export type Choose = (waiting: readonly number[], lastActor: number) => number;

/**
 * Runs actors over one store so that between two calls of the store only one of them moves: `choose` decides which.
 * An actor makes one call at a time. Resolves when all have ended.
 */
export async function interleave(store: Store, actors: readonly ((store: Store) => Promise<void>)[], choose: Choose): Promise<void> {
  const gates = new Map<number, () => void>();
  let moving = actors.length;
  let settled = (): void => undefined;
  const stand = (): void => { if (--moving === 0) settled(); };
  const pass = (actor: number): Promise<void> => new Promise((open) => {
    gates.set(actor, open);
    stand();
  });
  const ends = actors.map((actor, index) => actor(gated(store, () => pass(index))).finally(stand));
  for (let last = -1; ;) {
    if (moving > 0) await new Promise<void>((resolve) => { settled = resolve; });
    const waiting = [...gates.keys()].sort((a, b) => a - b);
    if (waiting.length === 0) break;
    last = waiting[choose(waiting, last)] as number;
    const open = gates.get(last) as () => void;
    gates.delete(last);
    moving++;
    open();
  }
  await Promise.all(ends);
}

function gated(store: Store, pass: () => Promise<void>): Store {
  return {
    description: store.description,
    async create(name: string, data: Uint8Array) { await pass(); return store.create(name, data); },
    async read(name: string, range?: ByteRange) { await pass(); return store.read(name, range); },
    async stat(name: string) { await pass(); return store.stat(name); },
    async *list(prefix: string): AsyncGenerator<ObjectInfo> { await pass(); yield* store.list(prefix); },
    async delete(name: string) { await pass(); return store.delete(name); },
    serverTimeMs: () => store.serverTimeMs(),
    close: () => Promise.resolve(),
  };
}

/**
 * Every schedule with at most `maxSwitches` changes of the actor that an actor did not ask for by ending. `once` plays one schedule
 * and is called until all were played. Returns how many there were.
 */
export async function everySchedule(maxSwitches: number, once: (choose: Choose) => Promise<void>): Promise<number> {
  let prefix: number[] = [];
  for (let played = 1; ; played++) {
    const made: { choice: number; options: number }[] = [];
    let switches = 0;
    await once((waiting, last) => {
      const free = !waiting.includes(last);
      // The first option is always to let the same actor go on; while switches are left the others follow.
      const order = free ? waiting : [last, ...waiting.filter((actor) => actor !== last)];
      const options = free || switches < maxSwitches ? order.length : 1;
      const choice = prefix[made.length] ?? 0;
      made.push({ choice, options });
      if (!free && choice > 0) switches++;
      return waiting.indexOf(order[choice] as number);
    });
    while (made.length > 0 && (made.at(-1) as { choice: number; options: number }).choice + 1 >= (made.at(-1) as { options: number }).options) made.pop();
    if (made.length === 0) return played;
    prefix = made.map(({ choice }) => choice);
    prefix[prefix.length - 1] = (prefix.at(-1) as number) + 1;
  }
}
