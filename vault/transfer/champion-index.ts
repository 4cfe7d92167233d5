import { isDamage } from '../proof/damage';
import type { BlobRef } from '../format/blob';
import { REGION_WINDOWS } from '../format/format';
import { LeafMap } from '../format/leaf-map';
import { refFromJson } from '../format/ref-json';
import type { ChampionIndex } from './reuse';
import type { ChampionSpec } from './transfer-lane';
import { loadHooks, loadLeaf, regionsOf, type VaultAccess } from '../format/tree';
import { windowBlocks } from './window-blocks';

/** Hooks kept in memory for all champions together: about 12 MiB, the hooks of some 500 GiB of data. */
const MAX_HOOKS = 131_072;

/** Reads the champions' hooks. What of them is damaged is left out. Beyond the bound the rest of the hooks is left out, which costs deduplication only. */
export async function openChampions(vault: VaultAccess, champions: readonly ChampionSpec[]): Promise<ChampionIndex> {
  const hooks = new Map<string, { champion: ChampionSpec; window: number; ref: BlobRef }>();
  const windows = new Map<BlobRef, { champion: ChampionSpec; window: number }>();
  for (const champion of champions) await unlessDamaged(async () => {
    for await (const region of regionsOf(vault, { root: refFromJson(champion.root), sizeBytes: champion.diskBytes })) {
      for (const [prefix, number] of await loadHooks(vault, region)) {
        const ref = region.children.get(number);
        if (!ref || hooks.size >= MAX_HOOKS || hooks.has(prefix)) continue;
        const place = { champion, window: region.index * REGION_WINDOWS + number };
        hooks.set(prefix, { ...place, ref });
        windows.set(ref, place);
      }
    }
  });
  return {
    leafOf: (hook) => hooks.get(hook)?.ref,
    async load(ref) {
      const place = windows.get(ref);
      if (!place) throw new Error('A leaf of no champion was asked for');
      const leaf = await unlessDamaged(() => loadLeaf(vault, ref, place.window, place.champion.diskBytes));
      return new LeafMap(leaf ?? null, windowBlocks(place.champion.diskBytes, place.window));
    },
  };
}

/** A champion that is damaged is none: another item's damage must not fail this backup. An error of the store is no damage. */
async function unlessDamaged<T>(step: () => Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}
