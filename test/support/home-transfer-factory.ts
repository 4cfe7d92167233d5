// What transfer threads open in a home of tests: the home's own store, planned faults included, and snapshots. Works in the main thread only.
import { transferFactory as plainFactory } from '../../azure/transfer-factory';
import { openFileSink } from '../../cli/file-sink';
import type { Store } from '../../vault/store/store';
import type { TransferFactory } from '../../vault/transfer/transfer-factory';

/** The stores of the homes that are running, by what the home tells its threads. */
export const homeStores = new Map<string, Store>();

export const transferFactory: TransferFactory = {
  openStore: (spec) => {
    const store = homeStores.get(String(spec.home));
    if (!store) return Promise.reject(new Error('This home is closed'));
    return Promise.resolve(borrowed(store));
  },
  openSource: plainFactory.openSource,
  openSink: (spec, renew) => ('path' in spec ? openFileSink(String(spec.path)) : plainFactory.openSink(spec, renew)),
};

/** The home closes its store itself. */
const borrowed = (store: Store): Store => ({
  description: store.description,
  create: (name, data) => store.create(name, data), read: (name, range) => store.read(name, range), stat: (name) => store.stat(name),
  list: (prefix) => store.list(prefix), delete: (name) => store.delete(name), serverTimeMs: () => store.serverTimeMs(), close: () => Promise.resolve(),
});
