import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isHoldfastError, toReport } from '../../errors/holdfast-error';
import type { ErrorCode } from '../../errors/catalogue';
import { findManifest } from '../../vault/format/manifest';
import { markDeleted } from '../../vault/points/marks';
import { abandonRun, commitRun, latestCommitted, newestPoint, openRun, runEnd, type OpenRunRequest, type RunRef, sealRun } from '../../vault/run';
import { createMemoryStore } from '../../vault/store/memory-store';
import type { Store } from '../../vault/store/store';
import type { VaultAccess } from '../../vault/format/tree';
import { createFaultStore } from '../support/fault-store';
import { HOUR_MS, makeManifest, runRequest, STAMP_A, STAMP_B } from '../support/vault-manifests';
import { makeVault, START_MS, testKeys } from '../support/vault-kit';
import { type Choose, everySchedule, interleave } from '../support/vault-scheduler';

const reason = toReport(new Error('the test gave it up'));
const code = (wanted: ErrorCode) => (error: unknown): boolean => isHoldfastError(error, wanted);

async function names(store: Store, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of store.list(prefix)) found.push(name);
  return found;
}

/** What must hold whatever ran, in whatever order: I1 and I3 as far as runs decide them. */
async function assertConsistent(vault: VaultAccess, committed: ReadonlyMap<string, RunRef>): Promise<void> {
  for (const stamp of [STAMP_A, STAMP_B]) {
    const point = await findManifest(vault, 'item', stamp);
    if (!point) continue;
    const end = await runEnd(vault, { itemId: 'item', sequence: point.manifest.sequence, stamp });
    assert.ok(end === undefined || end.outcome === 'committed', 'a recovery point is of a run that was not given up');
  }
  for (const [owner, run] of committed) {
    const point = await findManifest(vault, 'item', run.stamp);
    assert.equal(point?.manifest.sequence, run.sequence, `${owner} was told that it committed run ${run.sequence}`);
  }
}

/** The whole of a run as an orchestration does it. Expected outcomes end it; anything else fails the test. */
async function fullRun(vault: VaultAccess, request: OpenRunRequest, committed: Map<string, RunRef>): Promise<string> {
  try {
    const run = await openRun(vault, request);
    await sealRun(vault, run, makeManifest(run, request.owner));
    await commitRun(vault, run, request.nowMs);
    committed.set(request.owner, run);
    return 'committed';
  } catch (error) {
    if (!isHoldfastError(error) || !['RUN_IN_PROGRESS', 'SLOT_TAKEN', 'RUN_ABANDONED'].includes(error.code)) throw error;
    return error.code;
  }
}

async function race(requests: readonly OpenRunRequest[], choose: Choose): Promise<string[]> {
  const [store, keys, committed] = [createMemoryStore(), testKeys(), new Map<string, RunRef>()];
  const outcomes: string[] = [];
  await interleave(store, requests.map((request, index) => async (gated: Store) => {
    outcomes[index] = await fullRun({ store: gated, keys }, request, committed);
  }), choose);
  await assertConsistent({ store, keys }, committed);
  // Whatever happened, the item is not blocked: someone later gets through.
  const later = runRequest('later', { stamp: '20261130T010000Z', nowMs: START_MS + 10 * HOUR_MS });
  assert.equal(await fullRun({ store, keys }, later, committed), 'committed');
  await assertConsistent({ store, keys }, committed);
  return outcomes;
}

