import { damageOfReport, type FoundDamage, foundDamage } from '../proof/damage';
import { chooseSparse, regionsOfTurn, type SparsePack } from './copy-forward';
import type { BlobRef } from '../format/blob';
import type { InnerNode } from '../format/nodes';
import { type DiskTree, leafRefs, loadLeaf, loadRegion, loadRoot, type VaultAccess } from '../format/tree';

/** What a run does with its parent's tree beside what changed. */
export interface ParentSurvey {
  /** False when the root or a region's node is damaged: then the disk's tree is built without a parent, from the source. */
  readonly usable: boolean;
  /** Damaged packs that nothing is taken over from: the ledger's, and those found just now. */
  readonly avoid: readonly string[];
  /** Sparse packs to be copied forward. */
  readonly forward: readonly string[];
  /** Regions with windows that have to be looked at although nothing may have changed in them. */
  readonly regions: readonly number[];
  /** Damage that is to be entered in the ledger. */
  readonly found: readonly FoundDamage[];
}

export interface SurveyRequest {
  /** Packs in the damage ledger. */
  readonly avoid: ReadonlySet<string>;
  /** The run's sequence number: says whose turn it is where only some regions can be looked at. */
  readonly turn: number;
  /** Items whose chunks the tree may have taken over, so that packs which are sparse here are full there. */
  readonly lenders: readonly string[];
  /** Looks at every region, also when the ledger is empty: after a run that met damage. */
  readonly thorough: boolean;
}

/** Looks a parent's tree over before a backup. Reads nodes of regions, and of most disks only a few; never a leaf. */
export async function surveyParent(vault: VaultAccess, tree: DiskTree, request: SurveyRequest): Promise<ParentSurvey> {
  const avoid = new Set(request.avoid);
  const unusable = (found: readonly FoundDamage[]): ParentSurvey => ({ usable: false, avoid: [...avoid, ...found.map(({ pack }) => pack)], forward: [], regions: [], found });
  const regions = new Set<number>();
  const sparse: SparsePack[] = [];
  try {
    const root = await loadRoot(vault, tree);
    if (!root || !tree.root) return { usable: true, avoid: [...avoid], forward: [], regions: [], found: [] };
    if (avoid.has(tree.root.pack)) return unusable([]);
    const all = [...root.children];
    const turn = new Set(regionsOfTurn(all.map(([index]) => index), request.turn));
    for (const [index, ref] of all) {
      const looksAtAll = avoid.size > 0 || request.thorough;
      if (!looksAtAll && !turn.has(index)) continue;
      const node = await loadRegion(vault, ref, index, tree.sizeBytes);
      if ([ref, node.hooks].some((place) => place && avoid.has(place.pack))) return unusable([]);
      if (refersTo(node, avoid)) regions.add(index);
      if (turn.has(index)) for (const [pack, { bytes }] of node.usage) if (!avoid.has(pack)) sparse.push({ pack, region: index, liveBytes: bytes });
    }
  } catch (error) {
    const found = foundDamage(error);
    if (!found) throw error;
    return unusable([found]);
  }
  const chosen = await chooseSparse(vault, sparse, request.lenders);
  for (const { region } of chosen) regions.add(region);
  return { usable: true, avoid: [...avoid], forward: [...new Set(chosen.map(({ pack }) => pack))], regions: [...regions].sort((a, b) => a - b), found: [] };
}

const refersTo = (node: InnerNode, packs: ReadonlySet<string>): boolean =>
  [...node.usage.keys()].some((pack) => packs.has(pack)) || [...node.children.values()].some((ref: BlobRef) => packs.has(ref.pack));

/** Windows of the disk, in a region, whose leaf lies in one of the packs, refers to one, or cannot be read. */
export async function windowsInNeed(vault: VaultAccess, region: InnerNode | null, packs: ReadonlySet<string>): Promise<number[]> {
  if (!region || packs.size === 0 || !refersTo(region, packs)) return [];
  const windows: number[] = [];
  for (const [window, ref] of leafRefs(region)) if (packs.has(ref.pack) || await leafRefersTo(vault, region, window, ref, packs)) windows.push(window);
  return windows;
}

async function leafRefersTo(vault: VaultAccess, region: InnerNode, window: number, ref: BlobRef, packs: ReadonlySet<string>): Promise<boolean> {
  try {
    const leaf = await loadLeaf(vault, ref, window, region.diskBytes);
    return leaf.entries.some(({ chunk }) => chunk && packs.has(chunk.pack));
  } catch (error) {
    // The lane that writes the window meets it again, and has it entered in the ledger.
    if (foundDamage(error)) return true;
    throw error;
  }
}

/** The damaged packs that lanes met, each once. */
export function damageOfLanes(results: readonly { readonly damage?: readonly Parameters<typeof damageOfReport>[0][] | undefined }[]): FoundDamage[] {
  const found = new Map<string, FoundDamage>();
  for (const report of results.flatMap(({ damage }) => damage ?? [])) {
    const one = damageOfReport(report);
    if (one) found.set(one.pack, one);
  }
  return [...found.values()];
}
