import type { BlockSource } from './block-source';
import { blobId } from '../format/blob';
import { ChunkCutter } from './chunk-cutter';
import { BLOCK_BYTES } from '../format/format';
import { itemIds } from '../items';
import { diskTree, type Manifest } from '../format/manifest';
import { type BlobRefJson, refToJson } from '../format/ref-json';
import { hookKey, isHook } from './reuse';
import { latestCommitted } from '../run';
import { loadHooks, regionsOf, type VaultAccess } from '../format/tree';

export interface Champion { readonly id: string; readonly root: BlobRefJson; readonly diskBytes: number }

/** The disk is looked at in so many places, spread evenly, of a MiB each: about a hook in every fourth. */
const SAMPLES = 96;
const SAMPLE_BYTES = 1024 * 1024;
/** Items that are asked, newest recovery point each: bounds what a first backup reads of a large vault. */
const MAX_CANDIDATES = 32;
const MAX_CHAMPIONS = 2;
/** Fewer common hooks than this are chance. */
const MIN_VOTES = 2;

/**
 * Finds the disks in the vault that share most with a new one: a sample of the new disk's hooks is looked up in the hooks of other items'
 * newest recovery points. Being wrong costs space only.
 */
export async function chooseChampions(vault: VaultAccess, source: BlockSource, itemId: string): Promise<Champion[]> {
  const others = await otherItems(vault, itemId);
  const hooks = others.length === 0 ? new Set<string>() : await sampleHooks(vault, source);
  if (hooks.size === 0) return [];
  const scored: { champion: Champion; votes: number }[] = [];
  for (const other of others) {
    const manifest = (await latestCommitted(vault, other))?.manifest;
    for (const disk of manifest?.disks ?? []) {
      const votes = await countVotes(vault, disk, hooks);
      const { root } = diskTree(disk);
      if (root && votes >= MIN_VOTES) scored.push({ champion: { id: (manifest as Manifest).id, root: refToJson(root), diskBytes: disk.sizeBytes }, votes });
    }
  }
  return scored.sort((a, b) => b.votes - a.votes).slice(0, MAX_CHAMPIONS).map(({ champion }) => champion);
}

async function otherItems(vault: VaultAccess, itemId: string): Promise<string[]> {
  const items: string[] = [];
  for await (const item of itemIds(vault)) {
    if (items.length === MAX_CANDIDATES) break;
    if (item !== itemId) items.push(item);
  }
  return items;
}

async function countVotes(vault: VaultAccess, disk: Manifest['disks'][number], hooks: ReadonlySet<string>): Promise<number> {
  let votes = 0;
  for await (const region of regionsOf(vault, diskTree(disk))) {
    for (const [prefix] of await loadHooks(vault, region)) if (hooks.has(prefix)) votes++;
  }
  return votes;
}

async function sampleHooks(vault: VaultAccess, source: BlockSource): Promise<Set<string>> {
  const hooks = new Set<string>();
  const places = Math.min(SAMPLES, Math.ceil(source.sizeBytes / SAMPLE_BYTES));
  const buffer = Buffer.allocUnsafe(SAMPLE_BYTES);
  for (let place = 0; place < places; place++) {
    const at = Math.floor((source.sizeBytes / places) * place / BLOCK_BYTES) * BLOCK_BYTES;
    const length = Math.floor(Math.min(SAMPLE_BYTES, source.sizeBytes - at) / BLOCK_BYTES) * BLOCK_BYTES;
    if (length === 0) continue;
    const bytes = buffer.subarray(0, length);
    await source.readInto(bytes, at);
    // Cutting begins at the place and not at a boundary, but falls into step with the disk's own chunks after a cut or two.
    const cutter = new ChunkCutter(vault.keys.cutSeed);
    let start = 0;
    for (let block = 0; block < length; block += BLOCK_BYTES) {
      cutter.next(bytes.subarray(block, block + BLOCK_BYTES), ({ blocks, zero }) => {
        const end = start + blocks * BLOCK_BYTES;
        const id = zero ? null : blobId(vault.keys, bytes.subarray(start, end));
        if (id && isHook(id)) hooks.add(hookKey(id));
        start = end;
      });
    }
  }
  return hooks;
}
