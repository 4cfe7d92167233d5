import { createHash } from 'node:crypto';
import { blobId } from '../vault/blob';
import { BLOCK_BYTES, REGION_WINDOWS, WINDOW_BYTES } from '../vault/format';
import { fromBitmap } from '../orchestrations/bitmap';
import { refFromJson } from '../vault/ref-json';
import { loadLeaf, loadRoot, type VaultAccess } from '../vault/tree';
import { regionOf } from '../vault/backup-disk';
import { windowBlocks, windowCount } from '../vault/window-blocks';
import type { LeafEntry } from '../vault/nodes';
import type { BlockSource } from '../vault/block-source';
import type { AccessUrl } from './cloud';
import type { ActivityDeps } from './deps';
import { ACCESS_SECONDS } from './disk-access';
import { activity } from './outcome';
import type { AuditDiskResult, DiskInput } from './types';
import { assertRunOpen, auditSchema, diskDoneSchema, type DiskPlan, diskPlanSchema, recall, records, regionPlanSchema, remember } from './work';

/** Places that are read on each run: enough that a diff which misses a tenth of the disk escapes once in thirty runs or less. */
const SAMPLES = 32;
const ZERO_SAMPLE_BLOCKS = 16;

/**
 * Step 5: reads a seeded sample of what the diff calls unchanged from the new snapshot and compares it with the parent's content (fault 25).
 * Windows that were read whole need no audit, so disks that were compared or are new have none.
 */
export const createAuditDisk = (deps: ActivityDeps) => activity(async (input: DiskInput): Promise<AuditDiskResult> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, input, deps.nowMs());
  const disk = await recall(vault, records.diskPlan(input), diskPlanSchema);
  if (disk.mode !== 'incremental') return { samples: 0, mismatches: 0 };
  const audit = await remember(vault, records.audit(input), auditSchema, async () => {
    const grant = (): Promise<AccessUrl> => deps.cloud.grantRead(disk.handle, ACCESS_SECONDS);
    const source = deps.openSnapshotSource(await grant(), grant);
    try {
      return { version: 1 as const, ...await compareSamples(vault, input, disk, source) };
    } finally {
      await source.close();
    }
  });
  if (audit.mismatches > 0) deps.log('The audit found changes that the diff had missed', { item: input.itemId, disk: input.disk, mismatches: audit.mismatches });
  return { samples: audit.samples, mismatches: audit.mismatches };
});

async function compareSamples(vault: VaultAccess, input: DiskInput, disk: DiskPlan, source: BlockSource): Promise<{ samples: number; mismatches: number }> {
  const done = await recall(vault, records.diskDone(input), diskDoneSchema);
  const root = await loadRoot(vault, { root: done.root && refFromJson(done.root), sizeBytes: disk.sizeBytes });
  const changed = await changedWindows(vault, input, disk);
  const random = seededRandom(`${vault.keys.vaultId.toString('hex')}:${input.itemId}:${input.stamp}:${input.disk}`);
  let samples = 0;
  let mismatches = 0;
  // Twice as many draws as samples: a draw that falls into a window that was read just now says nothing.
  for (let draw = 0; draw < SAMPLES * 2 && samples < SAMPLES; draw++) {
    const window = Math.floor(random() * windowCount(disk.sizeBytes));
    if (changed.has(window)) continue;
    const region = Math.floor(window / REGION_WINDOWS);
    const leafRef = (await regionOf(vault, root, region))?.children.get(window % REGION_WINDOWS);
    const blocks = windowBlocks(disk.sizeBytes, window);
    const entries: readonly LeafEntry[] = leafRef ? (await loadLeaf(vault, leafRef, window, disk.sizeBytes)).entries : [{ blocks, chunk: null }];
    const block = Math.floor(random() * blocks);
    const place = entryAt(entries, block);
    // A chunk is proved whole. Zeros may run over a whole window: of those, what lies at the drawn block is read.
    const { start, blocks: readBlocks } = place.entry.chunk ? { start: place.start, blocks: place.entry.blocks }
      : { start: block, blocks: Math.min(ZERO_SAMPLE_BLOCKS, place.start + place.entry.blocks - block) };
    const plain = await readPadded(source, window * WINDOW_BYTES + start * BLOCK_BYTES, readBlocks * BLOCK_BYTES);
    samples++;
    const same = place.entry.chunk ? blobId(vault.keys, plain).equals(place.entry.chunk.id) : plain.equals(Buffer.alloc(plain.length));
    if (!same) mismatches++;
  }
  return { samples, mismatches };
}

async function changedWindows(vault: VaultAccess, input: DiskInput, disk: DiskPlan): Promise<Set<number>> {
  const changed = new Set<number>();
  for (const region of fromBitmap(disk.regions)) {
    const plan = await recall(vault, records.regionPlan({ ...input, region }), regionPlanSchema);
    for (const window of fromBitmap(plan.windows)) changed.add(region * REGION_WINDOWS + window);
  }
  return changed;
}

function entryAt(entries: readonly LeafEntry[], block: number): { entry: LeafEntry; start: number } {
  let start = 0;
  for (const entry of entries) {
    if (block < start + entry.blocks) return { entry, start };
    start += entry.blocks;
  }
  throw new RangeError(`Block ${block} is beyond the window`);
}

async function readPadded(source: BlockSource, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  await source.readInto(buffer.subarray(0, Math.min(length, source.sizeBytes - offset)), offset);
  return buffer;
}

/** Numbers in [0, 1) that follow from the seed: the same sample when the step runs again. */
function seededRandom(seed: string): () => number {
  let counter = 0;
  return () => createHash('sha256').update(`${seed}:${counter++}`).digest().readUInt32LE(0) / 2 ** 32;
}
