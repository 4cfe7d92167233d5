import type { Store } from '../vault/store/store';

/** Plain documents that people edit, kept as numbered revisions: none is ever changed, so what was in force when can be seen. */
export interface Revision {
  readonly revision: number;
  /** By the store's clock. */
  readonly storedAtMs: number;
  readonly text: string;
}

const revisionName = (folder: string, revision: number): string => `${folder}${String(revision).padStart(8, '0')}.json`;

/** The newest revision in a folder (whose name ends in `/`), or undefined when there is none. */
export async function latestRevision(store: Store, folder: string): Promise<Revision | undefined> {
  let last: { revision: number; storedAtMs: number; object: string } | undefined;
  for await (const object of store.list(folder)) {
    last = { revision: Number(object.name.slice(folder.length, -'.json'.length)), storedAtMs: object.modifiedAtMs, object: object.name };
  }
  return last && { revision: last.revision, storedAtMs: last.storedAtMs, text: (await store.read(last.object)).toString('utf8') };
}

/** Stores the revision after `latest`; undefined when somebody else was faster. */
export async function appendRevision(store: Store, folder: string, latest: Revision | undefined, text: string): Promise<number | undefined> {
  const revision = (latest?.revision ?? 0) + 1;
  return await store.create(revisionName(folder, revision), Buffer.from(text)) === 'exists' ? undefined : revision;
}
