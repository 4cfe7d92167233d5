import assert from 'node:assert/strict';
import { z } from 'zod';
import { deletePolicy, listPolicies, loadPolicy, savePolicy } from '../../activities/policy-store';
import { assertRunOpen, recall, remember } from '../../activities/work';
import { isHoldfastError } from '../../errors/holdfast-error';
import type { ErrorCode } from '../../errors/catalogue';
import { parsePolicy } from '../../policy/schema';
import { abandonRun, openRun } from '../../vault/run';
import { createMemoryStore } from '../../vault/store/memory-store';
import type { VaultAccess } from '../../vault/format/tree';
import { createFaultStore, createHold } from '../support/fault-store';
import { makeVault, START_MS } from '../support/vault-kit';

const coded = (code: ErrorCode) => (error: unknown): boolean => isHoldfastError(error, code);
const schema = z.object({ version: z.literal(1), value: z.number() });

describe('records of a run', () => {
  let vault: VaultAccess;
  beforeEach(() => { vault = makeVault(); });

  it('are made once; who comes later finds the first', async () => {
    let made = 0;
    const make = () => Promise.resolve({ version: 1 as const, value: ++made });
    assert.deepEqual(await remember(vault, 'work/a/1/x', schema, make), { version: 1, value: 1 });
    assert.deepEqual(await remember(vault, 'work/a/1/x', schema, make), { version: 1, value: 1 });
    assert.equal(made, 1);
  });

  it('6: of two that are made at once, the first counts for both', async () => {
    const store = createFaultStore(vault.store);
    const hold = createHold();
    store.plan({ operation: 'create', matching: /^work\//, fault: { kind: 'hold', hold } });
    const slow = remember({ ...vault, store }, 'work/a/1/x', schema, () => Promise.resolve({ version: 1 as const, value: 1 }));
    await hold.reached;
    const fast = await remember(vault, 'work/a/1/x', schema, () => Promise.resolve({ version: 1 as const, value: 2 }));
    hold.release();
    assert.deepEqual([fast, await slow], [{ version: 1, value: 2 }, { version: 1, value: 2 }]);
    store.assertAllFired();
  });

  it('that must be there and are not, are damage; an error of the store is not an absence', async () => {
    await assert.rejects(recall(vault, 'work/a/1/x', schema), coded('VAULT_DAMAGED'));
    const store = createFaultStore(vault.store);
    store.plan({ operation: 'read', matching: /./, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(remember({ ...vault, store }, 'work/a/1/x', schema, () => assert.fail('nothing is made when it is not known what is there')), coded('STORE_UNREACHABLE'));
  });

  it('7: a step of a run that was given up, or whose time is over, does nothing', async () => {
    const run = await openRun(vault, { itemId: 'web01', stamp: '20261123T010000Z', slot: null, owner: 'me', policy: null, nowMs: START_MS, maxRunMs: 3_600_000 });
    await assertRunOpen(vault, run, START_MS + 3_600_000);
    await assert.rejects(assertRunOpen(vault, run, START_MS + 3_600_001), coded('RUN_ABANDONED'));
    await abandonRun(vault, run, { code: 'CANCELLED', message: 'x', remedy: '', data: {} }, START_MS);
    await assert.rejects(assertRunOpen(vault, run, START_MS), coded('RUN_ABANDONED'));
  });
});

describe('the store of policies', () => {
  const document = (description: string) => parsePolicy({ name: 'nightly', description, schedule: { daily: { at: ['02:00'] } }, items: { all: true } });

  it('keeps every revision and gives the latest, with the time of the store\'s own clock', async () => {
    let nowMs = 1000;
    const store = createMemoryStore({ clock: () => nowMs });
    assert.equal(await savePolicy(store, document('one'), 0), 1);
    nowMs = 2000;
    assert.equal(await savePolicy(store, document('two'), 1), 2);
    const found = await loadPolicy(store, 'nightly');
    assert.deepEqual([found?.revision, found?.storedAtMs, found?.document.description], [2, 2000, 'two']);
    const names: string[] = [];
    for await (const { name } of store.list('policies/')) names.push(name);
    assert.deepEqual(names, ['policies/nightly/00000001.json', 'policies/nightly/00000002.json']);
  });

  it('refuses a change that is based on an older revision', async () => {
    const store = createMemoryStore();
    await savePolicy(store, document('one'), null);
    await assert.rejects(savePolicy(store, document('two'), 0), coded('POLICY_CHANGED'));
    await assert.rejects(savePolicy(store, document('two'), 2), coded('POLICY_CHANGED'));
    await assert.rejects(deletePolicy(store, 'nightly', 2), coded('POLICY_CHANGED'));
    assert.equal((await loadPolicy(store, 'nightly'))?.document.description, 'one');
  });

  it('of two changes at the same moment one wins, and the other is told', async () => {
    const store = createMemoryStore();
    const answers = await Promise.allSettled([savePolicy(store, document('one'), null), savePolicy(store, document('two'), null)]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    const lost = answers.find((answer) => answer.status === 'rejected');
    assert.ok(coded('POLICY_CHANGED')(lost?.reason));
  });

  it('makes a deleted policy anew as a new one, with its revisions going on', async () => {
    const store = createMemoryStore();
    await savePolicy(store, document('one'), null);
    await deletePolicy(store, 'nightly', 1);
    assert.equal(await loadPolicy(store, 'nightly'), undefined);
    await assert.rejects(deletePolicy(store, 'nightly', null), coded('POLICY_NOT_FOUND'));
    assert.deepEqual(await listPolicies(store, () => assert.fail('nothing is broken')), []);
    assert.equal(await savePolicy(store, document('again'), 0), 3);
    assert.equal((await loadPolicy(store, 'nightly'))?.document.description, 'again');
  });

  it('lists the others when one is broken; an error of the store is thrown, never taken for one', async () => {
    const store = createFaultStore(createMemoryStore());
    await savePolicy(store, document('one'), null);
    await store.create('policies/broken/00000001.json', Buffer.from('{'));
    const broken: string[] = [];
    assert.deepEqual((await listPolicies(store, (name) => broken.push(name))).map(({ document: { name } }) => name), ['nightly']);
    assert.deepEqual(broken, ['broken']);
    store.plan({ operation: 'read', matching: /broken/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(listPolicies(store, () => assert.fail()), coded('STORE_UNREACHABLE'));
    store.assertAllFired();
  });
});
