import assert from 'node:assert/strict';
import fc from 'fast-check';
import { digestOf } from '../../../activities/fleet-items';
import { listItems, listRecoveryPoints } from '../../../vault/catalog';
import { type Freshness } from '../../../vault/fleet/fresh';
import { noticingStore } from '../../../vault/fleet/noticing-store';
import { factsOf } from '../../../vault/fleet/point-facts';
import { trimSummaries } from '../../../vault/fleet/summary';
import { type IndexSnapshot, VaultIndex } from '../../../vault/fleet/vault-index';
import { manifestName, recoveryPointId } from '../../../vault/format/manifest';
import type { VaultAccess } from '../../../vault/format/tree';
import { recordItem } from '../../../vault/items';
import { MARGINS } from '../../../vault/points/margins';
import { markDeleted, markHeld, markPurged, markReleased, markUndeleted } from '../../../vault/points/marks';
import { recordProof } from '../../../vault/proof/proofs';
import { abandonRun, commitRun, openRun, sealRun } from '../../../vault/run';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { Store } from '../../../vault/store/store';
import { HoldfastError, isHoldfastError } from '../../../errors/holdfast-error';
import { formatStamp } from '../../../policy/slot';
import { createFaultStore } from '../../support/fault-store';
import { makeVault, START_MS } from '../../support/vault-kit';
import { makeManifest } from '../../support/vault-manifests';

const DAY_MS = 86_400_000;
const AT_ONCE: Freshness = { softMs: 0, hardMs: 0 };
const FOR_EVER: Freshness = { softMs: Number.MAX_SAFE_INTEGER, hardMs: Number.MAX_SAFE_INTEGER };

/** A vault with a clock that tests move, and two processes on it: what one of them writes, the index is told; the other's it has to find. */
class World {
  nowMs = START_MS;
  readonly store: Store;
  readonly other: VaultAccess;
  readonly own: VaultAccess;
  index!: VaultIndex;
  readonly logs: string[] = [];

  constructor(inner: (store: Store) => Store = (store) => store) {
    this.store = createMemoryStore({ clock: () => this.nowMs });
    this.other = makeVault(this.store);
    this.own = { ...this.other, store: noticingStore(inner(this.store), (name) => this.index.noticed(name)) };
    this.restart(AT_ONCE);
  }

  restart(freshness: Freshness): void {
    this.index = new VaultIndex({ open: () => Promise.resolve(this.own), nowMs: () => this.nowMs, freshness, log: (message) => void this.logs.push(message) });
  }

  async commit(vault: VaultAccess, itemId: string): Promise<string> {
    this.nowMs += 3_600_000;
    const stamp = formatStamp(this.nowMs);
    await recordItem(vault, { itemId, kind: 'image', name: itemId, resourceId: null }, this.nowMs);
    const run = await openRun(vault, { itemId, stamp, slot: null, owner: `owner ${stamp}`, policy: 'daily', nowMs: this.nowMs, maxRunMs: DAY_MS });
    await sealRun(vault, run, { ...makeManifest(run, itemId), startedAt: new Date(this.nowMs).toISOString(), createdAt: new Date(this.nowMs).toISOString() });
    return (await commitRun(vault, run, this.nowMs)).id;
  }

  async fail(vault: VaultAccess, itemId: string): Promise<void> {
    this.nowMs += 3_600_000;
    const run = await openRun(vault, { itemId, stamp: formatStamp(this.nowMs), slot: null, owner: 'o', policy: null, nowMs: this.nowMs, maxRunMs: DAY_MS });
    await abandonRun(vault, run, new HoldfastError('SNAPSHOT_FAILED', 'no snapshot').toJSON(), this.nowMs);
  }

  decider = () => ({ by: 'test', serverNowMs: this.nowMs });

  /** Puts other bytes into the place of an object, as a disk that rots does. */
  async damage(name: string): Promise<void> {
    const bytes = await this.store.read(name);
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1;
    await this.store.delete(name);
    await this.store.create(name, bytes);
  }
}

/** What a fresh reading of everything says, and what the index says, in the same shape. */
async function fresh(vault: VaultAccess): Promise<object> {
  const { points, damaged } = await listRecoveryPoints(vault, undefined, { deleted: true });
  return {
    points: points.map(({ manifest, marks }) => ({ itemId: manifest.itemId, facts: factsOf(manifest), marks })),
    damaged: damaged.map(({ id, error, marks }) => ({ id, code: error.code, marks })),
    items: (await listItems(vault)).map(({ itemId, name, recoveryPoints, damaged: bad, latest, proved }) => ({ itemId, name, recoveryPoints, bad, latest: latest?.id ?? null, proved })),
  };
}

