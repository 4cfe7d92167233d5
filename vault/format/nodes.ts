import { HoldfastError } from '../../errors/holdfast-error';
import type { BlobRef } from './blob';
import { BLOB_OVERHEAD_BYTES, BLOCK_BYTES, FORMAT_VERSION, ID_BYTES, INNER_HEADER_BYTES, INNER_MAGIC, LEAF_HEADER_BYTES, LEAF_MAGIC, MAX_CHUNK_BLOCKS, PACK_ID_BYTES, REGION_WINDOWS, ROOT_REGIONS, WINDOW_BLOCKS, ZERO_RUN_PACK } from './format';

/** A run of blocks of a window: a chunk, or zeros when `chunk` is null. */
export interface LeafEntry {
  readonly blocks: number;
  readonly chunk: BlobRef | null;
}

export interface Leaf {
  readonly window: number;
  readonly entries: readonly LeafEntry[];
}

/** How much of a data pack a region's leaves refer to. */
export interface PackUsage { readonly chunks: number; readonly bytes: number }

export interface InnerNode {
  readonly level: 1 | 2;
  readonly index: number;
  readonly diskBytes: number;
  readonly hooks: BlobRef | null;
  /** By number within the node; a child that is missing is all zeros. */
  readonly children: ReadonlyMap<number, BlobRef>;
  /** By pack id in hex; level 1 only. */
  readonly usage: ReadonlyMap<string, PackUsage>;
}

const ENTRY_BYTES = 12 + ID_BYTES;
const CHILD_BYTES = 16 + ID_BYTES;
const USAGE_BYTES = 16;

const damaged = (what: string, why: string): HoldfastError => new HoldfastError('NODE_DAMAGED', `The ${what} is damaged: ${why}`);

/** Numbers packs in the order in which they are first seen. */
class PackTable {
  readonly packs: string[] = [];
  private readonly indexOf = new Map<string, number>();
  index(pack: string): number {
    const known = this.indexOf.get(pack);
    if (known !== undefined) return known;
    this.indexOf.set(pack, this.packs.length);
    return this.packs.push(pack) - 1;
  }
  write(target: Buffer, at: number): number {
    this.packs.forEach((pack, index) => target.write(pack, at + index * PACK_ID_BYTES, 'hex'));
    return at + this.packs.length * PACK_ID_BYTES;
  }
}

export function encodeLeaf(leaf: Leaf): Buffer {
  const table = new PackTable();
  let bytes = LEAF_HEADER_BYTES;
  for (const entry of leaf.entries) {
    if (entry.chunk) table.index(entry.chunk.pack);
    bytes += entry.chunk ? ENTRY_BYTES : 4;
  }
  if (table.packs.length >= ZERO_RUN_PACK) throw new HoldfastError('INTERNAL', `Window ${leaf.window} refers to ${table.packs.length} packs`);
  const target = Buffer.alloc(bytes + table.packs.length * PACK_ID_BYTES);
  LEAF_MAGIC.copy(target);
  target.writeUInt8(FORMAT_VERSION, 4);
  target.writeUInt16LE(table.packs.length, 6);
  target.writeUInt32LE(leaf.window, 8);
  target.writeUInt32LE(leaf.entries.length, 12);
  let at = table.write(target, LEAF_HEADER_BYTES);
  for (const { blocks, chunk } of leaf.entries) {
    target.writeUInt16LE(blocks, at);
    target.writeUInt16LE(chunk ? table.index(chunk.pack) : ZERO_RUN_PACK, at + 2);
    at += 4;
    if (!chunk) continue;
    target.writeUInt32LE(chunk.offset, at);
    target.writeUInt32LE(chunk.length, at + 4);
    chunk.id.copy(target, at + 8);
    at += ENTRY_BYTES - 4;
  }
  return target;
}

