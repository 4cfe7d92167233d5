import assert from 'node:assert/strict';
import { approve, type ApprovalRequest, type Asked, createRequest, drawApprovalId, findSame, type Person, readApproval, stopApproval } from '../../activities/approval-records';
import { looser, rulesSchema } from '../../activities/approval-rules';
import { type CarryOut, createSettleApproval, type SettleApprovalResult } from '../../activities/approval-settle';
import type { Outcome } from '../../activities/outcome';
import { HoldfastError } from '../../errors/holdfast-error';
import type { VaultAccess } from '../../vault/format/tree';
import { createMemoryStore } from '../../vault/store/memory-store';
import type { Store } from '../../vault/store/store';
import { makeVault, START_MS } from '../support/vault-kit';

const HOUR_MS = 3_600_000;
const ada: Person = { id: 'ada', name: 'ada', kind: 'user', roles: ['Admin'], from: null };
const bob: Person = { ...ada, id: 'bob', name: 'bob' };
const asked: Asked = {
  askedBy: ada, delayMinutes: 60, expiresHours: 2, kind: 'recovery-point.delete', action: 'recovery-point.delete', what: 'something would be gone', fingerprint: '3',
  call: { route: 'deleteRecoveryPoint', params: { id: 'x' }, query: null, body: null },
};

/** What is to be done: the next of a row of numbered objects, over the number that was agreed to. As marks and revisions are. */
function numbered({ store }: Pick<VaultAccess, 'store'>): CarryOut {
  const count = async (): Promise<number> => {
    let number = 0;
    while (await store.stat(`deeds/${number + 1}`)) number++;
    return number;
  };
  return {
    fingerprint: async () => String(await count()),
    isDone: async () => await count() > 3,
    run: async ({ fingerprint }: ApprovalRequest) => {
      if (await store.create(`deeds/${Number(fingerprint) + 1}`, Buffer.from('x')) === 'exists') throw new HoldfastError('POLICY_CHANGED', 'somebody else was faster');
    },
  };
}

class Died extends Error {}

/** Dies at the call of a number, before or after it had its effect: after that nothing is done any more. */
function dyingAt(store: Store, at: number, when: 'before' | 'after'): Store & { readonly isDead: () => boolean } {
  let calls = 0;
  let dead = false;
  const guard = async <T>(call: () => Promise<T>): Promise<T> => {
    if (dead) throw new Died();
    const mine = ++calls;
    if (mine === at && when === 'before') dead = true;
    if (dead) throw new Died();
    const answer = await call();
    if (mine === at) dead = true;
    if (dead) throw new Died();
    return answer;
  };
  return {
    description: store.description, create: (name, data) => guard(() => store.create(name, data)), read: (name, range) => guard(() => store.read(name, range)), stat: (name) => guard(() => store.stat(name)),
    list: (prefix) => store.list(prefix), delete: (name) => guard(() => store.delete(name)), serverTimeMs: () => store.serverTimeMs(), close: () => Promise.resolve(), isDead: () => dead,
  };
}

async function agreedTo(): Promise<{ readonly store: Store; readonly id: string }> {
  const store = createMemoryStore({ clock: () => START_MS });
  const vault = makeVault(store);
  for (let number = 1; number <= 3; number++) await store.create(`deeds/${number}`, Buffer.from('x'));
  const id = drawApprovalId(START_MS);
  await createRequest(vault, id, asked, START_MS);
  await approve(vault, id, bob, START_MS);
  return { store, id };
}

const settle = (store: Store, id: string, nowMs: number): Promise<Outcome<SettleApprovalResult>> =>
  createSettleApproval({ vault: () => Promise.resolve(makeVault(store)), nowMs: () => nowMs }, numbered({ store }))({ id });

