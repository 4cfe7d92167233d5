import { createHash } from 'node:crypto';
import { ITEM_ID } from '../format/manifest';
import type { VaultAccess } from '../format/tree';
import { listNames } from '../store/list-names';
import { compareNames } from '../store/object-names';

const hash = (names: readonly string[]): string => createHash('sha256').update(names.join('\n')).digest('hex');

/** What an item's names below recovery-points/ and marks/ come to. Objects never change, so as long as this does not, nothing was decided about its recovery points. */
export const namesDigest = (manifests: Iterable<string>, marks: Iterable<string>): string =>
  `${hash([...manifests].sort(compareNames))} ${hash([...marks].sort(compareNames))}`;

/** The same for every item that has such names, from two lists of the vault. */
export async function namesDigests(vault: VaultAccess): Promise<Map<string, string>> {
  const manifests = await digests(vault, 'recovery-points/');
  const marks = await digests(vault, 'marks/');
  const none = hash([]);
  return new Map([...manifests.keys(), ...marks.keys()].map((itemId) => [itemId, `${manifests.get(itemId) ?? none} ${marks.get(itemId) ?? none}`]));
}

async function digests(vault: VaultAccess, prefix: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  let [itemId, names]: [string, string[]] = ['', []];
  const close = (): void => { if (names.length > 0) found.set(itemId, hash(names)); };
  for await (const name of listNames(vault.store, prefix)) {
    const item = name.slice(prefix.length).split('/', 1)[0] ?? '';
    if (!ITEM_ID.test(item)) continue;
    if (item !== itemId) {
      close();
      [itemId, names] = [item, []];
    }
    names.push(name);
  }
  close();
  return found;
}