function indexed({ items }: IndexSnapshot): object {
  const all = [...items.values()].sort((a, b) => (a.itemId < b.itemId ? -1 : 1));
  return {
    points: all.flatMap(({ itemId, points }) => points.map(({ facts, marks }) => ({ itemId, facts, marks }))),
    damaged: all.flatMap(({ itemId, damaged }) => damaged.map(({ stamp, error, marks }) => ({ id: recoveryPointId(itemId, stamp), code: error?.code, marks }))),
    items: all.map((item) => ({ itemId: item.itemId, digest: digestOf(item) })).filter(({ digest }) => digest.live.length + digest.damaged > 0)
      .map(({ itemId, digest: { newest, live, damaged, proved } }) => ({ itemId, name: newest?.facts.name ?? null, recoveryPoints: live.length, bad: damaged, latest: newest && recoveryPointId(itemId, newest.stamp), proved })),
  };
}

type Step = { readonly what: 'commit' | 'fail' | 'delete' | 'undelete' | 'hold' | 'release' | 'purge' | 'prove' | 'damage' | 'damage-mark' | 'summarize' | 'restart' | 'look'; readonly item: number; readonly point: number; readonly own: boolean };
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom('commit', 'commit', 'commit', 'fail', 'delete', 'undelete', 'hold', 'release', 'purge', 'prove', 'damage', 'damage-mark', 'summarize', 'restart', 'look'),
  item: fc.nat(2), point: fc.nat(9), own: fc.boolean(),
});

async function take(world: World, { what, item, point, own }: Step, ids: string[]): Promise<void> {
  const vault = own ? world.own : world.other;
  const id = ids[point % Math.max(1, ids.length)];
  if (what === 'commit') ids.push(await world.commit(vault, `item-${item}`));
  else if (what === 'fail') await world.fail(vault, `item-${item}`);
  else if (what === 'look') await world.index.snapshot();
  else if (what === 'restart') world.restart(AT_ONCE);
  else if (what === 'summarize') await world.index.summarize(world.own, formatStamp(world.nowMs), 1);
  else if (id !== undefined) await change(world, vault, what, id);
}

async function change(world: World, vault: VaultAccess, what: Exclude<Step['what'], 'commit' | 'fail' | 'look' | 'restart' | 'summarize'>, id: string): Promise<void> {
  const dot = id.lastIndexOf('.');
  const [itemId, stamp] = [id.slice(0, dot), id.slice(dot + 1)];
  switch (what) {
    case 'delete': return void await markDeleted(vault, id, world.decider(), { reason: 'asked', policy: null });
    case 'undelete': return void await markUndeleted(vault, id, world.decider());
    case 'hold': return void await markHeld(vault, id, world.decider(), 'case 1');
    case 'release': return void await markReleased(vault, id, world.decider(), 'case 1');
    case 'purge': {
      world.nowMs += MARGINS.binMs;
      await markPurged(vault, id, world.decider(), { sequence: 1, parentSequence: null, digest: null, trees: [] });
      return void await vault.store.delete(manifestName(itemId, stamp));
    }
    case 'prove': return recordProof(vault, { recoveryPoint: id, by: 'scrub', cycle: null, state: world.nowMs % 7 === 0 ? 'damaged' : 'whole', cursor: null, against: null, chunks: 1, plainBytes: 1, storedBytes: 1, damage: [] }, world.nowMs);
    case 'damage': return world.damage(manifestName(itemId, stamp));
    case 'damage-mark': return world.damage(`marks/${itemId}/${stamp}/0001`);
  }
}

/** What a step may run into: that the recovery point is not in a state for it. */
const EXPECTED = ['RECOVERY_POINT_DELETED', 'RECOVERY_POINT_HELD', 'RECOVERY_POINT_NOT_DUE', 'RECOVERY_POINT_NOT_FOUND', 'HOLD_NOT_FOUND', 'DOCUMENT_DAMAGED', 'STORE_OBJECT_NOT_FOUND', 'VAULT_DAMAGED'];

