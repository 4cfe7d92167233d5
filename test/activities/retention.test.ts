import assert from 'node:assert/strict';
import { deletePoint } from '../../activities/delete-point';
import { compareRetention, requireConfirmedChange } from '../../activities/policy-change';
import { itemPoints } from '../../activities/item-points';
import { savePolicy } from '../../activities/policy-store';
import { executeRetention, type ItemRetentionPlan, planRetention, policiesInForce } from '../../activities/retention';
import type { ErrorCode } from '../../errors/catalogue';
import { isHoldfastError } from '../../errors/holdfast-error';
import { parsePolicy, type PolicyDocument } from '../../policy/schema';
import type { Retention } from '../../policy/retention-schema';
import { listRecoveryPoints } from '../../vault/catalog';
import { recordDamage } from '../../vault/proof/damage-ledger';
import { manifestName } from '../../vault/format/manifest';
import { markHeld, markUndeleted } from '../../vault/points/marks';
import { recordProof } from '../../vault/proof/proofs';
import { createMemoryStore } from '../../vault/store/memory-store';
import type { Store } from '../../vault/store/store';
import type { VaultAccess } from '../../vault/format/tree';
import { createFaultStore } from '../support/fault-store';
import { DAY_MS, everyDay, storePoints } from '../support/retention-kit';
import { makeVault, testKeys } from '../support/vault-kit';

const LAST_MS = Date.UTC(2028, 1, 29, 2);
const HOUR_MS = DAY_MS / 24;
const code = (wanted: ErrorCode) => (error: unknown): boolean => isHoldfastError(error, wanted);
const policy = (retention: Retention, more: Partial<PolicyDocument> = {}): PolicyDocument =>
  parsePolicy({ name: 'nightly', schedule: { daily: { at: ['02:00'] } }, items: { all: true }, retention, ...more });

