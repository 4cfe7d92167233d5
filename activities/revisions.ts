import type { HoldfastError } from '../errors/holdfast-error';
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

/**
 * Stores a document as JSON over the revision that it was based on; null for any. Throws what `changed` makes of the revision that is there, where that is another one by now.
 * Answers the new revision.
 */
export async function saveRevision(store: Store, folder: string, document: unknown, expected: number | null, changed: (current: number) => HoldfastError): Promise<number> {
  const latest = await latestRevision(store, folder);
  const current = latest?.revision ?? 0;
  if (expected !== null && expected !== current) throw changed(current);
  const revision = await appendRevision(store, folder, latest, `${JSON.stringify(document, null, 2)}\n`);
  if (revision === undefined) throw changed(current);
  return revision;
}

/** What a revision says; undefined when it is no JSON, which no schema takes. */
export function jsonOf({ text }: Revision): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
