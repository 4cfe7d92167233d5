import type { BlockSink } from './block-sink';
import { BLOCK_BYTES, REGION_WINDOWS, WINDOW_BYTES } from '../format/format';
import { refToJson } from '../format/ref-json';
import { type DiskTree, leafRefs, loadLeaf, loadRegion, loadRoot, type VaultAccess } from '../format/tree';
import { LaneMemory } from './lane-memory';
import { readWindow } from './window-restore';

/** Bytes of a disk from `offset` on. Only the chunks that hold some of them are read, and each is proved: what is damaged throws. The range lies within the disk; memory is its length. */
export async function readRange(vault: VaultAccess, tree: DiskTree, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const end = offset + length;
  const root = await loadRoot(vault, tree);
  const memory = new LaneMemory();
  const sink: BlockSink = {
    write(data, at) {
      const from = Math.max(at, offset);
      const to = Math.min(at + data.length, end);
      if (to > from) data.copy(bytes, from - offset, from - at, to - at);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
  const firstWindow = Math.floor(offset / WINDOW_BYTES);
  const lastWindow = Math.floor((end - 1) / WINDOW_BYTES);
  for (const [number, ref] of root?.children ?? []) {
    if ((number + 1) * REGION_WINDOWS <= firstWindow || number * REGION_WINDOWS > lastWindow) continue;
    for (const [window, leafRef] of leafRefs(await loadRegion(vault, ref, number, tree.sizeBytes))) {
      if (window < firstWindow || window > lastWindow) continue;
      const only = new Set<number>();
      let block = 0;
      for (const { blocks } of (await loadLeaf(vault, leafRef, window, tree.sizeBytes)).entries) {
        const at = window * WINDOW_BYTES + block * BLOCK_BYTES;
        if (at < end && at + blocks * BLOCK_BYTES > offset) only.add(block);
        block += blocks;
      }
      await readWindow(vault, { window, leaf: refToJson(leafRef), diskBytes: tree.sizeBytes }, sink, false, memory, only);
    }
  }
  return bytes;
}
