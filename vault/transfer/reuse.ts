import type { BlobRef } from '../format/blob';
import { HOOK_BELOW, HOOK_PREFIX_BYTES } from '../format/format';
import { idKey, type LeafMap } from '../format/leaf-map';

/** How many chunks of this run a worker remembers, and how many leaves of champions. Together about 8 MiB. */
const RECENT_CHUNKS = 8_192;
const CHAMPION_LEAVES = 24;

/** Where a champion's leaf for a hook lies: opened only when a hook of it is met. */
export interface ChampionIndex {
  /** The leaf that holds the chunk of this hook, or undefined. */
  leafOf(hook: string): BlobRef | undefined;
  load(leaf: BlobRef): Promise<LeafMap>;
}

export const isHook = (id: Buffer): boolean => (id[0] as number) < HOOK_BELOW;
export const hookKey = (id: Buffer): string => id.toString('latin1', 0, HOOK_PREFIX_BYTES);

/**
 * Finds chunks that are in the vault already, apart from the parent's window: those this worker just wrote, and those of
 * champions near a hook that was met. Both are bounded, whatever the size of the disk or the vault.
 */
export class ReuseIndex {
  private readonly recent = new Map<string, BlobRef>();
  private readonly leaves = new Map<string, LeafMap>();

  /** `avoid` has packs whose chunks are not to be used: what a champion has of them is not found. */
  constructor(private readonly champions: ChampionIndex | null, private readonly avoid: ReadonlySet<string> = new Set()) {}

  /** Loads the champions' leaves that the hooks among these ids point at. */
  async prepare(ids: readonly Buffer[]): Promise<void> {
    if (!this.champions) return;
    for (const id of ids) {
      const leaf = isHook(id) ? this.champions.leafOf(hookKey(id)) : undefined;
      if (!leaf) continue;
      const key = idKey(leaf.id);
      const known = this.leaves.get(key);
      this.leaves.delete(key);
      this.leaves.set(key, known ?? await this.champions.load(leaf));
      if (this.leaves.size > CHAMPION_LEAVES) this.leaves.delete(this.leaves.keys().next().value as string);
    }
  }

  find(id: Buffer): BlobRef | undefined {
    const own = this.recent.get(idKey(id));
    if (own) return own;
    for (const leaf of this.leaves.values()) {
      const found = leaf.find(id);
      if (found && !this.avoid.has(found.pack)) return found;
    }
    return undefined;
  }

  remember(ref: BlobRef): void {
    this.recent.set(idKey(ref.id), ref);
    if (this.recent.size > RECENT_CHUNKS) this.recent.delete(this.recent.keys().next().value as string);
  }
}
