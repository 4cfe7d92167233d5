import { isDamage } from './damage';
import type { BlobRef } from '../format/blob';
import { listRecoveryPoints } from '../catalog';
import { diskTree, type Manifest } from '../format/manifest';
import { loadRegion, loadRoot, type VaultAccess } from '../format/tree';

/**
 * Which recovery points need each of the packs: of the item where the damage was found, and of items that take chunks over from it or give them to it. Reads nodes of roots and regions,
 * each once whatever shares it, and no leaf. A tree that cannot be read itself counts as touched by what it is known to lie in.
 */
export async function recoveryPointsNeeding(vault: VaultAccess, packs: ReadonlySet<string>, itemId: string): Promise<Map<string, string[]>> {
  const reach = new Map<string, string[]>([...packs].map((pack) => [pack, []]));
  if (packs.size === 0) return reach;
  const regions = new Map<string, ReadonlySet<string>>();
  for (const item of await relatives(vault, itemId)) {
    const { points } = await listRecoveryPoints(vault, item, { deleted: true });
    for (const { manifest } of points) {
      for (const pack of await packsOfPoint(vault, manifest, packs, regions)) reach.get(pack)?.push(manifest.id);
    }
  }
  return reach;
}

/** The item, those its newest recovery point names as lenders, and those that name it. */
async function relatives(vault: VaultAccess, itemId: string): Promise<string[]> {
  const items = new Set([itemId]);
  const { points } = await listRecoveryPoints(vault, undefined, { deleted: true });
  for (const { manifest } of points) {
    const lenders = new Set(manifest.disks.flatMap(({ lenders: names }) => names ?? []));
    if (manifest.itemId === itemId) for (const lender of lenders) items.add(lender);
    else if (lenders.has(itemId)) items.add(manifest.itemId);
  }
  return [...items];
}

async function packsOfPoint(vault: VaultAccess, manifest: Manifest, packs: ReadonlySet<string>, known: Map<string, ReadonlySet<string>>): Promise<Set<string>> {
  const needed = new Set<string>();
  const need = (pack: string): void => { if (packs.has(pack)) needed.add(pack); };
  for (const disk of manifest.disks) {
    const tree = diskTree(disk);
    if (tree.root) need(tree.root.pack);
    try {
      for (const [index, ref] of (await loadRoot(vault, tree))?.children ?? []) {
        need(ref.pack);
        const key = `${ref.pack}.${ref.offset}`;
        const seen = known.get(key) ?? await packsOfRegion(vault, ref, index, tree.sizeBytes, packs);
        known.set(key, seen);
        for (const pack of seen) need(pack);
      }
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  }
  return needed;
}

async function packsOfRegion(vault: VaultAccess, ref: BlobRef, index: number, diskBytes: number, packs: ReadonlySet<string>): Promise<Set<string>> {
  try {
    const node = await loadRegion(vault, ref, index, diskBytes);
    return new Set([...node.usage.keys(), ...[...node.children.values()].map(({ pack }) => pack)].filter((pack) => packs.has(pack)));
  } catch (error) {
    if (isDamage(error)) return new Set();
    throw error;
  }
}