describe('the index of a vault', () => {
  it('says what a fresh reading of everything says, after any changes by two processes, with damage, restarts and summaries between', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
      const world = new World();
      const ids: string[] = [];
      for (const one of steps) {
        try {
          await take(world, one, ids);
        } catch (error) {
          if (!(error instanceof HoldfastError) || !EXPECTED.includes(error.code)) throw error;
        }
      }
      assert.deepEqual(indexed(await world.index.snapshot()), await fresh(world.other));
      // Who starts anew from summaries comes to the same.
      world.restart(AT_ONCE);
      assert.deepEqual(indexed(await world.index.snapshot()), await fresh(world.other));
    }), { numRuns: 60 });
  });

  it('shows at once what its own process did, and what others did when it is older than it may be', async () => {
    const world = new World();
    const first = await world.commit(world.own, 'web');
    let clock = 0;
    world.index = new VaultIndex({ open: () => Promise.resolve(world.own), nowMs: () => world.nowMs, freshness: { softMs: 1_000, hardMs: 60_000 }, log: () => undefined, clock: () => clock });
    const seen = async (): Promise<number> => (await world.index.snapshot()).items.get('web')?.points.length ?? 0;
    assert.equal(await seen(), 1);
    const second = await world.commit(world.own, 'web');
    assert.equal(await seen(), 2, 'its own');
    await world.commit(world.other, 'web');
    assert.equal(await seen(), 2, 'not listed yet');
    clock = 61_000;
    const asOf = new Date(world.nowMs).toISOString();
    assert.deepEqual([await seen(), (await world.index.snapshot()).asOf], [3, asOf]);
    await markDeleted(world.own, second, world.decider(), { reason: 'asked', policy: null });
    await markHeld(world.own, first, world.decider(), 'case 7');
    const points = (await world.index.snapshot()).items.get('web')?.points.map(({ marks }) => [marks.state, marks.holds[0]?.label]);
    assert.deepEqual(points, [['live', 'case 7'], ['binned', undefined], ['live', undefined]]);
  });

  it('never takes a list that broke off for the end of the list (fault 13): it throws, keeps what it knew for as long as that may be shown, and recovers', async () => {
    let faults!: ReturnType<typeof createFaultStore>;
    const world = new World((store) => (faults = createFaultStore(store)));
    for (const item of ['a', 'b', 'c']) await world.commit(world.other, item);
    for (const folder of ['recovery-points', 'marks', 'proofs', 'items', 'index']) {
      world.restart(AT_ONCE);
      faults.plan({ operation: 'list', matching: new RegExp(`^${folder}/$`), fault: folder === 'recovery-points' || folder === 'items' ? { kind: 'tornList', code: 'STORE_UNREACHABLE', count: 1 } : { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
      await assert.rejects(world.index.snapshot(), (error) => isHoldfastError(error, 'STORE_UNREACHABLE'), folder);
      assert.equal((await world.index.snapshot()).items.size, 3, folder);
    }
    faults.plan({ operation: 'read', matching: /^recovery-points\/b\//, fault: { kind: 'fail', code: 'STORE_THROTTLED', when: 'before' } });
    world.restart(AT_ONCE);
    await assert.rejects(world.index.snapshot(), (error) => isHoldfastError(error, 'STORE_THROTTLED'));
    faults.assertAllFired();
    let clock = 0;
    world.index = new VaultIndex({ open: () => Promise.resolve(world.own), nowMs: () => world.nowMs, freshness: { softMs: 1_000, hardMs: 60_000 }, log: (line) => void world.logs.push(line), clock: () => clock });
    const before = await world.index.snapshot();
    clock = 5_000;
    faults.plan({ operation: 'list', matching: /^recovery-points\/$/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' }, times: 2 });
    assert.equal((await world.index.snapshot()).asOf, before.asOf, 'old enough to be looked at again, new enough to be shown');
    await new Promise(setImmediate);
    assert.equal(world.logs.length, 1, 'and that it could not be looked at again is told');
    clock = 70_000;
    await assert.rejects(world.index.snapshot(), (error) => isHoldfastError(error, 'STORE_UNREACHABLE'), 'too old to be shown');
    assert.equal((await world.index.snapshot()).items.size, 3);
    faults.assertAllFired();
  });

  it('does not lose a change of its own whose reading failed', async () => {
    let faults!: ReturnType<typeof createFaultStore>;
    const world = new World((store) => (faults = createFaultStore(store)));
    world.restart(FOR_EVER);
    await world.commit(world.own, 'web');
    await world.index.snapshot();
    await world.commit(world.own, 'web');
    faults.plan({ operation: 'list', matching: /^marks\/web\/$/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(world.index.snapshot(), (error) => isHoldfastError(error, 'STORE_UNREACHABLE'));
    assert.equal((await world.index.snapshot()).items.get('web')?.points.length, 2);
    faults.assertAllFired();
  });

  it('looks once for all who ask at the same time, and opens each manifest once', async () => {
    let faults!: ReturnType<typeof createFaultStore>;
    const world = new World((store) => (faults = createFaultStore(store)));
    for (let at = 0; at < 30; at++) await world.commit(world.other, `item-${at % 3}`);
    world.restart(FOR_EVER);
    await Promise.all(Array.from({ length: 50 }, () => world.index.snapshot()));
    const lists = faults.calls.filter(({ operation, name }) => operation === 'list' && name === 'recovery-points/').length;
    assert.equal(lists, 1);
    const reads = (): number => faults.calls.filter(({ operation, name }) => operation === 'read' && name.startsWith('recovery-points/')).length;
    await world.commit(world.own, 'item-0');
    const before = reads();
    await world.index.snapshot();
    assert.equal(reads() - before, 1);
  });

  it('starts from summaries: of what they have nothing is opened but what is proved anew, and one that does not open is done without', async () => {
    let faults!: ReturnType<typeof createFaultStore>;
    const world = new World((store) => (faults = createFaultStore(store)));
    const ids: string[] = [];
    for (let at = 0; at < 300; at++) ids.push(await world.commit(world.other, `item-${at % 3}`));
    await markDeleted(world.other, ids[0] as string, world.decider(), { reason: 'asked', policy: null });
    await recordProof(world.other, { recoveryPoint: ids[1] as string, by: 'check', cycle: null, state: 'whole', cursor: null, against: null, chunks: 1, plainBytes: 1, storedBytes: 1, damage: [] }, world.nowMs);
    assert.ok(await world.index.summarize(world.own, '20261201T000000Z') >= 300);
    assert.equal(await world.index.summarize(world.own, '20261201T010000Z'), 0, 'nothing new');
    const last = await world.commit(world.other, 'item-0');
    world.restart(FOR_EVER);
    const before = faults.calls.length;
    const snapshot = await world.index.snapshot();
    const reads = faults.calls.slice(before).filter(({ operation }) => operation === 'read').map(({ name }) => name);
    const first = reads.findIndex((name) => name.startsWith('recovery-points/'));
    assert.equal(reads[first], manifestName('item-0', last.slice('item-0.'.length)), 'the one that is newer than the summary');
    assert.ok(!reads.slice(0, first + 1).some((name) => name.startsWith('marks/') || name.startsWith('proofs/')));
    assert.deepEqual(indexed(snapshot), await fresh(world.other));
    for await (const { name } of world.store.list('index/')) await world.damage(name);
    world.restart(FOR_EVER);
    assert.deepEqual(indexed(await world.index.snapshot()), await fresh(world.other));
  });

  it('follows runs: what is at work, what failed and why', async () => {
    const world = new World();
    await world.commit(world.other, 'web');
    await world.fail(world.other, 'web');
    const runs = async () => (await world.index.snapshot()).items.get('web')?.runs.map(({ sequence, outcome, code }) => [sequence, outcome, code]);
    assert.deepEqual(await runs(), [[1, 'committed', null], [2, 'abandoned', 'SNAPSHOT_FAILED']]);
    const run = await openRun(world.other, { itemId: 'web', stamp: formatStamp(world.nowMs + 1_000), slot: null, owner: 'o', policy: null, nowMs: world.nowMs, maxRunMs: DAY_MS });
    assert.deepEqual((await runs())?.at(-1), [3, 'running', null]);
    await abandonRun(world.other, run, new HoldfastError('CANCELLED', 'cancelled').toJSON(), world.nowMs);
    assert.deepEqual((await runs())?.at(-1), [3, 'abandoned', 'CANCELLED']);
    world.nowMs += 40 * DAY_MS;
    await world.commit(world.own, 'web');
    assert.deepEqual((await runs())?.map(([sequence]) => sequence), [4], 'those of long ago are left out');
  });

  it('keeps no more summaries than it needs', async () => {
    const world = new World();
    for (let at = 0; at < 205; at++) await world.store.create(`index/20261201T${String(at).padStart(6, '0')}Z-0000`, Buffer.from('x'));
    await trimSummaries(world.other);
    const names: string[] = [];
    for await (const { name } of world.store.list('index/')) names.push(name);
    assert.deepEqual([names.length, names[0]], [200, 'index/20261201T000005Z-0000']);
  });
});
