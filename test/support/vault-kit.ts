import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { BlobRef } from '../../vault/format/blob';
import { backupDisk, type BackupDiskOutcome } from '../../vault/transfer/backup-disk';
import type { BlockSink } from '../../vault/transfer/block-sink';
import type { BlockSource, DiskRange } from '../../vault/transfer/block-source';
import { damagedPacks, recordDamage } from '../../vault/proof/damage-ledger';
import { BLOCK_BYTES, WINDOW_BLOCKS } from '../../vault/format/format';
import { deriveVaultKeys, type VaultKeys } from '../../vault/keys/keys';
import { withLanes } from '../../vault/transfer/lanes';
import { type ParentSurvey, surveyParent } from '../../vault/transfer/parent-survey';
import { readDisk } from '../../vault/transfer/read-disk';
import { refToJson } from '../../vault/format/ref-json';
import { type ReferencesPlace, referencesFolder, type TreeHistory, treeHistory, type TreeParent } from '../../vault/points/references';
import { createMemoryStore } from '../../vault/store/memory-store';
import type { Store } from '../../vault/store/store';
import type { TransferFactory } from '../../vault/transfer/transfer-factory';
import type { Lane } from '../../vault/transfer/transfer-lane';
import type { DiskTree, VaultAccess } from '../../vault/format/tree';

export const START_MS = Date.UTC(2026, 10, 23, 1, 0, 0);

/** Keys that are the same on every run, so that a seed that failed fails again. */
export const testKeys = (fill = 7): VaultKeys => deriveVaultKeys(Buffer.alloc(16, fill), Buffer.alloc(32, fill + 1));

export const makeVault = (store: Store = createMemoryStore(), keys = testKeys()): VaultAccess => ({ store, keys });