/** Reads a node field by field and refuses to read past its end. */
class NodeReader {
  private at = 0;
  constructor(private readonly bytes: Buffer, private readonly what: string) {}
  take(length: number): Buffer {
    if (this.at + length > this.bytes.length) throw damaged(this.what, `it ends at ${this.bytes.length}, within a field at ${this.at}`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  u16(): number { return this.take(2).readUInt16LE(0); }
  u32(): number { return this.take(4).readUInt32LE(0); }
  u64(): number {
    const value = Number(this.take(8).readBigUInt64LE(0));
    if (!Number.isSafeInteger(value)) throw damaged(this.what, `a size of ${value} is not possible`);
    return value;
  }
  header(magic: Buffer, level: number): void {
    if (!this.take(4).equals(magic)) throw damaged(this.what, 'it does not start as it should');
    const [version, gotLevel] = this.take(2);
    if (version !== FORMAT_VERSION) throw new HoldfastError('VAULT_NEWER_FORMAT', `The ${this.what} has version ${version}; this is version ${FORMAT_VERSION}`);
    if (gotLevel !== level) throw damaged(this.what, `its level is ${gotLevel}, not ${level}`);
  }
  packs(count: number): string[] {
    const bytes = this.take(count * PACK_ID_BYTES);
    return Array.from({ length: count }, (_, index) => bytes.toString('hex', index * PACK_ID_BYTES, (index + 1) * PACK_ID_BYTES));
  }
  pack(packs: readonly string[], index: number): string {
    const pack = packs[index];
    if (pack === undefined) throw damaged(this.what, `it names pack number ${index} of ${packs.length}`);
    return pack;
  }
  end(): void {
    if (this.at !== this.bytes.length) throw damaged(this.what, `${this.bytes.length - this.at} bytes follow its end`);
  }
}

/** `blocks` is how many blocks the window has: WINDOW_BLOCKS, or fewer for the last one of a disk. */
export function decodeLeaf(bytes: Buffer, window: number, blocks: number): Leaf {
  const what = `leaf of window ${window}`;
  const reader = new NodeReader(bytes, what);
  reader.header(LEAF_MAGIC, 0);
  const packCount = reader.u16();
  const gotWindow = reader.u32();
  if (gotWindow !== window) throw damaged(what, `it is of window ${gotWindow}`);
  const entryCount = reader.u32();
  if (entryCount > WINDOW_BLOCKS) throw damaged(what, `it has ${entryCount} entries`);
  const packs = reader.packs(packCount);
  const entries: LeafEntry[] = [];
  let total = 0;
  let afterZeros = false;
  for (let index = 0; index < entryCount; index++) {
    const entryBlocks = reader.u16();
    const packIndex = reader.u16();
    const isZero = packIndex === ZERO_RUN_PACK;
    if (entryBlocks === 0 || (!isZero && entryBlocks > MAX_CHUNK_BLOCKS)) throw damaged(what, `entry ${index} has ${entryBlocks} blocks`);
    if (isZero && afterZeros) throw damaged(what, `entry ${index} is a zero run after another`);
    const chunk = isZero ? null : { pack: reader.pack(packs, packIndex), offset: reader.u32(), length: reader.u32(), id: reader.take(ID_BYTES) };
    if (chunk && (chunk.length <= BLOB_OVERHEAD_BYTES || chunk.length > entryBlocks * BLOCK_BYTES + BLOB_OVERHEAD_BYTES)) throw damaged(what, `entry ${index} has a blob of ${chunk.length} bytes for ${entryBlocks} blocks`);
    entries.push({ blocks: entryBlocks, chunk });
    total += entryBlocks;
    afterZeros = isZero;
  }
  reader.end();
  if (total !== blocks) throw damaged(what, `its entries cover ${total} blocks of ${blocks}`);
  return { window, entries };
}

export function encodeInner(node: InnerNode): Buffer {
  const table = new PackTable();
  if (node.hooks) table.index(node.hooks.pack);
  for (const ref of node.children.values()) table.index(ref.pack);
  for (const pack of node.usage.keys()) table.index(pack);
  const size = INNER_HEADER_BYTES + table.packs.length * PACK_ID_BYTES + (node.hooks ? 12 + ID_BYTES : 0)
    + node.children.size * CHILD_BYTES + node.usage.size * USAGE_BYTES;
  const target = Buffer.alloc(size);
  INNER_MAGIC.copy(target);
  target.writeUInt8(FORMAT_VERSION, 4);
  target.writeUInt8(node.level, 5);
  target.writeUInt32LE(node.index, 8);
  target.writeBigUInt64LE(BigInt(node.diskBytes), 12);
  target.writeUInt32LE(table.packs.length, 20);
  target.writeUInt32LE(node.children.size, 24);
  target.writeUInt32LE(node.usage.size, 28);
  target.writeUInt8(node.hooks ? 1 : 0, 32);
  let at = table.write(target, INNER_HEADER_BYTES);
  const writeRef = (ref: BlobRef): void => {
    target.writeUInt32LE(table.index(ref.pack), at);
    target.writeUInt32LE(ref.offset, at + 4);
    target.writeUInt32LE(ref.length, at + 8);
    ref.id.copy(target, at + 12);
    at += 12 + ID_BYTES;
  };
  if (node.hooks) writeRef(node.hooks);
  for (const [number, ref] of [...node.children].sort(([a], [b]) => a - b)) {
    target.writeUInt32LE(number, at);
    at += 4;
    writeRef(ref);
  }
  for (const [pack, usage] of node.usage) {
    target.writeUInt32LE(table.index(pack), at);
    target.writeUInt32LE(usage.chunks, at + 4);
    target.writeBigUInt64LE(BigInt(usage.bytes), at + 8);
    at += USAGE_BYTES;
  }
  return target;
}

export function decodeInner(bytes: Buffer, level: 1 | 2, index: number, diskBytes: number): InnerNode {
  const what = level === 2 ? 'root' : `node of region ${index}`;
  const reader = new NodeReader(bytes, what);
  reader.header(INNER_MAGIC, level);
  reader.take(2);
  const gotIndex = reader.u32();
  if (gotIndex !== index) throw damaged(what, `it is of region ${gotIndex}`);
  const gotBytes = reader.u64();
  if (gotBytes !== diskBytes) throw damaged(what, `it is of a disk of ${gotBytes} bytes, not ${diskBytes}`);
  const [packCount, childCount, usageCount] = [reader.u32(), reader.u32(), reader.u32()];
  const hasHooks = reader.u32();
  if (hasHooks > 1) throw damaged(what, `its mark for hooks is ${hasHooks}`);
  const packs = reader.packs(packCount);
  const ref = (): BlobRef => ({ pack: reader.pack(packs, reader.u32()), offset: reader.u32(), length: reader.u32(), id: reader.take(ID_BYTES) });
  const hooks = hasHooks === 1 ? ref() : null;
  const children = new Map<number, BlobRef>();
  let last = -1;
  for (let child = 0; child < childCount; child++) {
    const number = reader.u32();
    if (number <= last || number >= (level === 2 ? ROOT_REGIONS : REGION_WINDOWS)) throw damaged(what, `child ${number} after child ${last}`);
    children.set(number, ref());
    last = number;
  }
  const usage = new Map<string, PackUsage>();
  for (let row = 0; row < usageCount; row++) {
    const pack = reader.pack(packs, reader.u32());
    if (usage.has(pack)) throw damaged(what, `it has two rows of usage for pack ${pack}`);
    usage.set(pack, { chunks: reader.u32(), bytes: reader.u64() });
  }
  reader.end();
  return { level, index, diskBytes, hooks, children, usage };
}
