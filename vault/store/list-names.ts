import type { Store } from './store';

/** The names that `list` gives, for who needs no more than that: some stores know them without asking after each object. */
export async function* listNames(store: Store, prefix: string): AsyncGenerator<string> {
  if (store.listNames) yield* store.listNames(prefix);
  else for await (const { name } of store.list(prefix)) yield name;
}
