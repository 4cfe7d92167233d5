import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createLockVault } from '../../../activities/lock-vault';
import type { ErrorCode } from '../../../errors/catalogue';
import { HoldfastError, isHoldfastError } from '../../../errors/holdfast-error';
import { listRecoveryPoints } from '../../../vault/catalog';
import { BLOCK_BYTES } from '../../../vault/format/format';
import { heldUntilMs, lockVault } from '../../../vault/points/lock';
import { isLockNeeded, lockFloorMs, lockNeedMs, planExtension } from '../../../vault/points/lock-plan';
import { diskTree } from '../../../vault/format/manifest';
import { MARGINS } from '../../../vault/points/margins';
import type { ObjectRetention, Store } from '../../../vault/store/store';
import { createMemoryStore } from '../../../vault/store/memory-store';
import { noise, SparseDisk } from '../../support/vault-kit';
import { DAY_MS, namesOf, OLD_MS, VaultLife, walkAll, walkPacks } from '../../support/vault-life';
import { createWormStore, type WormStore } from '../../support/worm-store';

const code = (wanted: ErrorCode, message = /./) => (error: unknown): boolean => isHoldfastError(error, wanted) && message.test(error.message);
const KEEP_MS = 30 * DAY_MS;
/** What docs/worm.md tells people to give the container: the days of the lock, and the margin. */
const GOOD_DEFAULT_MS = KEEP_MS + MARGINS.lockMarginMs;

interface Worm { readonly life: VaultLife; readonly worm: WormStore; backup(day: number): Promise<string>; lock(more?: object): ReturnType<typeof lockVault> }

async function wormVault(holdMs = GOOD_DEFAULT_MS, change: (store: WormStore) => Store = (store) => store): Promise<Worm> {
  let worm: WormStore | undefined;
  const life = new VaultLife((plain, clock) => change(worm = createWormStore(plain, { clock, holdMs })), KEEP_MS);
  const disk = new SparseDisk(60 * BLOCK_BYTES);
  life.disksOf('alpha').set('os', disk);
  await disk.write(noise(40 * BLOCK_BYTES, 1), 0);
  return {
    life, worm: worm as WormStore,
    async backup(day) {
      await disk.write(noise(4 * BLOCK_BYTES, 100 + day), 40 * BLOCK_BYTES + (day % 4) * 4 * BLOCK_BYTES);
      const run = await life.backup('alpha');
      return `alpha.${run.stamp}`;
    },
    lock: (more = {}) => lockVault(life.vault, { keepMs: KEEP_MS, localNowMs: () => life.nowMs, ...more }),
  };
}

/** Threat 2: nothing that a recovery point needs can be deleted by anybody before `ms` from now. */
async function assertHeld({ life, worm }: Worm, ms: number, what: string): Promise<void> {
  for (const name of await walkAll(life.vault)) {
    const until = await worm.retention?.until(name) ?? 0;
    assert.ok(until >= life.nowMs + ms, `${what}: ${name} is held for ${(until - life.nowMs) / DAY_MS} days only`);
  }
}

const warningsOf = async (life: VaultLife): Promise<string[]> => (await listRecoveryPoints(life.vault)).points.flatMap(({ manifest }) => manifest.warnings);

