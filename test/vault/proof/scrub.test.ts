import assert from 'node:assert/strict';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { listItems } from '../../../vault/catalog';
import { listDamage } from '../../../vault/proof/damage-ledger';
import { BLOCK_BYTES, PackKind, WINDOW_BYTES } from '../../../vault/format/format';
import { packName } from '../../../vault/format/pack-names';
import { lastProofOf, proofTimes } from '../../../vault/proof/proofs';
import { referencesFolder } from '../../../vault/points/references';
import { commitRun, latestCommitted, openRun, sealRun } from '../../../vault/run';
import { itemsToScrub, roundStartMs, type ScrubRequest, type ScrubStep, scrubStep } from '../../../vault/proof/scrub';
import { type DiskTree, loadRoot, type VaultAccess } from '../../../vault/format/tree';
import type { Lane } from '../../../vault/transfer/transfer-lane';
import { createFaultStore } from '../../support/fault-store';
import { makeManifest, runRequest } from '../../support/vault-manifests';
import { windowEntries } from '../../support/vault-recount';
import { backUp, makeVault, noise, SparseDisk, START_MS, withLane } from '../../support/vault-kit';

const DAY_MS = 86_400_000;
const WINDOWS = 6;

/** An item with three recovery points of a disk of six windows; each later one changes one window. */
class Item {
  readonly disk = new SparseDisk(WINDOWS * WINDOW_BYTES);
  readonly trees: DiskTree[] = [];
  readonly ids: string[] = [];

  constructor(readonly vault: VaultAccess, readonly itemId: string) {}

  static async make(vault: VaultAccess, itemId: string, points = 3): Promise<Item> {
    const item = new Item(vault, itemId);
    for (let window = 0; window < WINDOWS; window++) await item.disk.write(noise(20 * BLOCK_BYTES, window + 1), window * WINDOW_BYTES);
    for (let point = 0; point < points; point++) await item.backUp(point);
    return item;
  }

  async backUp(point: number): Promise<void> {
    const { disk, vault, itemId } = this;
    if (point > 0) await disk.write(noise(BLOCK_BYTES, 100 + point), point * WINDOW_BYTES);
    const stamp = `2026112${3 + point}T010000Z`;
    const run = await openRun(vault, runRequest(`owner-${point}`, { itemId, stamp, nowMs: START_MS + point * DAY_MS }));
    const parent = this.trees.at(-1);
    const made = await backUp(vault, disk, { folder: referencesFolder(run, 0), ...(parent ? { parent, changed: [{ offset: point * WINDOW_BYTES, length: BLOCK_BYTES }] } : {}) });
    const manifest = makeManifest(run, itemId, made.tree, made.history);
    const before = await latestCommitted(vault, itemId);
    await sealRun(vault, run, { ...manifest, parent: before ? { id: before.manifest.id, sequence: before.manifest.sequence, digest: before.digest } : null });
    await commitRun(vault, run, START_MS + point * DAY_MS);
    this.trees.push(made.tree);
    this.ids.push(manifest.id);
  }
}

const NOW_MS = START_MS + 10 * DAY_MS;
let clock = NOW_MS;

function step(vault: VaultAccess, itemId: string, more: Partial<ScrubRequest> = {}): Promise<ScrubStep> {
  return withLane(vault, { collectDamage: true }, (lanes) => scrubStep(vault, lanes, { itemId, recoveryPoint: null, sinceMs: NOW_MS, maxWindows: 100, by: 'scrub', nowMs: () => ++clock, ...more }));
}

async function scrubAll(vault: VaultAccess, itemId: string, more: Partial<ScrubRequest> = {}): Promise<ScrubStep[]> {
  const steps: ScrubStep[] = [];
  for (;;) {
    const one = await step(vault, itemId, more);
    if (one.done) return steps;
    steps.push(one);
    assert.ok(steps.length < 60, 'the round comes to an end');
  }
}

const bound = (lane: Lane): Lane => ({
  write: (job) => lane.write(job), read: (job) => lane.read(job), compare: (job) => lane.compare(job), assemble: (job) => lane.assemble(job), flush: () => lane.flush(), close: () => lane.close(),
});

/** Spoils one byte of an object, or many. */
async function spoil({ store }: VaultAccess, name: string, only?: number): Promise<void> {
  const bytes = await store.read(name);
  await store.delete(name);
  await store.create(name, Buffer.from(bytes.map((byte, at) => ((only === undefined ? at % 300 === 299 : at === only) ? byte ^ 1 : byte))));
}

