import type { Store } from '../store/store';

/** A store that tells the name of what it may have created or deleted, as soon as that is over and before its caller goes on, also when it failed: it may have been done. */
export function noticingStore(store: Store, onChange: (name: string) => void): Store {
  const telling = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } finally {
      onChange(name);
    }
  };
  const { listNames } = store;
  return {
    description: store.description,
    create: (name, data) => telling(name, () => store.create(name, data)),
    read: (name, range) => store.read(name, range),
    stat: (name) => store.stat(name),
    list: (prefix) => store.list(prefix),
    ...(listNames && { listNames: (prefix: string) => listNames.call(store, prefix) }),
    delete: (name) => telling(name, () => store.delete(name)),
    serverTimeMs: () => store.serverTimeMs(),
    ...(store.retention && { retention: store.retention }),
    close: () => store.close(),
  };
}
