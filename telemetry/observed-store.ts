import type { Telemetry } from '../activities/telemetry';
import type { Store } from '../vault/store/store';
import { CALL } from './names';

/** A vault's store whose operations are spans: in a folder there is nothing else to see, in a container the requests to the service hang under them. */
export function observedStore(store: Store, telemetry: Telemetry): Store {
  const seen = <T>(operation: string, name: string, work: () => Promise<T>): Promise<T> =>
    telemetry.span(`vault ${operation}`, { [CALL]: true, 'holdfast.service': 'vault', 'holdfast.operation': operation, 'holdfast.object': name }, work);
  const { listNames } = store;
  return {
    description: store.description,
    create: (name, data) => seen('create', name, () => store.create(name, data)),
    read: (name, range) => seen('read', name, () => store.read(name, range)),
    stat: (name) => seen('stat', name, () => store.stat(name)),
    // A list is paged by its reader: its requests are seen, and no span is held open over what the reader does between pages.
    list: (prefix) => store.list(prefix),
    ...(listNames && { listNames: (prefix: string) => listNames.call(store, prefix) }),
    delete: (name) => seen('delete', name, () => store.delete(name)),
    serverTimeMs: () => store.serverTimeMs(),
    ...(store.retention && { retention: store.retention }),
    close: () => store.close(),
  };
}