describe('runs that meet', () => {
  const late = { nowMs: START_MS + 2 * HOUR_MS };
  const meetings: [string, OpenRunRequest[], (outcomes: string[]) => void][] = [
    ['two owners of one slot: exactly one commits', [runRequest('a'), runRequest('b')],
      (outcomes) => assert.equal(outcomes.filter((one) => one === 'committed').length, 1, outcomes.join())],
    ['the same owner twice: both are told of the one recovery point', [runRequest('a'), runRequest('a')],
      (outcomes) => assert.deepEqual(outcomes, ['committed', 'committed'])],
    ['a successor after the deadline, for another slot: it always gets through', [runRequest('a'), runRequest('b', { ...late, stamp: STAMP_B })],
      (outcomes) => assert.equal(outcomes[1], 'committed')],
    ['a successor after the deadline, for the same slot: one recovery point, never none', [runRequest('a'), runRequest('b', late)],
      (outcomes) => assert.equal(outcomes.filter((one) => one === 'committed').length, 1, outcomes.join())],
    ['a successor that knows the owner gone, wrongly', [runRequest('a'), runRequest('b', { stamp: STAMP_B, isOwnerGone: () => true })],
      (outcomes) => assert.equal(outcomes[1], 'committed')],
  ];
  for (const [what, requests, check] of meetings) {
    it(`${what}, in every schedule with up to two switches`, async () => {
      const played = await everySchedule(2, async (choose) => check(await race(requests, choose)));
      assert.ok(played > 50, `${played} schedules`);
    });
  }

  it('three runs at once, one after its deadline, in random schedules', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.nat(2), { minLength: 60, maxLength: 60 }), async (choices) => {
      let at = 0;
      const outcomes = await race([runRequest('a'), runRequest('b', { isOwnerGone: (owner) => owner === 'a' }), runRequest('c', { ...late, stamp: STAMP_B })],
        (waiting) => (choices[at++ % choices.length] as number) % waiting.length);
      assert.ok(outcomes.includes('committed'));
    }), { numRuns: 120 });
  });
});

describe('a run that is cut off', () => {
  const flow = async (vault: VaultAccess, owner: string, nowMs: number): Promise<RunRef> => {
    const run = await openRun(vault, runRequest(owner, { nowMs }));
    await sealRun(vault, run, makeManifest(run, owner));
    await commitRun(vault, run, nowMs);
    return run;
  };

  async function callsOfFlow(): Promise<{ operation: 'create' | 'read' | 'stat' | 'list' | 'delete'; name: string }[]> {
    const store = createFaultStore(createMemoryStore());
    await flow({ store, keys: testKeys() }, 'a', START_MS);
    return [...store.calls];
  }

  for (const when of ['before', 'after'] as const) {
    for (const successor of ['a', 'b']) {
      it(`at every call of the store, ${when} its effect: ${successor === 'a' ? 'the same owner' : 'a successor'} brings it to one recovery point`, async () => {
        const calls = await callsOfFlow();
        assert.ok(calls.length >= 8);
        for (const [index, { operation }] of calls.entries()) {
          if (when === 'after' && operation !== 'create') continue; // Reading has no effect that could come after.
          const inner = createMemoryStore();
          const store = createFaultStore(inner);
          store.plan({ operation, matching: /^/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when }, after: calls.slice(0, index).filter((one) => one.operation === operation).length });
          await assert.rejects(flow({ store, keys: testKeys() }, 'a', START_MS), code('STORE_UNREACHABLE'), `call ${index} ${operation}`);
          store.assertAllFired();
          const vault = { store: inner, keys: testKeys() };
          await flow(vault, successor, START_MS + 2 * HOUR_MS).catch((error: unknown) => {
            if (!isHoldfastError(error, 'SLOT_TAKEN')) throw error;
          });
          const point = await findManifest(vault, 'item', STAMP_A);
          assert.ok(point, `call ${index}: the recovery point is there`);
          assert.equal((await names(inner, 'recovery-points/')).length, 1);
          assert.equal((await latestCommitted(vault, 'item'))?.manifest.sequence, point.manifest.sequence);
        }
      });
    }
  }
});

