import { channel } from 'node:diagnostics_channel';
import type { Duty } from '../../activities/deps';
import type { KeyProvider } from '../../vault/keys/key-providers';
import type { Store } from '../../vault/store/store';

/** What an app did with its vault: one of the store's operations, or of its key's. */
export interface StoreUse { readonly duty: Duty; readonly operation: Exclude<keyof Store, 'description' | 'close' | 'retention' | 'listNames'> | 'until' | 'extend' | 'wrap' | 'unwrap' }

export const storeChannel = channel('holdfast:store-use');
export const tellUse = (duty: Duty, operation: StoreUse['operation']): void => storeChannel.publish({ duty, operation } satisfies StoreUse);

/** The store, with each of its operations told on the channel as done by `duty`. */
export function watchedStore(store: Store, duty: Duty): Store {
  const told = (operation: StoreUse['operation']): void => tellUse(duty, operation);
  const { retention, listNames } = store;
  return {
    description: store.description,
    create: (name, data) => { told('create'); return store.create(name, data); },
    read: (name, range) => { told('read'); return store.read(name, range); },
    stat: (name) => { told('stat'); return store.stat(name); },
    list: (prefix) => { told('list'); return store.list(prefix); },
    delete: (name) => { told('delete'); return store.delete(name); },
    serverTimeMs: () => { told('serverTimeMs'); return store.serverTimeMs(); },
    // A container lists names as it lists everything.
    ...(listNames && { listNames: (prefix: string) => { told('list'); return listNames.call(store, prefix); } }),
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

/** The same for the key that a duty tries. */
export const watchedKey = (key: KeyProvider, duty: Duty): KeyProvider => ({
  ...key,
  wrap: (masterKey, context) => { tellUse(duty, 'wrap'); return key.wrap(masterKey, context); },
  unwrap: (document, context) => { tellUse(duty, 'unwrap'); return key.unwrap(document, context); },
});