describe('an approval that is due', () => {
  const dueMs = START_MS + HOUR_MS;
  const outcome = async (store: Store, id: string): Promise<[string, number]> => {
    const { state } = await readApproval(makeVault(store), id, dueMs);
    const deeds: string[] = [];
    for await (const { name } of store.list('deeds/')) deeds.push(name);
    return [state, deeds.length];
  };

  it('fault 45: is carried out once, wherever a try of it dies', async () => {
    let deaths = 0;
    for (const when of ['before', 'after'] as const) {
      for (let at = 1; ; at++) {
        const { store, id } = await agreedTo();
        const dying = dyingAt(store, at, when);
        await settle(dying, id, dueMs).catch((error: unknown) => assert.match(String(error), /Died|Error/));
        if (!dying.isDead()) break;
        deaths++;
        await settle(store, id, dueMs);
        assert.deepEqual(await outcome(store, id), ['done', 4], `died ${when} call ${at}`);
      }
    }
    assert.ok(deaths >= 16, `${deaths} deaths`);
  });

  it('fault 6: is carried out once by twins in every order of their calls at which one waits for the other', async () => {
    for (let at = 1; at <= 30; at++) {
      const { store, id } = await agreedTo();
      // The first stops at its nth call until the second is through.
      let release = (): void => undefined;
      const gate = new Promise<void>((resolve) => { release = resolve; });
      let calls = 0;
      const pass = async <T>(call: () => Promise<T>): Promise<T> => {
        if (++calls === at) await gate;
        return call();
      };
      const slow: Store = { ...dyingAt(store, 0, 'before'), create: (name, data) => pass(() => store.create(name, data)), read: (name, range) => pass(() => store.read(name, range)), stat: (name) => pass(() => store.stat(name)) };
      const first = settle(slow, id, dueMs);
      const second = await settle(store, id, dueMs);
      release();
      assert.deepEqual([second.ok, (await first).ok], [true, true]);
      assert.deepEqual(await outcome(store, id), ['done', 4], `the first waited at call ${at}`);
    }
  });

  it('is left alone before its time, and not carried out when it was stopped, expired, or is about something else', async () => {
    const early = await agreedTo();
    assert.deepEqual(await settle(early.store, early.id, dueMs - 1), { ok: true, value: { state: 'approved', wakeAtMs: dueMs } });
    await stopApproval(makeVault(early.store), early.id, 'cancelled', ada, dueMs - 1);
    await settle(early.store, early.id, dueMs);
    assert.deepEqual(await outcome(early.store, early.id), ['cancelled', 3]);
    const late = await agreedTo();
    await settle(late.store, late.id, dueMs);
    await assert.rejects(stopApproval(makeVault(late.store), late.id, 'rejected', bob, dueMs), { code: 'APPROVAL_ENDED' });
    const stale = await agreedTo();
    await stale.store.delete('deeds/3');
    await settle(stale.store, stale.id, dueMs);
    const { state, end } = await readApproval(makeVault(stale.store), stale.id, dueMs);
    assert.deepEqual([state, end?.code], ['refused', 'APPROVAL_STALE']);
    const unseen = makeVault(createMemoryStore({ clock: () => START_MS }));
    const id = drawApprovalId(START_MS);
    await createRequest(unseen, id, asked, START_MS);
    assert.deepEqual(await settle(unseen.store, id, START_MS), { ok: true, value: { state: 'waiting', wakeAtMs: START_MS + 2 * HOUR_MS } });
    await settle(unseen.store, id, START_MS + 2 * HOUR_MS);
    await assert.rejects(approve(unseen, id, bob, START_MS), { code: 'APPROVAL_ENDED' }, 'the verdict counts, whatever the clock says');
  });

  it('is agreed to by one, and by no program; the same is asked for once, and so many at once', async () => {
    const vault = makeVault(createMemoryStore({ clock: () => START_MS }));
    const id = drawApprovalId(START_MS);
    await createRequest(vault, id, asked, START_MS);
    await assert.rejects(approve(vault, id, ada, START_MS), { code: 'APPROVAL_OWN' });
    await assert.rejects(approve(vault, id, { ...bob, kind: 'app' }, START_MS), { code: 'APPROVAL_OWN' });
    assert.equal((await findSame(vault, asked, START_MS))?.id, id);
    assert.equal(await findSame(vault, { ...asked, askedBy: bob }, START_MS), undefined);
    assert.equal(await findSame(vault, { ...asked, fingerprint: '4' }, START_MS), undefined);
    const both = await Promise.allSettled([approve(vault, id, bob, START_MS), approve(vault, id, { ...bob, id: 'eve' }, START_MS)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    for (let more = 0; more < 99; more++) await createRequest(vault, drawApprovalId(START_MS + more), asked, START_MS);
    await assert.rejects(findSame(vault, { ...asked, fingerprint: '4' }, START_MS), { code: 'APPROVALS_FULL' });
    assert.equal(await findSame(vault, { ...asked, fingerprint: '4' }, START_MS + 12 * 24 * HOUR_MS), undefined, 'what was long ago is over');
  });
});

describe('the rules of approvals', () => {
  it('are looser with an action less or a shorter delay, and not with more', () => {
    const rules = rulesSchema.parse({ actions: ['hold.release', 'policy.shrink'], delayMinutes: 60 });
    assert.deepEqual(looser(rules, rules), []);
    assert.deepEqual(looser(rules, { ...rules, actions: [...rules.actions, 'policy.disable'], delayMinutes: 61, expiresHours: 1 }), []);
    assert.equal(looser(rules, { ...rules, actions: ['hold.release'] }).length, 1);
    assert.equal(looser(rules, { ...rules, delayMinutes: 59 }).length, 1);
    assert.equal(looser(rules, { ...rules, actions: [], delayMinutes: 0 }).length, 3);
    assert.deepEqual(looser({ ...rules, actions: [] }, { ...rules, actions: [], delayMinutes: 0 }), [], 'rules that ask for nothing have nothing to loosen');
  });
});
