import { HoldfastError } from '../../errors/holdfast-error';
import { type BlobRef, blobId } from './blob';
import { BlobKind, NODE_LIMIT_BYTES, REGION_WINDOWS } from './format';
import type { VaultKeys } from '../keys/keys';
import { encodeInner, type InnerNode, type PackUsage } from './nodes';
import type { PackWriter } from './pack-writer';
import { encodeHooks, type HookRow } from './tree';
import type { UsageDelta } from '../transfer/transfer-types';

/** What a finished window hands to its region; see WindowResult. */
export interface WindowChange {
  readonly window: number;
  readonly leaf: BlobRef | 'same' | null;
  readonly hooks: readonly string[];
}

/** Packs that a node refers to and its parent's did not, and the other way round (format §8.3). */
export interface References {
  readonly data: { readonly taken: readonly string[]; readonly given: readonly string[] };
  readonly meta: { readonly taken: readonly string[]; readonly given: readonly string[] };
}

export interface BuiltNode {
  /** null when everything below is zeros, 'same' when nothing changed. */
  readonly ref: BlobRef | 'same' | null;
  readonly references: References;
}

const NO_REFERENCES: References = { data: { taken: [], given: [] }, meta: { taken: [], given: [] } };

export interface RegionInput {
  readonly index: number;
  readonly diskBytes: number;
  readonly parent: InnerNode | null;
  readonly parentHooks: readonly HookRow[];
  /** Usage that the windows' deltas count from, where it is not the parent's: a leaf of the parent could not be read. */
  readonly usageBefore?: ReadonlyMap<string, PackUsage> | undefined;
  /** True when the tree is built anew: only what `changes` name is in it, and the parent serves for comparing. */
  readonly fresh: boolean;
  readonly changes: readonly WindowChange[];
  readonly usage: readonly UsageDelta[];
}

/** Copies the path through a region: the parent's leaves with the changed ones in their place. */
export async function buildRegion(keys: VaultKeys, metaPacks: PackWriter, input: RegionInput): Promise<BuiltNode> {
  const { index, diskBytes, parent, fresh, changes } = input;
  const children = new Map(fresh ? [] : parent?.children ?? []);
  let changed = fresh;
  for (const { window, leaf } of changes) {
    const number = window - index * REGION_WINDOWS;
    if (number < 0 || number >= REGION_WINDOWS) throw new HoldfastError('INTERNAL', `Window ${window} is not of region ${index}`);
    if (leaf === 'same') {
      const kept = parent?.children.get(number);
      if (!kept) throw new HoldfastError('INTERNAL', `Window ${window} is called unchanged, but its parent has no leaf`);
      children.set(number, kept);
      continue;
    }
    changed ||= leaf !== null || children.has(number);
    if (leaf) children.set(number, leaf); else children.delete(number);
  }
  if (!changed) return { ref: children.size === 0 ? null : 'same', references: NO_REFERENCES };
  const usage = applyUsage(index, fresh ? new Map() : input.usageBefore ?? parent?.usage ?? new Map(), input.usage);
  let node: InnerNode | null = null;
  if (children.size > 0) {
    const hooks = await writeHooks(keys, metaPacks, index, fresh ? [] : input.parentHooks, changes);
    node = { level: 1, index, diskBytes, hooks, children, usage };
  }
  const ref = node && await writeNode(keys, metaPacks, node);
  return { ref, references: { data: difference(new Set(parent?.usage.keys()), new Set(node?.usage.keys())), meta: difference(metaOf(parent), metaOf(node)) } };
}

/** Copies the path through the root. `regions` has the changed ones only. */
export async function buildRoot(
  keys: VaultKeys, metaPacks: PackWriter, diskBytes: number, parent: { readonly node: InnerNode; readonly ref: BlobRef } | null,
  regions: ReadonlyMap<number, BlobRef | 'same' | null>,
): Promise<BuiltNode> {
  const fresh = parent !== null && parent.node.diskBytes !== diskBytes;
  const children = new Map(fresh ? [] : parent?.node.children ?? []);
  let changed = fresh;
  for (const [index, ref] of regions) {
    if (ref === 'same') continue;
    changed ||= ref !== null || children.has(index);
    if (ref) children.set(index, ref); else children.delete(index);
  }
  if (!changed) return { ref: children.size === 0 ? null : 'same', references: NO_REFERENCES };
  const node: InnerNode | null = children.size === 0 ? null : { level: 2, index: 0, diskBytes, hooks: null, children, usage: new Map() };
  const ref = node && await writeNode(keys, metaPacks, node);
  const before = metaOf(parent?.node ?? null);
  if (parent) before.add(parent.ref.pack);
  const after = metaOf(node);
  if (ref) after.add(ref.pack);
  return { ref, references: { ...NO_REFERENCES, meta: difference(before, after) } };
}

function writeNode(keys: VaultKeys, metaPacks: PackWriter, node: InnerNode): Promise<BlobRef> {
  const plain = encodeInner(node);
  if (plain.length > NODE_LIMIT_BYTES) throw new HoldfastError('INTERNAL', `The node of region ${node.index} would have ${plain.length} bytes, more than readers take`);
  return metaPacks.add(BlobKind.node, blobId(keys, plain), plain);
}

async function writeHooks(keys: VaultKeys, metaPacks: PackWriter, index: number, parentHooks: readonly HookRow[], changes: readonly WindowChange[]): Promise<BlobRef | null> {
  const done = new Set(changes.map(({ window }) => window - index * REGION_WINDOWS));
  const rows = [
    ...parentHooks.filter(([, window]) => !done.has(window)),
    ...changes.flatMap(({ window, hooks }) => hooks.map((prefix): HookRow => [prefix, window - index * REGION_WINDOWS])),
  ];
  if (rows.length === 0) return null;
  const plain = encodeHooks(rows);
  return metaPacks.add(BlobKind.hooks, blobId(keys, plain), plain);
}

function applyUsage(index: number, before: ReadonlyMap<string, PackUsage>, deltas: readonly UsageDelta[]): Map<string, PackUsage> {
  const usage = new Map(before);
  for (const [pack, chunks, bytes] of deltas.flat()) {
    const row = usage.get(pack) ?? { chunks: 0, bytes: 0 };
    usage.set(pack, { chunks: row.chunks + chunks, bytes: row.bytes + bytes });
  }
  for (const [pack, row] of usage) {
    if (row.chunks < 0 || row.bytes < 0 || (row.chunks === 0) !== (row.bytes === 0)) {
      throw new HoldfastError('INTERNAL', `The usage of pack ${pack} by region ${index} would be ${row.chunks} chunks of ${row.bytes} bytes`);
    }
    if (row.chunks === 0) usage.delete(pack);
  }
  return usage;
}

function metaOf(node: InnerNode | null): Set<string> {
  const packs = new Set<string>();
  if (node?.hooks) packs.add(node.hooks.pack);
  for (const ref of node?.children.values() ?? []) packs.add(ref.pack);
  return packs;
}

const difference = (before: ReadonlySet<string>, after: ReadonlySet<string>): { taken: string[]; given: string[] } => ({
  taken: [...after].filter((pack) => !before.has(pack)),
  given: [...before].filter((pack) => !after.has(pack)),
});