/** Bytes that look random and are the same for the same seed. */
export function noise(bytes: number, seed: number): Buffer {
  const words = new Int32Array(Math.ceil(bytes / 4));
  let state = (seed * 2654435761 + 12345) | 1;
  for (let at = 0; at < words.length; at++) {
    // The steps of a 32-bit xorshift generator (Marsaglia, 2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return Buffer.from(words.buffer, 0, bytes);
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** A disk in memory that holds only the blocks that were written: as large as a test likes. Source and sink in one. */
export class SparseDisk implements BlockSource, BlockSink {
  readBytes = 0;
  onRead: (offset: number) => Promise<void> | void = () => undefined;
  constructor(public sizeBytes: number, readonly blocks = new Map<number, Buffer>()) {}

  snapshot(): SparseDisk { return new SparseDisk(this.sizeBytes, new Map(this.blocks)); }

  write(data: Buffer, offset: number): Promise<void> {
    assert.ok(offset + data.length <= this.sizeBytes, `a write of ${data.length} bytes at ${offset} beyond the end, ${this.sizeBytes}`);
    for (let done = 0; done < data.length;) {
      const [block, within] = [Math.floor((offset + done) / BLOCK_BYTES), (offset + done) % BLOCK_BYTES];
      const part = Math.min(BLOCK_BYTES - within, data.length - done);
      const next = Buffer.from(this.blocks.get(block) ?? ZEROS);
      data.copy(next, within, done, done + part);
      if (next.equals(ZEROS)) this.blocks.delete(block); else this.blocks.set(block, next);
      done += part;
    }
    return Promise.resolve();
  }

  async readInto(buffer: Buffer, offset: number): Promise<void> {
    await this.onRead(offset);
    assert.ok(offset >= 0 && offset + buffer.length <= this.sizeBytes, `a read of ${buffer.length} bytes at ${offset} beyond the end, ${this.sizeBytes}`);
    this.readBytes += buffer.length;
    for (let done = 0; done < buffer.length;) {
      const [block, within] = [Math.floor((offset + done) / BLOCK_BYTES), (offset + done) % BLOCK_BYTES];
      const part = Math.min(BLOCK_BYTES - within, buffer.length - done);
      (this.blocks.get(block) ?? ZEROS).copy(buffer, done, within, within + part);
      done += part;
    }
  }

  resize(sizeBytes: number): void {
    const size = Math.min(sizeBytes, this.sizeBytes);
    this.sizeBytes = sizeBytes;
    for (const [block, data] of [...this.blocks]) {
      const keep = Math.max(0, Math.min(BLOCK_BYTES, size - block * BLOCK_BYTES));
      if (keep === BLOCK_BYTES) continue;
      const next = Buffer.concat([data.subarray(0, keep), Buffer.alloc(BLOCK_BYTES - keep)]);
      if (keep === 0 || next.equals(ZEROS)) this.blocks.delete(block); else this.blocks.set(block, next);
    }
  }

  verifyUnchanged(): Promise<void> { return Promise.resolve(); }
  close(): Promise<void> { return Promise.resolve(); }
}

export function assertSameDisk(got: SparseDisk, want: SparseDisk, what: string): void {
  assert.equal(got.sizeBytes, want.sizeBytes, what);
  for (const block of new Set([...got.blocks.keys(), ...want.blocks.keys()])) {
    assert.ok((got.blocks.get(block) ?? ZEROS).equals(want.blocks.get(block) ?? ZEROS), `${what}: block ${block} differs`);
  }
}

const things = new Map<number, unknown>();
let lastThing = 0;
/** Lends an object to the factory below under a number, since a spec has to survive postMessage. */
export const lend = (thing: unknown): { id: number } => {
  things.set(++lastThing, thing);
  return { id: lastThing };
};
const borrowed = (spec: Readonly<Record<string, unknown>>): unknown => things.get(spec.id as number);

export const transferFactory: TransferFactory = {
  openStore: (spec) => Promise.resolve(borrowed(spec) as Store),
  openSource: (spec) => Promise.resolve(borrowed(spec) as BlockSource),
  openSink: (spec) => Promise.resolve(borrowed(spec) as BlockSink),
};

export interface Plan {
  readonly source?: BlockSource; readonly sink?: BlockSink; readonly champions?: readonly DiskTree[]; readonly collectDamage?: boolean;
  readonly avoid?: readonly string[]; readonly forward?: readonly string[];
}

/** Runs `use` with one lane in this thread. */
export function withLane<T>(vault: VaultAccess, plan: Plan, use: (lanes: readonly Lane[]) => Promise<T>): Promise<T> {
  return withLanes({
    factory: __filename, store: lend(vault.store), keys: vault.keys, threads: 0, collectDamage: plan.collectDamage ?? false, avoid: plan.avoid ?? [], forward: plan.forward ?? [],
    ...(plan.source ? { source: lend(plan.source) } : {}), ...(plan.sink ? { sink: lend(plan.sink) } : {}),
    champions: (plan.champions ?? []).flatMap(({ root, sizeBytes }) => (root ? [{ root: refToJson(root), diskBytes: sizeBytes }] : [])),
  }, use);
}

let runs = 0;
export interface Backup extends BackupDiskOutcome { readonly tree: DiskTree; readonly folder: string; readonly history: TreeHistory; readonly survey: ParentSurvey | undefined }
export interface BackupOptions {
  readonly parent?: DiskTree | null; readonly changed?: readonly DiskRange[] | null; readonly champions?: readonly DiskTree[]; readonly folder?: string; readonly from?: TreeParent | undefined; readonly lineage?: string; readonly signal?: AbortSignal;
  /** Looks the parent over as a backup does: heals what the ledger speaks of, copies sparse packs forward. */
  readonly lookOver?: { readonly turn?: number; readonly lenders?: readonly string[]; readonly thorough?: boolean };
}

export async function backUp(vault: VaultAccess, disk: SparseDisk, options: BackupOptions = {}): Promise<Backup> {
  const folder = options.folder ?? referencesFolder({ itemId: 'kit', sequence: ++runs }, 0);
  const how = options.lookOver;
  const survey = how && options.parent ? await surveyParent(vault, options.parent, { avoid: await damagedPacks(vault), turn: 0, lenders: [], thorough: false, ...how }) : undefined;
  await recordDamage(vault, survey?.found ?? [], { by: 'backup', nowMs: START_MS });
  const parent = survey?.usable === false ? null : options.parent ?? null;
  const champions = survey?.usable === false && options.parent ? [options.parent] : options.champions ?? [];
  const place: ReferencesPlace = { folder, lineage: options.from?.lineage ?? options.lineage ?? `${Number(folder.split('/')[2])}.0`, parentSequence: options.from?.sequence ?? null };
  const outcome = await withLane(vault, { source: disk, champions, avoid: survey?.avoid ?? [], forward: survey?.forward ?? [] }, (lanes) => backupDisk(vault, lanes, {
    sizeBytes: disk.sizeBytes, parent, survey, nowMs: START_MS, changed: options.changed ?? null, references: place, ...(options.signal ? { signal: options.signal } : {}),
  }));
  return { ...outcome, folder, survey, history: treeHistory(place, outcome.records), tree: { root: outcome.root, sizeBytes: disk.sizeBytes } };
}

export async function readBack(vault: VaultAccess, tree: DiskTree): Promise<SparseDisk> {
  const sink = new SparseDisk(tree.sizeBytes);
  await withLane(vault, { sink }, (lanes) => readDisk(vault, lanes, tree));
  return sink;
}

export async function assertRestores(vault: VaultAccess, tree: DiskTree, want: SparseDisk, what = 'restored'): Promise<void> {
  assertSameDisk(await readBack(vault, tree), want, what);
}

export const refOf = (pack: string, id = Buffer.alloc(32, 1), offset = 48, length = 100): BlobRef => ({ id, pack, offset, length });

/** One kind of block of the disks in tests: some repeat, some are noise, some are text, some end a chunk. */
export const contentArbitrary = fc.oneof(
  fc.nat(3).map((seed) => ({ kind: 'repeated' as const, seed })),
  fc.nat(1000).map((seed) => ({ kind: 'noise' as const, seed })),
  fc.nat(1000).map((seed) => ({ kind: 'text' as const, seed })),
);
export type Content = { readonly kind: 'repeated' | 'noise' | 'text'; readonly seed: number };

export function contentBytes(content: Content, bytes: number): Buffer {
  if (content.kind === 'noise') return noise(bytes, content.seed + 100);
  if (content.kind === 'text') return Buffer.alloc(bytes, `line ${content.seed} of a file that packs well\n`);
  const one = noise(BLOCK_BYTES, content.seed);
  return Buffer.concat(Array.from({ length: Math.ceil(bytes / BLOCK_BYTES) }, () => one)).subarray(0, bytes);
}

/** Writes of whole blocks into a disk of a window and 50 blocks more; null is zeros. */
export interface DiskWrite { readonly block: number; readonly blocks: number; readonly content: Content | null }
export const diskWriteArbitrary: fc.Arbitrary<DiskWrite> = fc.record({ block: fc.nat(WINDOW_BLOCKS + 40), blocks: fc.integer({ min: 1, max: 60 }), content: fc.option(contentArbitrary, { nil: null }) });

/** Does the writes; the bytes that they covered. */
export async function applyWrites(disk: SparseDisk, writes: readonly DiskWrite[]): Promise<number> {
  let written = 0;
  for (const { block, blocks, content } of writes) {
    const length = Math.min(blocks * BLOCK_BYTES, disk.sizeBytes - block * BLOCK_BYTES);
    await disk.write(content ? contentBytes(content, length) : Buffer.alloc(length), block * BLOCK_BYTES);
    written += length;
  }
  return written;
}
