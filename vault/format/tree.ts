import { HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import { isDamage } from '../proof/damage';
import type { BlobRef } from './blob';
import { BlobKind, HOOK_PREFIX_BYTES, HOOKS_MAGIC, FORMAT_VERSION, NODE_LIMIT_BYTES, PackKind, REGION_WINDOWS } from './format';
import type { VaultKeys } from '../keys/keys';
import { decodeInner, decodeLeaf, type InnerNode, type Leaf } from './nodes';
import { fetchBlob } from './pack-reader';
import type { Store } from '../store/store';
import { windowBlocks } from '../transfer/window-blocks';

/** What reading a vault takes. */
export interface VaultAccess {
  readonly store: Store;
  readonly keys: VaultKeys;
}

/** A disk's tree within a recovery point. `root` is null for a disk of zeros. */
export interface DiskTree {
  readonly root: BlobRef | null;
  readonly sizeBytes: number;
}

const fetchNode = (vault: VaultAccess, ref: BlobRef): Promise<Buffer> =>
  fetchBlob(vault.store, vault.keys, PackKind.meta, BlobKind.node, ref, NODE_LIMIT_BYTES);

/** Reads a node and decodes it; damage that the decoder finds names the pack that the node lies in. */
async function loadNode<T>(vault: VaultAccess, ref: BlobRef, decode: (bytes: Buffer) => T): Promise<T> {
  const bytes = await fetchNode(vault, ref);
  try {
    return decode(bytes);
  } catch (error) {
    if (isHoldfastError(error, 'NODE_DAMAGED')) throw new HoldfastError('NODE_DAMAGED', error.message, { cause: error, data: { ...error.data, pack: ref.pack } });
    throw error;
  }
}

export async function loadRoot(vault: VaultAccess, tree: DiskTree): Promise<InnerNode | null> {
  return tree.root && loadNode(vault, tree.root, (bytes) => decodeInner(bytes, 2, 0, tree.sizeBytes));
}

export async function loadRegion(vault: VaultAccess, ref: BlobRef, region: number, diskBytes: number): Promise<InnerNode> {
  return loadNode(vault, ref, (bytes) => decodeInner(bytes, 1, region, diskBytes));
}

export async function loadLeaf(vault: VaultAccess, ref: BlobRef, window: number, diskBytes: number): Promise<Leaf> {
  return loadNode(vault, ref, (bytes) => decodeLeaf(bytes, window, windowBlocks(diskBytes, window)));
}

/** Every region of a disk that is not all zeros, in order. */
export async function* regionsOf(vault: VaultAccess, tree: DiskTree): AsyncGenerator<InnerNode> {
  const root = await loadRoot(vault, tree);
  for (const [region, ref] of root?.children ?? []) yield await loadRegion(vault, ref, region, tree.sizeBytes);
}

/** References to the leaves of a region by window of the disk. */
export const leafRefs = (region: InnerNode): [window: number, ref: BlobRef][] =>
  [...region.children].map(([number, ref]) => [region.index * REGION_WINDOWS + number, ref]);

/** Prefix of a hook (one character a byte) and the number of its window within the region. */
export type HookRow = readonly [prefix: string, window: number];

const HOOK_ROW_BYTES = HOOK_PREFIX_BYTES + 2;

export function encodeHooks(rows: readonly HookRow[]): Buffer {
  const target = Buffer.alloc(12 + rows.length * HOOK_ROW_BYTES);
  HOOKS_MAGIC.copy(target);
  target.writeUInt8(FORMAT_VERSION, 4);
  target.writeUInt32LE(rows.length, 8);
  [...rows].sort(([a, w], [b, v]) => (a < b ? -1 : a > b ? 1 : w - v)).forEach(([prefix, window], index) => {
    target.write(prefix, 12 + index * HOOK_ROW_BYTES, 'latin1');
    target.writeUInt16LE(window, 12 + index * HOOK_ROW_BYTES + HOOK_PREFIX_BYTES);
  });
  return target;
}

export function decodeHooks(bytes: Buffer): HookRow[] {
  if (bytes.length < 12 || !bytes.subarray(0, 4).equals(HOOKS_MAGIC)) throw new HoldfastError('NODE_DAMAGED', 'The hooks do not start as they should');
  if (bytes[4] !== FORMAT_VERSION) throw new HoldfastError('VAULT_NEWER_FORMAT', `The hooks have version ${bytes[4]}`);
  const count = bytes.readUInt32LE(8);
  if (bytes.length !== 12 + count * HOOK_ROW_BYTES) throw new HoldfastError('NODE_DAMAGED', `The hooks have ${bytes.length} bytes for ${count} rows`);
  return Array.from({ length: count }, (_, index) => {
    const at = 12 + index * HOOK_ROW_BYTES;
    return [bytes.toString('latin1', at, at + HOOK_PREFIX_BYTES), bytes.readUInt16LE(at + HOOK_PREFIX_BYTES)] as const;
  });
}

/** A region's hooks. They are hints: damaged or missing ones are none, and cost only space. */
export async function loadHooks(vault: VaultAccess, region: InnerNode): Promise<HookRow[]> {
  if (!region.hooks) return [];
  try {
    return decodeHooks(await fetchBlob(vault.store, vault.keys, PackKind.meta, BlobKind.hooks, region.hooks, NODE_LIMIT_BYTES));
  } catch (error) {
    if (isDamage(error)) return [];
    throw error;
  }
}