describe('a scrub', () => {
  it('proves the newest recovery point whole, of the others only what differs, and then has nothing left to do in this round', async () => {
    const vault = makeVault();
    const item = await Item.make(vault, 'web');
    assert.deepEqual(await itemsToScrub(vault, NOW_MS), ['web']);
    assert.equal((await listItems(vault))[0]?.proved, null, 'never proved');
    const steps = await scrubAll(vault, 'web');
    assert.deepEqual(steps.map(({ recoveryPoint, state, windows }) => [recoveryPoint, state, windows]), [[item.ids[2], 'whole', WINDOWS], [item.ids[1], 'whole', 1], [item.ids[0], 'whole', 1]]);
    assert.deepEqual(await itemsToScrub(vault, NOW_MS), []);
    const [shown] = await listItems(vault);
    assert.deepEqual([shown?.proved?.recoveryPoint, shown?.proved?.ok], [item.ids[2], true]);
    await item.backUp(3);
    assert.deepEqual((await scrubAll(vault, 'web')).map(({ recoveryPoint, windows }) => [recoveryPoint, windows]), [[item.ids[3], 1]], 'a newer one is proved against the one before');
    assert.deepEqual(await itemsToScrub(vault, NOW_MS + 31 * DAY_MS), ['web'], 'the next round begins anew');
  });

  it('goes on where the last step stopped, whatever the size of a step, and reads nothing twice', async () => {
    const vault = makeVault();
    const item = await Item.make(vault, 'web');
    for (const maxWindows of [1, 2, 4, 5]) {
      clock += DAY_MS;
      const steps = await scrubAll(vault, 'web', { maxWindows, sinceMs: clock });
      const ofNewest = steps.filter(({ recoveryPoint }) => recoveryPoint === item.ids[2]);
      assert.deepEqual(ofNewest.map(({ state }) => state), [...Array.from({ length: Math.ceil(WINDOWS / maxWindows) - 1 }, () => 'part'), 'whole']);
      assert.equal(steps.reduce((sum, { windows }) => sum + windows, 0), WINDOWS + 2);
    }
    const times = await proofTimes(vault, 'web');
    assert.equal((await lastProofOf(vault, item.ids[2] as string, times.get(item.ids[2] as string)))?.ok, true);
  });

  it('fault 36: finds damage, lists every recovery point that it touches, and the next backup heals it', async () => {
    const vault = makeVault();
    const item = await Item.make(vault, 'web');
    const pack = (await windowEntries(vault, item.trees[2] as DiskTree)).get(4)?.find(({ chunk }) => chunk)?.chunk?.pack as string;
    await spoil(vault, packName(PackKind.data, pack));
    const steps = await scrubAll(vault, 'web', { maxWindows: 2 });
    const last = new Map(steps.map(({ recoveryPoint, state }) => [recoveryPoint, state]));
    assert.deepEqual([...last], [[item.ids[2], 'damaged'], [item.ids[1], 'damaged'], [item.ids[0], 'damaged']]);
    const [entry, ...more] = await listDamage(vault);
    assert.deepEqual([more.length, entry?.pack, entry?.foundBy, entry?.recoveryPoints], [0, pack, 'scrub', item.ids]);
    assert.equal((await listItems(vault))[0]?.proved?.ok, false);
    const healed = await backUp(vault, item.disk, { parent: item.trees[2] as DiskTree, changed: [], lookOver: {} });
    assert.ok(healed.stats.healedWindows > 0);
  });

  it('reads of a window that differs only the chunks that the proved neighbour does not have, and finds damage in them', async () => {
    const vault = makeVault();
    const item = await Item.make(vault, 'web');
    // The last backup changed the first chunk of the window 2: this is the one before it, which the newest recovery point does not need.
    const own = (await windowEntries(vault, item.trees[1] as DiskTree)).get(2)?.[0];
    const [newest, middle] = await scrubAll(vault, 'web');
    assert.deepEqual([newest?.plainBytes, middle?.plainBytes], [WINDOWS * 20 * BLOCK_BYTES, (own?.blocks ?? 0) * BLOCK_BYTES]);
    await spoil(vault, packName(PackKind.data, own?.chunk?.pack as string), (own?.chunk?.offset ?? 0) + 20);
    clock += DAY_MS;
    const steps = await scrubAll(vault, 'web', { sinceMs: clock });
    assert.deepEqual(steps.map(({ recoveryPoint, state, windows }) => [recoveryPoint, state, windows]), [[item.ids[2], 'whole', WINDOWS], [item.ids[1], 'damaged', 1], [item.ids[0], 'damaged', WINDOWS]]);
    assert.deepEqual((await listDamage(vault))[0]?.recoveryPoints, item.ids, 'the pack is named, and all that need it');
  });

  it('gives a lane that is done the next window, however long another one takes, and ends when it should', async () => {
    const vault = makeVault();
    const many = 20;
    const item = await Item.make(vault, 'web', 0);
    item.disk.resize(many * WINDOW_BYTES);
    for (let window = WINDOWS; window < many; window++) await item.disk.write(noise(BLOCK_BYTES, window), window * WINDOW_BYTES);
    await item.backUp(0);
    let read = 0;
    let release = (): void => undefined;
    const enough = new Promise<void>((resolve) => { release = resolve; });
    const lanesOf = (lane: Lane, wanted: number): Lane[] => {
      /** The first window is not done before so many others are. */
      const slow: Lane = { ...bound(lane), read: async (job) => { const result = await lane.read(job); await enough; return result; } };
      const quick: Lane = { ...bound(lane), read: async (job) => { const result = await lane.read(job); if (++read === wanted) release(); return result; } };
      return [slow, quick];
    };
    const request = { itemId: 'web', recoveryPoint: null, sinceMs: NOW_MS, by: 'scrub', nowMs: () => ++clock } as const;
    const whole = await withLane(vault, { collectDamage: true }, ([lane]) => scrubStep(vault, lanesOf(lane as Lane, many - 1), { ...request, maxWindows: 100 }));
    assert.deepEqual([whole.recoveryPoint, whole.state, whole.windows], [item.ids[0], 'whole', many]);
    clock += DAY_MS;
    let asked = 0;
    const part = await withLane(vault, { collectDamage: true }, (lanes) => scrubStep(vault, lanes, { ...request, sinceMs: clock, maxWindows: 100, isOver: () => ++asked === 3 }));
    assert.deepEqual([part.state, part.windows], ['part', 3]);
  });

  it('fault 36: a damaged node above the windows is damage too, and found again by each step that meets it', async () => {
    const vault = makeVault();
    const item = await Item.make(vault, 'web', 1);
    const region = (await loadRoot(vault, item.trees[0] as DiskTree))?.children.get(0);
    await vault.store.delete(packName(PackKind.meta, region?.pack as string));
    const [only] = await scrubAll(vault, 'web');
    assert.deepEqual([only?.state, only?.damage.map(({ code, windows }) => [code, windows])], ['damaged', [['PACK_MISSING', 0]]]);
  });

  it('fault 38: a manifest that is not what its run sealed, or does not open, is never called whole', async () => {
    const vault = makeVault();
    const item = await Item.make(vault, 'web', 2);
    const names: string[] = [];
    for await (const { name } of vault.store.list('recovery-points/')) names.push(name);
    const bytes = await vault.store.read(names[0] as string);
    await vault.store.delete(names[0] as string);
    await vault.store.create(names[0] as string, Buffer.from(bytes.map((byte, at) => (at === 70 ? byte ^ 1 : byte))));
    await vault.store.delete('runs/web/0000000002/verdict');
    const steps = await scrubAll(vault, 'web');
    assert.deepEqual(steps.map(({ recoveryPoint, state, damage }) => [recoveryPoint, state, damage[0]?.code]), [[item.ids[0], 'damaged', 'DOCUMENT_DAMAGED'], [item.ids[1], 'damaged', 'HISTORY_BROKEN']]);
  });

  it('I1: a store that cannot be reached proves nothing: the step fails and no proof is written', async () => {
    const vault = makeVault();
    await Item.make(vault, 'web', 1);
    const store = createFaultStore(vault.store);
    store.plan({ operation: 'read', matching: /packs\/data/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(step({ ...vault, store }, 'web'), (error) => isHoldfastError(error, 'STORE_UNREACHABLE'));
    store.assertAllFired();
    assert.equal((await proofTimes(vault)).size, 0);
    assert.equal((await listDamage(vault)).length, 0);
  });

  it('takes the item that waits longest first, and one that was never proved before all', async () => {
    const vault = makeVault();
    for (const name of ['a', 'b', 'c']) await Item.make(vault, name, 1);
    await scrubAll(vault, 'b');
    clock += 1_000;
    await scrubAll(vault, 'a');
    assert.deepEqual(await itemsToScrub(vault, clock + DAY_MS), ['c', 'b', 'a']);
    assert.deepEqual(await itemsToScrub(vault, NOW_MS), ['c']);
  });

  it('of one recovery point reads that one only', async () => {
    const vault = makeVault();
    const item = await Item.make(vault, 'web');
    const steps = await scrubAll(vault, 'web', { recoveryPoint: item.ids[1] as string });
    assert.deepEqual(steps.map(({ recoveryPoint, windows }) => [recoveryPoint, windows]), [[item.ids[1], WINDOWS]]);
  });

  it('rounds follow each other without a gap', () => {
    for (const days of [1, 7, 30]) {
      for (const at of [0, START_MS, NOW_MS, NOW_MS + 12_345]) {
        const start = roundStartMs(at, days);
        assert.ok(start <= at && at - start < days * DAY_MS && start % DAY_MS === 0);
        assert.equal(roundStartMs(start, days), start);
      }
    }
  });
});