describe('retention of a vault', () => {
  let nowMs: number;
  let vault: VaultAccess;
  const decider = () => ({ by: 'test', serverNowMs: nowMs });
  const plan = async (item = 'web'): Promise<ItemRetentionPlan> => planRetention(vault, item, await policiesInForce(vault, nowMs, () => undefined), nowMs);
  const live = async (item = 'web'): Promise<string[]> => (await listRecoveryPoints(vault, item)).points.map(({ manifest }) => manifest.id);
  /** A policy that was stored before anything was backed up. */
  const longAgo = async (document: PolicyDocument): Promise<void> => {
    const today = nowMs;
    nowMs = LAST_MS - 400 * DAY_MS;
    await savePolicy(vault.store, document, null);
    nowMs = today;
  };

  beforeEach(() => {
    nowMs = LAST_MS + HOUR_MS;
    vault = makeVault(createMemoryStore({ clock: () => nowMs }));
  });

  it('puts into the bin what no rule keeps, says why the others stay, and does nothing more the second time', async () => {
    await longAgo(policy({ keepLast: 3 }));
    const ids = await storePoints(vault, 'web', everyDay(LAST_MS, 5));
    const before = await plan();
    assert.deepEqual([before.goes, before.refused], [ids.slice(0, 2), null]);
    assert.deepEqual(before.points.map(({ keeps }) => keeps.length > 0), [false, false, true, true, true]);
    const done = await executeRetention(vault, before, decider());
    assert.deepEqual([done.binned, done.kept, done.stayed], [ids.slice(0, 2), 3, []]);
    assert.deepEqual(await live(), ids.slice(2));
    assert.deepEqual((await executeRetention(vault, await plan(), decider())).binned, []);
    assert.deepEqual((await executeRetention(vault, before, decider())).binned.length, 2, 'an old plan once more: they are in the bin already');
    const binned = (await listRecoveryPoints(vault, 'web', { deleted: true })).points[0]?.marks;
    assert.deepEqual([binned?.deleted?.reason, binned?.binUntil, binned?.count], ['retention', new Date(nowMs + 14 * DAY_MS).toISOString(), 1]);
  });

  it('applied every day over a year, leap day included, it is never refused and leaves what the rules promise', async () => {
    await longAgo(policy({ keepWithinDays: 5, weekly: { count: 4, weekday: 'sunday' }, monthly: { count: 3, day: 31 } }));
    const all: number[] = [];
    for (const ms of everyDay(LAST_MS, 100)) {
      all.push(ms);
      await storePoints(vault, 'web', [ms]);
      nowMs = ms + HOUR_MS;
      const done = await executeRetention(vault, await plan(), decider());
      assert.equal(done.refused, null);
    }
    const days = (await live()).map((id) => id.slice(4, 12));
    assert.deepEqual(days, ['20271231', '20280131', '20280213', '20280220', '20280225', '20280226', '20280227', '20280228', '20280229']);
  });

  it('lets nothing go without a policy in force: none, a deleted, a disabled, a broken one', async () => {
    await storePoints(vault, 'web', everyDay(LAST_MS, 5));
    assert.deepEqual((await plan()).goes, []);
    await longAgo(policy({ keepLast: 1 }, { enabled: false }));
    assert.deepEqual((await plan()).goes, []);
    await vault.store.create('policies/nightly/00000009.json', Buffer.from('{"name":"nightly"'));
    assert.deepEqual((await plan()).goes, []);
  });

  it('fault 41: what is held stays, also when the hold comes while retention runs, and what was taken out of the bin stays out', async () => {
    await longAgo(policy({ keepLast: 1 }));
    const ids = await storePoints(vault, 'web', everyDay(LAST_MS, 4));
    await markHeld(vault, ids[0] as string, decider(), 'case 7');
    const planned = await plan();
    assert.deepEqual(planned.goes, ids.slice(1, 3));
    await markHeld(vault, ids[1] as string, decider(), 'case 8');
    const done = await executeRetention(vault, planned, decider());
    assert.deepEqual([done.binned, done.stayed.map(({ id, error }) => [id, error.code])], [[ids[2]], [[ids[1], 'RECOVERY_POINT_HELD']]]);
    await markUndeleted(vault, ids[2] as string, decider());
    assert.deepEqual((await plan()).goes, []);
  });

  it('fault 14: an abnormal plan is refused until somebody approves that very plan', async () => {
    await longAgo(policy({ keepLast: 3 }));
    const ids = await storePoints(vault, 'web', everyDay(LAST_MS, 40));
    const planned = await plan();
    assert.deepEqual([planned.goes.length, planned.refused?.code, planned.refused?.data.approve], [37, 'RETENTION_REFUSED', planned.token]);
    assert.equal((await executeRetention(vault, planned, decider())).refused?.code, 'RETENTION_REFUSED');
    assert.equal((await executeRetention(vault, planned, decider(), 'another')).refused?.code, 'RETENTION_REFUSED');
    assert.equal((await live()).length, 40, 'nothing was touched');
    await storePoints(vault, 'web', [LAST_MS + HOUR_MS / 2]);
    const changed = await plan();
    assert.equal((await executeRetention(vault, changed, decider(), planned.token)).refused?.code, 'RETENTION_REFUSED', 'approval of a plan is of no other');
    assert.equal((await executeRetention(vault, changed, decider(), changed.token)).binned.length, 38);
    assert.equal((await live()).includes(ids[39] as string), true);
  });

  it('fault 14: a policy whose change was confirmed just now is no abnormal plan', async () => {
    await storePoints(vault, 'web', everyDay(LAST_MS, 40));
    await savePolicy(vault.store, policy({ keepLast: 3 }), null);
    assert.equal((await executeRetention(vault, await plan(), decider())).binned.length, 37);
  });

  it('fault 13: a list or a read that fails stops it with nothing marked', async () => {
    await longAgo(policy({ keepLast: 1 }));
    const ids = await storePoints(vault, 'web', everyDay(LAST_MS, 3));
    await markHeld(vault, ids[0] as string, decider(), 'x');
    for (const [operation, matching] of [['list', /^recovery-points/], ['list', /^marks/], ['read', /^marks/], ['read', /^recovery-points/], ['list', /^policies/], ['read', /^policies/], ['list', /^damage/], ['list', /^proofs/]] as const) {
      const store = createFaultStore(vault.store);
      store.plan({ operation, matching, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
      const faulty = { ...vault, store };
      await assert.rejects(async () => executeRetention(faulty, await planRetention(faulty, 'web', await policiesInForce(faulty, nowMs, () => undefined), nowMs), decider()), code('STORE_UNREACHABLE'));
      store.assertAllFired();
    }
    assert.equal((await live()).length, 3);
  });

  it('fault 36: a recovery point that needs a damaged pack takes no place from a whole one', async () => {
    await longAgo(policy({ keepLast: 2 }));
    const ids = await storePoints(vault, 'web', everyDay(LAST_MS, 4));
    await recordDamage(vault, [{ pack: 'a'.repeat(32), code: 'PACK_MISSING', message: 'gone' }], { by: 'check', nowMs }, () => [ids[2] as string, ids[3] as string]);
    const { goes, lastGood } = await plan();
    assert.deepEqual([goes, lastGood], [[], [ids[1]]]);
    await assert.rejects(Promise.all([deletePoint(vault, ids[0] as string, decider()), deletePoint(vault, ids[1] as string, decider())]), code('LAST_RECOVERY_POINT'));
  });

  it('keeps the last one that was proved, and takes a later proof for more than the ledger', async () => {
    await longAgo(policy({ keepLast: 1 }));
    const ids = await storePoints(vault, 'web', everyDay(LAST_MS, 6));
    const prove = (index: number, state: 'whole' | 'damaged', ms: number) => recordProof(vault, {
      recoveryPoint: ids[index] as string, by: 'scrub', cycle: null, state, cursor: null, against: null, chunks: 1, plainBytes: 1, storedBytes: 1,
      damage: state === 'whole' ? [] : [{ code: 'PACK_MISSING', message: 'gone', pack: null, disk: null, windows: 1 }],
    }, ms);
    for (const index of [0, 1, 2]) await prove(index, 'whole', nowMs - 1000);
    await recordDamage(vault, [{ pack: 'a'.repeat(32), code: 'PACK_MISSING', message: 'gone' }], { by: 'check', nowMs }, () => [ids[2] as string, ids[4] as string]);
    await prove(5, 'damaged', nowMs - 500);
    assert.deepEqual((await plan()).lastGood, [ids[1], ids[3]], 'proved before the damage was found is no proof');
    await assert.rejects(async () => {
      await deletePoint(vault, ids[0] as string, decider());
      await deletePoint(vault, ids[1] as string, decider());
    }, code('LAST_RECOVERY_POINT'));
    const [, , third = ''] = ids;
    await prove(2, 'whole', nowMs + 1000);
    await prove(3, 'whole', nowMs + 1000);
    await deletePoint(vault, ids[3] as string, decider());
    await deletePoint(vault, third, decider());
    assert.equal((await itemPoints(vault, 'web')).points.find(({ id }) => id === ids[1])?.quality, 'good', 'proofs of those in the bin hide no older one that is still there');
    await prove(4, 'whole', nowMs + 1000);
    assert.deepEqual((await plan()).lastGood, [ids[4]]);
  });

  it('leaves a recovery point whose manifest does not open to a person', async () => {
    await longAgo(policy({ keepLast: 1 }));
    const ids = await storePoints(vault, 'web', everyDay(LAST_MS, 3));
    await vault.store.delete(manifestName('web', (ids[0] as string).slice(4)));
    await vault.store.create(manifestName('web', (ids[0] as string).slice(4)), Buffer.from('nonsense'));
    const planned = await plan();
    assert.deepEqual([planned.goes, planned.points[0]?.keeps.map(({ rule }) => rule)], [[ids[1]], ['unreadable']]);
    await deletePoint(vault, ids[0] as string, decider());
    assert.equal((await plan()).points.length, 2);
  });

  it('fault 41: when the last good one is deleted by hand while retention runs, what retention deleted is back', async () => {
    await longAgo(policy({ keepLast: 1 }));
    const ids = await storePoints(vault, 'web', everyDay(LAST_MS, 3));
    const planned = await plan();
    await deletePoint(vault, ids[2] as string, decider());
    const done = await executeRetention(vault, planned, decider());
    assert.equal(done.refused?.code, 'LAST_RECOVERY_POINT');
    assert.deepEqual(await live(), ids.slice(0, 2));
  });

  it('costs one list of manifests, one of marks, of damage and of proofs, and a read a recovery point', async () => {
    await longAgo(policy({ keepLast: 50 }));
    await storePoints(vault, 'web', everyDay(LAST_MS, 50));
    await storePoints(vault, 'other', everyDay(LAST_MS, 5));
    const store = createFaultStore(vault.store);
    await planRetention({ ...vault, store }, 'web', await policiesInForce(vault, nowMs, () => undefined), nowMs);
    const count = (operation: string, prefix: string): number => store.calls.filter((call) => call.operation === operation && call.name.startsWith(prefix)).length;
    assert.deepEqual([count('list', ''), count('read', 'recovery-points/web/'), count('read', '')], [4, 50, 50]);
  });
});

describe('deleting a recovery point on request', () => {
  let vault: VaultAccess;
  const decider = { by: 'test', serverNowMs: LAST_MS };
  const isLast = code('LAST_RECOVERY_POINT');
  beforeEach(() => { vault = makeVault(createMemoryStore({ clock: () => LAST_MS })); });

  it('fault 41: never takes the last good one', async () => {
    const [a = '', b = '', c = ''] = await storePoints(vault, 'web', everyDay(LAST_MS, 3));
    const qualities = new Map([[a, 'good' as const], [c, 'damaged' as const]]);
    await assert.rejects(deletePoint(vault, a, decider, { qualities }), (error) => isLast(error) && /only one that was proved/.test((error as Error).message));
    await deletePoint(vault, b, decider, { qualities });
    await deletePoint(vault, c, decider, { qualities });
    await assert.rejects(deletePoint(vault, a, decider), isLast);
  });

  it('says unknown, held and gone, and with a dry run changes nothing', async () => {
    const [a = '', b = ''] = await storePoints(vault, 'web', everyDay(LAST_MS, 2));
    for (const unknown of ['web.20200101T000000Z', 'nobody.20200101T000000Z', 'web', '../x']) await assert.rejects(deletePoint(vault, unknown, decider), code('RECOVERY_POINT_NOT_FOUND'), unknown);
    assert.equal((await deletePoint(vault, a, decider, { dryRun: true })).state, 'live');
    await markHeld(vault, a, decider, 'x');
    for (const dryRun of [true, false]) await assert.rejects(deletePoint(vault, a, decider, { dryRun }), code('RECOVERY_POINT_HELD'));
    assert.equal((await deletePoint(vault, b, decider)).state, 'binned');
    assert.equal((await deletePoint(vault, b, decider)).count, 1);
  });

  it('fault 6: two who delete the last two at once: one of them stays', async () => {
    const tries: readonly ((mark: () => Promise<unknown>, other: () => Promise<unknown>, both: () => Promise<void>) => Promise<void>)[] = [
      // The other one is quicker by all of it; both have looked before either marks; the other one comes right after the mark.
      async (mark, other) => { await other(); await mark(); },
      async (mark, _other, both) => { await both(); await mark(); },
      async (mark, other) => { await mark(); await other(); },
    ];
    for (const [way, meet] of tries.entries()) {
      const inner = createMemoryStore();
      const plain = { store: inner, keys: testKeys() };
      const [a = '', b = ''] = await storePoints(plain, 'web', everyDay(LAST_MS, 2));
      const attempt = (store: Store, id: string): Promise<unknown> => deletePoint({ ...plain, store }, id, decider).catch((error: unknown) => {
        if (!isLast(error)) throw error;
      });
      let arrived = 0;
      let open = (): void => undefined;
      const everybody = new Promise<void>((resolve) => { open = resolve; });
      const both = (): Promise<void> => { if (++arrived === 2) open(); return everybody; };
      const gated = (other: () => Promise<unknown>): Store => ({
        description: 'gated', read: (name, range) => inner.read(name, range), stat: (name) => inner.stat(name), list: (prefix) => inner.list(prefix), delete: (name) => inner.delete(name),
        serverTimeMs: () => inner.serverTimeMs(), close: () => Promise.resolve(),
        async create(name, data) {
          let answer: 'created' | 'exists' = 'exists';
          const mark = async (): Promise<void> => { answer = await inner.create(name, data); };
          await (name.endsWith('0001') ? meet(mark, other, both) : mark());
          return answer;
        },
      });
      if (way === 1) await Promise.all([attempt(gated(() => Promise.resolve()), a), attempt(gated(() => Promise.resolve()), b)]);
      else await attempt(gated(() => attempt(inner, b)), a);
      assert.ok((await listRecoveryPoints(plain, 'web')).points.length > 0, `way ${way}`);
    }
  });
});

describe('a policy that keeps less', () => {
  let vault: VaultAccess;
  const nowMs = LAST_MS + HOUR_MS;
  beforeEach(async () => {
    vault = makeVault(createMemoryStore({ clock: () => nowMs }));
    await storePoints(vault, 'web', everyDay(LAST_MS, 10));
    await storePoints(vault, 'db', everyDay(LAST_MS, 4));
  });
  const refusal = async (document: PolicyDocument, confirm: string | null = null): Promise<string> => {
    let token = '';
    await assert.rejects(requireConfirmedChange(vault, document, confirm, nowMs), (error) => {
      if (!isHoldfastError(error, 'CONFIRMATION_NEEDED')) return false;
      token = String(error.data.confirm);
      return true;
    });
    return token;
  };

  it('is refused until the token of exactly this change comes back', async () => {
    await savePolicy(vault.store, policy({ keepLast: 8 }), null);
    const smaller = policy({ keepLast: 3 });
    const change = await compareRetention(vault, smaller, nowMs);
    assert.deepEqual([change.revision, change.less, change.items.map(({ itemId, goes, kept }) => [itemId, goes.length, kept])], [1, ['keepLast: 8 → 3'], [['db', 1, 3], ['web', 5, 3]]]);
    const token = await refusal(smaller);
    assert.equal(token, change.token);
    await refusal(policy({ keepLast: 2 }), token);
    assert.equal(await requireConfirmedChange(vault, smaller, token, nowMs), 1);
    await storePoints(vault, 'db', [LAST_MS + 1000]);
    await refusal(smaller, token);
    await savePolicy(vault.store, policy({ keepLast: 9 }), null);
    await refusal(smaller, await refusal(smaller).then((fresh) => `${fresh}x`));
  });

  it('is noticed when nothing goes today, when a day is changed, when it comes into force again; a larger one passes', async () => {
    await savePolicy(vault.store, policy({ keepLast: 8, yearly: { count: 7 } }), null);
    await refusal(policy({ keepLast: 8, yearly: { count: 6 } }));
    await refusal(policy({ keepLast: 8 }));
    assert.equal(await requireConfirmedChange(vault, policy({ keepLast: 9, yearly: { count: 7 }, daily: { count: 1 } }), null, nowMs), 1);
    await savePolicy(vault.store, policy({ weekly: { count: 2, weekday: 'sunday' } }), null);
    await refusal(policy({ weekly: { count: 2, weekday: 'thursday' } }));
    const disabled = policy({ keepLast: 1 }, { enabled: false });
    assert.equal(await requireConfirmedChange(vault, disabled, null, nowMs), 2, 'a policy that is disabled lets nothing go');
    await savePolicy(vault.store, disabled, null);
    await refusal(policy({ keepLast: 1 }));
  });
});
