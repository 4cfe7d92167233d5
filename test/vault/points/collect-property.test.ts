import assert from 'node:assert/strict';
import fc from 'fast-check';
import { listRecoveryPoints } from '../../../vault/catalog';
import { BLOCK_BYTES } from '../../../vault/format/format';
import { noise, SparseDisk } from '../../support/vault-kit';
import { type BackupFate, DAY_MS, OLD_MS, VaultLife } from '../../support/vault-life';

type Op =
  | { readonly kind: 'backup'; readonly item: number; readonly fate: BackupFate; readonly write: number; readonly seed: number }
  | { readonly kind: 'delete' | 'undelete'; readonly which: number }
  | { readonly kind: 'addDisk' | 'dropDisk' | 'resize'; readonly item: number; readonly size: number }
  | { readonly kind: 'wait'; readonly days: number }
  | { readonly kind: 'collect' };

const ITEMS = ['alpha', 'beta'];
const MAX_BLOCKS = 120;

const fate: fc.Arbitrary<BackupFate> = fc.record({
  end: fc.constantFrom('committed', 'committed', 'committed', 'committed', 'abandoned', 'cut off', 'sealed'),
  full: fc.nat(9).map((n) => n === 0), secondPass: fc.nat(7).map((n) => n === 0),
});
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('backup' as const), item: fc.nat(1), fate, write: fc.nat(MAX_BLOCKS - 1), seed: fc.nat(8) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('delete' as const), which: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('undelete' as const), which: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('addDisk' as const, 'dropDisk' as const, 'resize' as const), item: fc.nat(1), size: fc.integer({ min: 5, max: MAX_BLOCKS }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), days: fc.constantFrom(1, 3, 15) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'collect' as const }) },
);

async function apply(life: VaultLife, step: Op): Promise<void> {
  switch (step.kind) {
    case 'backup': {
      const item = ITEMS[step.item] as string;
      const disks = life.disksOf(item);
      if (disks.size === 0) disks.set('d0', new SparseDisk(MAX_BLOCKS * BLOCK_BYTES));
      const disk = [...disks.values()][step.seed % disks.size] as SparseDisk;
      const at = Math.min(step.write * BLOCK_BYTES, Math.max(0, disk.sizeBytes - BLOCK_BYTES));
      const length = Math.min(30 * BLOCK_BYTES, disk.sizeBytes - at);
      // A seed of 0 clears, so that disks of zeros come up too; the same seed gives the same content, for another item to take over.
      await disk.write(step.seed === 0 ? Buffer.alloc(length) : noise(length, step.seed), at);
      await life.backup(item, step.fate);
      break;
    }
    case 'delete': case 'undelete': {
      const { points } = await listRecoveryPoints(life.vault, undefined, { deleted: true });
      const wanted = points.filter(({ marks }) => (marks.state === 'live') === (step.kind === 'delete'));
      const point = wanted[step.which % Math.max(1, wanted.length)];
      if (point) await life[step.kind](point.manifest.id);
      break;
    }
    case 'addDisk': {
      const disks = life.disksOf(ITEMS[step.item] as string);
      if (disks.size < 3) disks.set(`d${step.size}`, new SparseDisk(step.size * BLOCK_BYTES));
      break;
    }
    case 'dropDisk': {
      const disks = life.disksOf(ITEMS[step.item] as string);
      if (disks.size > 1) disks.delete([...disks.keys()][step.size % disks.size] as string);
      break;
    }
    case 'resize': [...life.disksOf(ITEMS[step.item] as string).values()][0]?.resize(step.size * BLOCK_BYTES - 512); break;
    case 'wait': life.nowMs += step.days * DAY_MS; break;
    case 'collect':
      await life.collect();
      await life.assertExact('a collection in between', false);
  }
  life.nowMs += 60_000;
}

describe('collection, as a property', () => {
  it('of any history (resizes, disks that come and go, runs that are given up, second passes, deletions, branches, chunks of other items) it leaves exactly what every tree from scratch needs', async () => {
    await fc.assert(fc.asyncProperty(fc.array(op, { minLength: 3, maxLength: 22 }), async (ops) => {
      const life = new VaultLife();
      for (const step of ops) await apply(life, step);
      life.nowMs += OLD_MS;
      const planned = await life.collect({ dryRun: true });
      await life.assertExact('a dry run', false);
      const first = await life.collect();
      // A dry run commits nothing, so a sealed run is an open one to it, and it plans less.
      if (planned.runs.settled.every(({ outcome }) => outcome === 'abandoned')) assert.deepEqual([first.plan.token, first.deleted.packs], [planned.plan.token, planned.plan.unneeded.packs], 'what is done is the plan');
      // What the first one purged is needed until nobody who was at work then can be at work any more.
      life.nowMs += 1000;
      await life.collect();
      await life.assertExact();
      await life.assertWhole();
      assert.equal((await life.collect()).deleted.packs, 0);
    }), { numRuns: 25 });
  });
});
