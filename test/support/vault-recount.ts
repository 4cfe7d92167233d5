import assert from 'node:assert/strict';
import { z } from 'zod';
import { findDocument } from '../../vault/format/documents';
import type { InnerNode, LeafEntry } from '../../vault/format/nodes';
import { recordSchema as strictRecordSchema, type TreeHistory } from '../../vault/points/references';
import { type DiskTree, leafRefs, loadLeaf, loadRegion, loadRoot, type VaultAccess } from '../../vault/format/tree';

export interface RegionFacts { readonly node: InnerNode; readonly data: Map<string, { chunks: number; bytes: number }>; readonly meta: Set<string> }

/** Counts anew from the leaves what each region refers to. */
export async function recount(vault: VaultAccess, tree: DiskTree): Promise<{ regions: Map<number, RegionFacts>; rootMeta: Set<string> }> {
  const regions = new Map<number, RegionFacts>();
  const root = await loadRoot(vault, tree);
  const rootMeta = new Set<string>(tree.root ? [tree.root.pack] : []);
  for (const [index, ref] of root?.children ?? []) {
    rootMeta.add(ref.pack);
    const node = await loadRegion(vault, ref, index, tree.sizeBytes);
    const data: RegionFacts['data'] = new Map();
    const meta = new Set<string>(node.hooks ? [node.hooks.pack] : []);
    for (const [window, leaf] of leafRefs(node)) {
      meta.add(leaf.pack);
      for (const { chunk } of (await loadLeaf(vault, leaf, window, tree.sizeBytes)).entries) {
        if (!chunk) continue;
        const row = data.get(chunk.pack) ?? { chunks: 0, bytes: 0 };
        data.set(chunk.pack, { chunks: row.chunks + 1, bytes: row.bytes + chunk.length });
      }
    }
    assert.deepEqual(sortedEntries(node.usage), sortedEntries(data), `usage of region ${index}`);
    regions.set(index, { node, data, meta });
  }
  return { regions, rootMeta };
}

const sortedEntries = <T>(map: ReadonlyMap<string, T>): [string, T][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

const recordSchema = z.object({
  node: z.object({ id: z.string() }).loose().nullable(),
  data: z.object({ taken: z.array(z.string()), given: z.array(z.string()) }),
  meta: z.object({ taken: z.array(z.string()), given: z.array(z.string()) }),
});

interface Side { readonly taken: string[]; readonly given: string[] }

const difference = (before: Iterable<string>, after: Iterable<string>): Side => {
  const [old, now] = [new Set(before), new Set(after)];
  return { taken: [...now].filter((pack) => !old.has(pack)).sort(), given: [...old].filter((pack) => !now.has(pack)).sort() };
};

/** What the manifest names are the records that are there, with their content where it stands in the manifest. */
export async function assertNamed(vault: VaultAccess, folder: string, history: TreeHistory): Promise<void> {
  const there: string[] = [];
  for await (const { name } of vault.store.list(`${folder}/`)) there.push(name.slice(folder.length + 1));
  assert.deepEqual(history.records.map(({ name }) => name).sort(), there.sort(), `records in ${folder}`);
  for (const { name, references } of history.records) {
    const found = await findDocument(vault, `${folder}/${name}`, strictRecordSchema);
    assert.equal(found?.lineage, history.lineage);
    if (references) assert.deepEqual(references, { data: found?.data, meta: found?.meta });
    else assert.ok(found && [found.data, found.meta].flatMap(({ taken, given }) => [...taken, ...given]).length > 64);
  }
}

/** The records of a backup say exactly what the recounted trees differ in. */
export async function assertReferences(vault: VaultAccess, folder: string, before: DiskTree | null, after: DiskTree): Promise<void> {
  const [old, now] = [before ? await recount(vault, before) : { regions: new Map<number, RegionFacts>(), rootMeta: new Set<string>() }, await recount(vault, after)];
  const record = async (name: string): Promise<{ data: Side; meta: Side }> => {
    const found = await findDocument(vault, `${folder}/${name}`, recordSchema);
    const sorted = (side: Side | undefined): Side => ({ taken: [...side?.taken ?? []].sort(), given: [...side?.given ?? []].sort() });
    return { data: sorted(found?.data), meta: sorted(found?.meta) };
  };
  for (const index of new Set([...old.regions.keys(), ...now.regions.keys()])) {
    const [was, is] = [old.regions.get(index), now.regions.get(index)];
    const got = await record(String(index).padStart(4, '0'));
    assert.deepEqual(got.data, difference(was?.data.keys() ?? [], is?.data.keys() ?? []), `data references of region ${index}`);
    assert.deepEqual(got.meta, difference(was?.meta ?? [], is?.meta ?? []), `meta references of region ${index}`);
  }
  assert.deepEqual((await record('root')).meta, difference(old.rootMeta, now.rootMeta), 'references of the root');
}

/** Every window's row of blocks and chunk ids: what the content alone decides. */
export async function chunkRows(vault: VaultAccess, tree: DiskTree): Promise<Map<number, string>> {
  const rows = new Map<number, string>();
  for (const [window, entries] of await windowEntries(vault, tree)) rows.set(window, entries.map(({ blocks, chunk }) => `${blocks}:${chunk?.id.toString('hex').slice(0, 16) ?? 'zeros'}`).join(' '));
  return rows;
}

export async function windowEntries(vault: VaultAccess, tree: DiskTree): Promise<Map<number, readonly LeafEntry[]>> {
  const found = new Map<number, readonly LeafEntry[]>();
  const root = await loadRoot(vault, tree);
  for (const [index, ref] of root?.children ?? []) {
    for (const [window, leaf] of leafRefs(await loadRegion(vault, ref, index, tree.sizeBytes))) found.set(window, (await loadLeaf(vault, leaf, window, tree.sizeBytes)).entries);
  }
  return found;
}