describe('locks under a WORM policy', () => {
  it('are planned so that nothing is ever shortened, everything needed is held long enough, and nothing is touched more than once in half a margin', () => {
    const days = fc.integer({ min: 0, max: 400 }).map((count) => count * DAY_MS);
    fc.assert(fc.property(days, fc.option(days), fc.integer({ min: 1, max: 365 }).map((count) => count * DAY_MS), (nowMs, untilMs, keepMs) => {
      const times = { nowMs, keepMs };
      const plan = planExtension({ name: 'packs/a', untilMs }, times);
      const after = plan?.toMs ?? untilMs ?? 0;
      assert.ok(after >= (untilMs ?? 0) && after >= lockFloorMs(times));
      if (!plan) return;
      assert.equal(planExtension({ name: 'packs/a', untilMs: plan.toMs }, { nowMs: nowMs + MARGINS.lockMarginMs / 2, keepMs }), undefined, 'not touched again before half the margin is over');
      assert.ok(plan.toMs >= lockNeedMs({ nowMs: nowMs + MARGINS.lockMarginMs, keepMs }));
    }));
  });

  it('are of everything but what is known to be of no use', () => {
    const needed = { isPackNeeded: (kind: string, pack: string) => kind === 'data' && pack.startsWith('aa'), isGone: (name: string) => name === 'keys/x.json' };
    const pack = (kind: string, start: string): string => `packs/${kind}/${start}/${start.padEnd(32, '0')}`;
    const wanted = ['vault.json', 'keys/y.json', pack('data', 'aa'), 'items/a', 'references/a/1/0-0/root', 'recovery-points/a/s', 'marks/a/s/0001', 'something/new'];
    const not = ['keys/x.json', pack('data', 'bb'), pack('meta', 'aa'), 'work/a/1/plan', 'restores/r/plan', 'proofs/a/s/t', 'locks/1', 'packs/data/odd'];
    assert.deepEqual([...wanted, ...not].filter((name) => isLockNeeded(name, needed)), wanted);
  });

  it('threat 2: hold whatever any recovery point needs, at every moment of three months with retention and collection, and touch little', async function () {
    this.timeout(60_000);
    const vault = await wormVault();
    const { life, worm } = vault;
    const ids: string[] = [];
    for (let day = 0; day < 90; day++) {
      if (day % 2 === 0) ids.push(await vault.backup(day));
      if (day % 3 === 0) await assertHeld(vault, KEEP_MS, `day ${day}`);
      if (day % 3 === 2) await vault.lock();
      if (day % 10 === 9 && ids.length > 6) await life.delete(ids.splice(1, 1)[0] as string);
      if (day % 15 === 14) await life.collect();
      life.nowMs += DAY_MS;
    }
    await life.assertWhole();
    assert.deepEqual(await warningsOf(life), []);
    const touches = new Map<string, number>();
    for (const { name } of worm.extended) touches.set(name, (touches.get(name) ?? 0) + 1);
    assert.ok(Math.max(...touches.values()) <= 90 / (MARGINS.lockMarginMs / 2 / DAY_MS) + 1, `an object was touched ${Math.max(...touches.values())} times`);
  });

  it('threat 2: a backup whose maintenance has stalled holds what it takes over by itself', async () => {
    const vault = await wormVault();
    for (const day of [0, 20, 45, 70, 200]) {
      vault.life.nowMs += 20 * DAY_MS;
      await vault.backup(day);
      // Only of the newest: it is maintenance that looks after the others.
      await assertNewestHeld(vault);
    }
    assert.deepEqual(await warningsOf(vault.life), []);
    assert.equal(await heldUntilMs(vault.life.vault), 0);
  });

  it('threat 2: a container whose default is short, or was never set, is made up for at the commit', async () => {
    for (const holdMs of [0, DAY_MS]) {
      const vault = await wormVault(holdMs);
      await vault.backup(1);
      await assertHeld(vault, KEEP_MS, `a default of ${holdMs / DAY_MS} days`);
      await vault.lock();
      vault.life.nowMs += DAY_MS;
      await vault.backup(2);
      await assertHeld(vault, KEEP_MS, 'the second backup');
    }
  });

  it('cost a commit nothing but three small questions when all is in order', async () => {
    const vault = await wormVault();
    await vault.backup(1);
    await vault.lock();
    const before = vault.worm.extended.length;
    vault.life.nowMs += 2 * DAY_MS;
    await vault.backup(2);
    assert.equal(vault.worm.extended.length, before);
  });

  it('that the identity may not make are a warning of the recovery point, which is made all the same; a store that cannot be reached fails the step', async () => {
    let failure: HoldfastError = new HoldfastError('STORE_ACCESS_DENIED', 'this identity may not hold objects');
    const deny = (inner: WormStore): Store => ({ ...inner, retention: { ...inner.retention as ObjectRetention, extend: () => Promise.reject(failure) } });
    const vault = await wormVault(DAY_MS, deny);
    await vault.backup(1);
    assert.match((await warningsOf(vault.life)).join(), /could not be held against deletion: this identity may not/);
    await assert.rejects(vault.lock(), code('STORE_ACCESS_DENIED'));
    failure = new HoldfastError('STORE_UNREACHABLE', 'no network');
    await assert.rejects(vault.backup(2), code('STORE_UNREACHABLE'));
  });

  it('are refused where the store holds no single objects, and a backup there says so', async () => {
    const life = new VaultLife(undefined, KEEP_MS);
    life.disksOf('alpha').set('os', new SparseDisk(8 * BLOCK_BYTES));
    await life.backup('alpha');
    assert.match((await warningsOf(life)).join(), /cannot hold single objects/);
    await assert.rejects(lockVault(life.vault, { keepMs: KEEP_MS, localNowMs: () => life.nowMs }), code('RETENTION_UNSUPPORTED'));
  });

  it('are written down only when all is held: after a failure in the middle, or when the time is up, the next run goes on', async () => {
    let failAt = 5;
    const flaky = (inner: WormStore): Store => ({ ...inner, retention: { ...inner.retention as ObjectRetention, extend: (name, untilMs) => (--failAt === 0 ? Promise.reject(new HoldfastError('STORE_THROTTLED', 'busy')) : (inner.retention as ObjectRetention).extend(name, untilMs)) } });
    const vault = await wormVault(GOOD_DEFAULT_MS, flaky);
    failAt = -1;
    await vault.backup(1);
    vault.life.nowMs += 10 * DAY_MS;
    failAt = 5;
    await assert.rejects(vault.lock(), code('STORE_THROTTLED'));
    assert.equal(await heldUntilMs(vault.life.vault), 0);
    const stopped = await vault.lock({ timeLimitMs: -1 });
    assert.ok(stopped.left > 0 && stopped.extended === 0);
    assert.equal(await heldUntilMs(vault.life.vault), 0);
    const dry = await vault.lock({ dryRun: true });
    assert.deepEqual([dry.left, dry.extended, dry.dryRun], [stopped.left, 0, true]);
    const done = await vault.lock();
    assert.deepEqual([done.left, done.extended], [0, dry.left]);
    assert.equal(await heldUntilMs(vault.life.vault), Date.parse(done.heldUntil));
    assert.equal((await vault.lock()).extended, 0, 'running it again changes nothing');
  });

  it('are not said to be complete when it is not certain what is needed', async () => {
    const vault = await wormVault();
    await vault.backup(1);
    vault.life.nowMs += 100 * DAY_MS;
    const [manifest = ''] = await namesOf(vault.life.store, 'recovery-points/');
    await vault.life.store.delete(manifest);
    await assert.rejects(vault.lock(), code('COLLECTION_REFUSED'));
    assert.equal(await heldUntilMs(vault.life.vault), 0);
  });

  it('fault 29: refuse with a wrong clock', async () => {
    const vault = await wormVault();
    await assert.rejects(vault.lock({ localNowMs: () => vault.life.nowMs + 3_600_000 }), code('CLOCK_WRONG'));
  });

  it('fault 39: collection meets what is held, says so, and deletes it when its time is over, asking once a run', async () => {
    const vault = await wormVault(120 * DAY_MS);
    const { life, worm } = vault;
    const first = await vault.backup(1);
    life.nowMs += DAY_MS;
    await vault.backup(2);
    await life.delete(first);
    life.nowMs += MARGINS.binMs + DAY_MS;
    await life.collect();
    life.nowMs += OLD_MS;
    const asked = worm.refused.length;
    const early = await life.collect();
    assert.ok(early.deleted.immutable > 0 && early.deleted.packs === 0, JSON.stringify(early.deleted));
    assert.equal((await namesOf(life.store, 'recovery-points/')).length, 2, 'the manifest of the purged recovery point is held, too');
    assert.equal((await listRecoveryPoints(life.vault, undefined, { deleted: true })).points.length, 1, 'and it is gone all the same');
    const refused = worm.refused.slice(asked);
    assert.equal(new Set(refused).size, refused.length, 'no retry loop');
    life.nowMs += 120 * DAY_MS;
    const late = await life.collect();
    assert.deepEqual([late.deleted.immutable, late.deleted.packs], [0, early.deleted.immutable]);
    assert.equal((await namesOf(life.store, 'recovery-points/')).length, 1);
    await life.assertWhole();
  });

  it('run as a step of the app, which does nothing where no locks are kept', async () => {
    const vault = await wormVault();
    await vault.backup(1);
    const deps = { vault: () => Promise.resolve(vault.life.vault), nowMs: () => vault.life.nowMs };
    assert.deepEqual(await createLockVault(deps)({ dryRun: false }), { ok: true, value: null });
    const outcome = await createLockVault({ ...deps, lockKeepMs: KEEP_MS })({ dryRun: false });
    assert.ok(outcome.ok && outcome.value?.left === 0);
    const plain = await createLockVault({ ...deps, vault: () => Promise.resolve({ ...vault.life.vault, store: createMemoryStore() }), lockKeepMs: KEEP_MS })({ dryRun: true });
    assert.ok(!plain.ok && plain.error.code === 'RETENTION_UNSUPPORTED');
  });
});

/** Every pack of the newest recovery point is held. */
async function assertNewestHeld({ life, worm }: Worm): Promise<void> {
  const newest = (await listRecoveryPoints(life.vault)).points.at(-1)?.manifest ?? assert.fail('no recovery point');
  for (const disk of newest.disks) {
    for (const name of await walkPacks(life.vault, diskTree(disk))) {
      const until = await worm.retention?.until(name) ?? 0;
      // The commit was a second ago.
      assert.ok(until >= life.nowMs - 1000 + KEEP_MS, `${name} is held for ${(until - life.nowMs) / DAY_MS} days`);
    }
  }
}
