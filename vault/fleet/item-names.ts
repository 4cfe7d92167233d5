import { ITEM_ID, STAMP } from '../format/manifest';
import { proofTime } from '../proof/proofs';
import { listNames } from '../store/list-names';
import type { Store } from '../store/store';

/** The names that say what an item has, by the stamps of its recovery points. */
export interface ItemNames {
  readonly itemId: string;
  /** Stamps of manifests that are there. */
  readonly stamps: readonly string[];
  /** What stands below `marks/ITEM/STAMP/`, in order. */
  readonly marks: ReadonlyMap<string, readonly string[]>;
  /** When proofs were finished, in milliseconds since 1970, ascending. */
  readonly proofs: ReadonlyMap<string, readonly number[]>;
}

const FOLDERS = ['recovery-points/', 'marks/', 'proofs/'] as const;

/** All names of one item. */
export async function namesOfItem(store: Store, itemId: string): Promise<ItemNames> {
  const [stamps, marks, proofs] = await Promise.all(FOLDERS.map((folder) => collected(listNames(store, `${folder}${itemId}/`), folder.length + itemId.length + 1)));
  return joined(itemId, stamps ?? [], marks ?? [], proofs ?? []);
}

async function collected(names: AsyncIterable<string>, skip: number): Promise<string[]> {
  const rest: string[] = [];
  for await (const name of names) rest.push(name.slice(skip));
  return rest;
}

/** The names of every item, one item after the other: three lists in the order of names, joined as they come, so that never more than an item's are held. Throws what a list throws. */
export async function* namesOfItems(store: Store): AsyncGenerator<ItemNames> {
  const lists = FOLDERS.map((folder) => itemGroups(store, folder));
  try {
    const heads = await Promise.all(lists.map((list) => list.next()));
    for (;;) {
      let first: string | null = null;
      for (const { value } of heads) if (value && (first === null || orderOf(value.itemId) < orderOf(first))) first = value.itemId;
      if (first === null) return;
      const rest = heads.map(({ value }) => (value && value.itemId === first ? value.rest : []));
      await Promise.all(heads.map(async ({ value }, at) => {
        if (value && value.itemId === first) heads[at] = await (lists[at] as AsyncGenerator<ItemGroup>).next();
      }));
      yield joined(first, rest[0] ?? [], rest[1] ?? [], rest[2] ?? []);
    }
  } finally {
    await Promise.all(lists.map((list) => list.return(undefined)));
  }
}

/** As names are ordered: what follows an item id in a name is a slash. */
const orderOf = (itemId: string): string => `${itemId}/`;

interface ItemGroup { readonly itemId: string; readonly rest: string[] }

async function* itemGroups(store: Store, folder: string): AsyncGenerator<ItemGroup, undefined> {
  let group: ItemGroup | undefined;
  for await (const name of listNames(store, folder)) {
    const slash = name.indexOf('/', folder.length);
    if (slash < 0) continue;
    const itemId = name.slice(folder.length, slash);
    if (group?.itemId !== itemId) {
      if (group) yield group;
      group = { itemId, rest: [] };
    }
    group.rest.push(name.slice(slash + 1));
  }
  if (group) yield group;
  return undefined;
}

const PROOF = /^([^/]+)\/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z$/;

/** What is no name of Holdfast's says nothing. */
function joined(itemId: string, stamps: readonly string[], markNames: readonly string[], proofNames: readonly string[]): ItemNames {
  const marks = new Map<string, string[]>();
  const proofs = new Map<string, number[]>();
  if (!ITEM_ID.test(itemId)) return { itemId, stamps: [], marks, proofs };
  for (const name of markNames) {
    const slash = name.indexOf('/');
    const stamp = name.slice(0, Math.max(0, slash));
    if (!STAMP.test(stamp)) continue;
    const row = marks.get(stamp);
    if (row) row.push(name.slice(slash + 1));
    else marks.set(stamp, [name.slice(slash + 1)]);
  }
  for (const name of proofNames) {
    const [, stamp, year, month, day, hour, minute, second, ms] = PROOF.exec(name) ?? [];
    if (stamp === undefined) continue;
    const at = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second), Number(ms));
    if (!name.endsWith(proofTime(at))) continue;
    const row = proofs.get(stamp);
    if (row) row.push(at);
    else proofs.set(stamp, [at]);
  }
  return { itemId, stamps: stamps.filter((stamp) => STAMP.test(stamp)), marks, proofs };
}