describe('a run', () => {
  let vault: VaultAccess;
  beforeEach(() => { vault = makeVault(); });

  it('of another owner is in progress until its deadline, and is then given up, with that reason', async () => {
    const run = await openRun(vault, runRequest('a'));
    await assert.rejects(openRun(vault, runRequest('b', { nowMs: START_MS + HOUR_MS })), code('RUN_IN_PROGRESS'));
    const next = await openRun(vault, runRequest('b', { nowMs: START_MS + HOUR_MS + 1 }));
    assert.equal(next.sequence, run.sequence + 1);
    const end = await runEnd(vault, run);
    assert.equal(end?.outcome, 'abandoned');
    assert.match(end?.error?.message ?? '', /time was over/);
  });

  it('that was given up never commits, and a zombie that seals is told so', async () => {
    const zombie = await openRun(vault, runRequest('a'));
    const next = await openRun(vault, runRequest('b', { isOwnerGone: () => true }));
    await assert.rejects(sealRun(vault, zombie, makeManifest(zombie, 'a')), code('RUN_ABANDONED'));
    await assert.rejects(commitRun(vault, zombie, START_MS), code('RUN_ABANDONED'));
    assert.deepEqual(await names(vault.store, 'recovery-points/'), []);
    await sealRun(vault, next, makeManifest(next, 'b'));
    await commitRun(vault, next, START_MS);
    assert.equal((await latestCommitted(vault, 'item'))?.manifest.source.name, 'b');
  });

  it('that is sealed is finished by a successor, with what was sealed', async () => {
    const run = await openRun(vault, runRequest('a'));
    await sealRun(vault, run, makeManifest(run, 'a'));
    await assert.rejects(openRun(vault, runRequest('b')), code('SLOT_TAKEN'));
    assert.equal((await findManifest(vault, 'item', STAMP_A))?.manifest.source.name, 'a');
    assert.equal(await abandonRun(vault, run, reason, START_MS), 'committed');
  });

  it('sealed twice keeps its first manifest; committed twice is the same', async () => {
    const run = await openRun(vault, runRequest('a'));
    await sealRun(vault, run, makeManifest(run, 'first'));
    await sealRun(vault, run, makeManifest(run, 'second'));
    assert.equal((await commitRun(vault, run, START_MS)).source.name, 'first');
    const before = await names(vault.store, '');
    assert.equal((await commitRun(vault, run, START_MS)).source.name, 'first');
    assert.deepEqual(await names(vault.store, ''), before);
    assert.deepEqual(await openRun(vault, runRequest('a')), run, 'the same owner gets its run again');
  });

  it('that was never sealed does not commit', async () => {
    const run = await openRun(vault, runRequest('a'));
    await assert.rejects(commitRun(vault, run, START_MS), code('RUN_ABANDONED'));
  });

  it('is not sealed with the manifest of another run', async () => {
    const run = await openRun(vault, runRequest('a'));
    for (const other of [{ ...run, sequence: 2 }, { ...run, stamp: STAMP_B }, { ...run, itemId: 'other' }]) {
      await assert.rejects(sealRun(vault, run, makeManifest(other, 'a')), code('INTERNAL'));
    }
  });

  it('that has ended does not bring back a recovery point that was deleted since', async () => {
    const run = await openRun(vault, runRequest('a'));
    await sealRun(vault, run, makeManifest(run, 'a'));
    await commitRun(vault, run, START_MS);
    await vault.store.delete(`recovery-points/item/${STAMP_A}`);
    await commitRun(vault, run, START_MS);
    assert.equal(await abandonRun(vault, run, reason, START_MS), 'committed');
    assert.deepEqual(await names(vault.store, 'recovery-points/'), []);
  });

  it('keeps the reason that decided, when a successor only finishes what was begun', async () => {
    const inner = vault.store;
    const store = createFaultStore(inner);
    const run = await openRun(vault, runRequest('a'));
    store.plan({ operation: 'create', matching: /end$/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(abandonRun({ store, keys: vault.keys }, run, reason, START_MS), code('STORE_UNREACHABLE'));
    store.assertAllFired();
    await openRun(vault, runRequest('b'));
    assert.match((await runEnd(vault, run))?.error?.message ?? '', /the test gave it up/);
  });

  it('is refused when the store cannot tell what ran before', async () => {
    await openRun(vault, runRequest('a'));
    const store = createFaultStore(vault.store);
    store.plan({ operation: 'list', matching: /^runs/, fault: { kind: 'tornList', code: 'STORE_UNREACHABLE', count: 0 } });
    await assert.rejects(openRun({ store, keys: vault.keys }, runRequest('b')), code('STORE_UNREACHABLE'));
    store.assertAllFired();
  });

  it('follows a long past: 150,000 runs', async () => {
    const inner = vault.store;
    const store: Store = { ...inner, serverTimeMs: () => inner.serverTimeMs(), description: 'long past', close: () => Promise.resolve(),
      create: (name, data) => inner.create(name, data), read: (name) => inner.read(name), stat: (name) => inner.stat(name), delete: (name) => inner.delete(name),
      async *list() { for (let sequence = 1; sequence <= 150_000; sequence++) yield { name: `runs/item/${String(sequence).padStart(10, '0')}/end`, sizeBytes: 1, modifiedAtMs: 0 }; } };
    await assert.rejects(openRun({ store, keys: vault.keys }, runRequest('a')), (error) => code('VAULT_DAMAGED')(error) && /0000150000/.test((error as Error).message));
  });

  it('is of the item alone: names that begin alike do not mix, and foreign names are passed over', async () => {
    await openRun(vault, runRequest('a', { itemId: 'item-2' }));
    await vault.store.create('runs/item/notes', Buffer.from('x'));
    assert.equal((await openRun(vault, runRequest('b'))).sequence, 1);
  });

  it('follows the newest recovery point that is still there', async () => {
    const manifests: RunRef[] = [];
    for (const [index, stamp] of [STAMP_A, STAMP_B].entries()) {
      const run = await openRun(vault, runRequest(`o${index}`, { stamp }));
      await sealRun(vault, run, makeManifest(run, stamp));
      await commitRun(vault, run, START_MS);
      manifests.push(run);
    }
    assert.equal((await latestCommitted(vault, 'item'))?.manifest.stamp, STAMP_B);
    await vault.store.delete(`recovery-points/item/${STAMP_B}`);
    assert.equal((await latestCommitted(vault, 'item'))?.manifest.stamp, STAMP_A);
    assert.equal(manifests.length, 2);
  });

  describe('when the newest recovery point is damaged', () => {
    const [olderId, newerId] = [`item.${STAMP_A}`, `item.${STAMP_B}`];
    const damage = async (name: string): Promise<void> => {
      const { length } = await vault.store.read(name);
      await vault.store.delete(name);
      await vault.store.create(name, Buffer.alloc(length, 1));
    };
    beforeEach(async () => {
      for (const stamp of [STAMP_A, STAMP_B]) {
        const run = await openRun(vault, runRequest(stamp, { stamp }));
        await sealRun(vault, run, makeManifest(run, stamp));
        await commitRun(vault, run, START_MS);
      }
    });

    it('goes on from the newest that opens, and tells of the others and what is wrong with them', async () => {
      await damage(`recovery-points/item/${STAMP_B}`);
      const { point, passedOver } = await newestPoint(vault, 'item');
      assert.equal(point?.manifest.id, olderId);
      assert.deepEqual(passedOver.map(({ id, damage: found }) => [id, found?.code]), [[newerId, 'DOCUMENT_DAMAGED']]);
      await damage(`recovery-points/item/${STAMP_A}`);
      const none = await newestPoint(vault, 'item');
      assert.deepEqual([none.point, none.passedOver.map(({ id }) => id)], [undefined, [newerId, olderId]]);
      await assert.rejects(openRun(vault, runRequest('x', { stamp: STAMP_B })), code('SLOT_TAKEN'), 'a damaged one keeps its slot');
      assert.equal((await openRun(vault, runRequest('y', { stamp: '20261125T010000Z' }))).sequence, 3);
    });

    it('tells one that is not there any more from one that was deleted', async () => {
      await vault.store.delete(`recovery-points/item/${STAMP_B}`);
      assert.deepEqual((await newestPoint(vault, 'item')).passedOver.map(({ damage: found }) => found?.code), ['HISTORY_BROKEN']);
      await markDeleted(vault, olderId, { by: 'test', serverNowMs: START_MS }, { reason: 'asked', policy: null });
      assert.deepEqual((await newestPoint(vault, 'item')).passedOver[1], { id: olderId, damage: null });
    });

    it('takes the run\'s verdict for its end where that does not open', async () => {
      await damage('runs/item/0000000002/end');
      assert.equal((await newestPoint(vault, 'item')).point?.manifest.id, newerId);
    });

    it('43: takes one of a newer format for no damage: who cannot read it does not write either', async () => {
      const name = `recovery-points/item/${STAMP_B}`;
      const bytes = Buffer.from(await vault.store.read(name));
      bytes[4] = 2;
      await vault.store.delete(name);
      await vault.store.create(name, bytes);
      await assert.rejects(newestPoint(vault, 'item'), code('VAULT_NEWER_FORMAT'));
    });

    it('is held up by no run that sealed it and did not come to its end, and never calls that run a success', async () => {
      const run = await openRun(vault, runRequest('c', { stamp: '20261125T010000Z' }));
      await sealRun(vault, run, makeManifest(run, 'c'));
      await vault.store.create(`recovery-points/item/${run.stamp}`, Buffer.from('not a manifest'));
      await assert.rejects(commitRun(vault, run, START_MS), code('DOCUMENT_DAMAGED'));
      await vault.store.delete('runs/item/0000000003/end');
      const next = await openRun(vault, runRequest('d', { stamp: '20261126T010000Z' }));
      assert.equal(next.sequence, 4);
      assert.deepEqual((await newestPoint(vault, 'item')).passedOver.map(({ id }) => id), [`item.${run.stamp}`]);
    });
  });
});
