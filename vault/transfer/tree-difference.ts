import type { BlobRef } from '../format/blob';
import { BLOCK_BYTES } from '../format/format';
import type { InnerNode } from '../format/nodes';
import { type DiskTree, leafRefs, loadLeaf, loadRegion, loadRoot, type VaultAccess } from '../format/tree';
import { parallel } from './restore-plan';

/**
 * Bytes of the chunks of a disk that another state of it has not in the same places. Only nodes are read, and of these only where the two differ, so it is an
 * estimate: the same bytes may be cut into other chunks. Throws damage of either tree.
 */
export async function differingBytes(vault: VaultAccess, wanted: DiskTree, other: DiskTree): Promise<number> {
  const [root, otherRoot] = [await loadRoot(vault, wanted), await loadRoot(vault, other)];
  let bytes = 0;
  for (const [region, ref] of root?.children ?? []) {
    const otherRef = otherRoot?.children.get(region);
    if (isSame(ref, otherRef)) continue;
    bytes += await regionDifference(vault, await loadRegion(vault, ref, region, wanted.sizeBytes), otherRef ? await loadRegion(vault, otherRef, region, other.sizeBytes) : null);
  }
  return bytes;
}

const isSame = (a: BlobRef, b: BlobRef | undefined): boolean => b?.id.equals(a.id) === true;

async function regionDifference(vault: VaultAccess, wanted: InnerNode, other: InnerNode | null): Promise<number> {
  const others = new Map(other ? leafRefs(other) : []);
  const differing = leafRefs(wanted).filter(([window, ref]) => !isSame(ref, others.get(window)));
  let bytes = 0;
  await parallel(differing, undefined, async ([window, ref]) => {
    const otherRef = others.get(window);
    const held = new Set(otherRef && other ? [...await chunksOf(vault, otherRef, window, other.diskBytes)].map(({ key }) => key) : []);
    for (const { key, blocks } of await chunksOf(vault, ref, window, wanted.diskBytes)) if (!held.has(key)) bytes += blocks * BLOCK_BYTES;
  });
  return bytes;
}

/** The chunks of a leaf, each with what names it in its place. */
async function chunksOf(vault: VaultAccess, ref: BlobRef, window: number, diskBytes: number): Promise<{ key: string; blocks: number }[]> {
  const chunks: { key: string; blocks: number }[] = [];
  let block = 0;
  for (const { blocks, chunk } of (await loadLeaf(vault, ref, window, diskBytes)).entries) {
    if (chunk) chunks.push({ key: `${block}:${chunk.id.toString('latin1')}`, blocks });
    block += blocks;
  }
  return chunks;
}
