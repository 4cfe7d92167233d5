import type { ObjectRetention, Store } from '../vault/store/store';

/**
 * A store that answers every write as done and keeps nothing, for a dry run: all is read, compared, compressed and
 * counted as in a real one. It fits a run because a run never reads back what it wrote itself.
 */
export function discardWrites(store: Store): Store {
  return {
    description: store.description,
    create: () => Promise.resolve('created'),
    delete: () => Promise.resolve('absent'),
    read: (name, range) => store.read(name, range),
    stat: (name) => store.stat(name),
    list: (prefix) => store.list(prefix),
    serverTimeMs: () => store.serverTimeMs(),
    ...(store.retention && { retention: discardHolds(store.retention) }),
    close: () => store.close(),
  };
}

const discardHolds = (retention: ObjectRetention): ObjectRetention => ({
  until: (name) => retention.until(name),
  list: (prefix) => retention.list(prefix),
  extend: async (name, untilMs) => Math.max(await retention.until(name) ?? 0, untilMs),
});
