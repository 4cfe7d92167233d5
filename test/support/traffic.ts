import type { Duty } from '../../activities/deps';
import { trafficChannel } from '../../local/azure/calls';
import type { Store } from '../../vault/store/store';

/** What an app did with its vault: one of the store's operations. */
export interface StoreUse { readonly duty: Duty; readonly store: Exclude<keyof Store, 'description' | 'close' | 'retention'> | 'until' | 'extend' }

/** The store, with each of its operations told on the traffic channel as done by `duty`. */
export function watchedStore(store: Store, duty: Duty): Store {
  const told = (operation: StoreUse['store']): void => trafficChannel.publish({ duty, store: operation } satisfies StoreUse);
  const { retention } = store;
  return {
    description: store.description,
    create: (name, data) => { told('create'); return store.create(name, data); },
    read: (name, range) => { told('read'); return store.read(name, range); },
    stat: (name) => { told('stat'); return store.stat(name); },
    list: (prefix) => { told('list'); return store.list(prefix); },
    delete: (name) => { told('delete'); return store.delete(name); },
    serverTimeMs: () => { told('serverTimeMs'); return store.serverTimeMs(); },
    ...(retention && {
      retention: {
        until: (name: string) => { told('until'); return retention.until(name); },
        list: (prefix: string) => { told('list'); return retention.list(prefix); },
        extend: (name: string, untilMs: number) => { told('extend'); return retention.extend(name, untilMs); },
      },
    }),
    close: () => store.close(),
  };
}
