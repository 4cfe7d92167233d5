import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ErrorCode } from '../../../errors/catalogue';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { MAX_RUN_HOURS } from '../../../policy/limits';
import { listItems, listRecoveryPoints, resolveRecoveryPoint } from '../../../vault/catalog';
import { createDocument } from '../../../vault/format/documents';
import { manifestName } from '../../../vault/format/manifest';
import { MARGINS } from '../../../vault/points/margins';
import { markDeleted, markHeld, markPurged, markReleased, markUndeleted, type MarkState, readMarks, readMarksOf, type Tombstone } from '../../../vault/points/marks';
import { commitRun, latestCommitted, openRun, sealRun } from '../../../vault/run';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { Store } from '../../../vault/store/store';
import type { VaultAccess } from '../../../vault/format/tree';
import { createFaultStore } from '../../support/fault-store';
import { makeManifest, runRequest, STAMP_A, STAMP_B } from '../../support/vault-manifests';
import { makeVault as vaultOf, START_MS, testKeys } from '../../support/vault-kit';
import { everySchedule, interleave } from '../../support/vault-scheduler';

const [A, B] = [`item.${STAMP_A}`, `item.${STAMP_B}`];
const asked = { reason: 'asked', policy: null } as const;
const tombstone: Tombstone = { sequence: 1, parentSequence: null, digest: null, trees: [null] };
const at = (serverNowMs: number, by = 'test') => ({ by, serverNowMs });
const now = at(START_MS);
const later = at(START_MS + MARGINS.binMs);
const code = (wanted: ErrorCode) => (error: unknown): boolean => isHoldfastError(error, wanted);

async function commit(vault: VaultAccess, stamp: string): Promise<void> {
  const run = await openRun(vault, runRequest(stamp, { stamp }));
  await sealRun(vault, run, makeManifest(run, stamp));
  await commitRun(vault, run, START_MS);
}

async function purge(vault: VaultAccess, id: string): Promise<void> {
  await markDeleted(vault, id, now, asked);
  await markPurged(vault, id, later, tombstone);
  await vault.store.delete(manifestName('item', id.slice(5)));
}

/** A vault whose store got everything when it was decided. */
const makeVault = (): VaultAccess => vaultOf(createMemoryStore({ clock: () => START_MS }));

describe('marks of recovery points', () => {
  let vault: VaultAccess;

  beforeEach(async () => {
    vault = makeVault();
    await commit(vault, STAMP_A);
    await commit(vault, STAMP_B);
  });

  it('take a recovery point into the bin and out of it again', async () => {
    const binned = await markDeleted(vault, A, at(START_MS, 'anna'), { reason: 'retention', policy: 'daily' });
    assert.deepEqual([binned.state, binned.binUntil, binned.deleted], ['binned', new Date(START_MS + MARGINS.binMs).toISOString(), { at: new Date(START_MS).toISOString(), by: 'anna', reason: 'retention', policy: 'daily' }]);
    assert.deepEqual(await readMarksOf(vault, A), binned);
    assert.equal((await markUndeleted(vault, A, now)).state, 'live');
    assert.deepEqual([(await readMarksOf(vault, A)).wasDeleted, (await readMarksOf(vault, B)).count], [true, 0]);
  });

  it('fault 5: said twice, they count once', async () => {
    for (let twice = 0; twice < 2; twice++) assert.equal((await markHeld(vault, A, now, 'case 7')).count, 1);
    await markReleased(vault, A, now, 'case 7');
    for (let twice = 0; twice < 2; twice++) assert.equal((await markDeleted(vault, A, now, asked)).count, 3);
    for (let twice = 0; twice < 2; twice++) assert.equal((await markUndeleted(vault, A, now)).count, 4);
    await markDeleted(vault, A, now, asked);
    for (let twice = 0; twice < 2; twice++) assert.equal((await markPurged(vault, A, later, tombstone)).count, 6);
  });

  it('a hold keeps a recovery point from the bin and, in the bin, from going', async () => {
    await markHeld(vault, A, now, 'case 7');
    await assert.rejects(markDeleted(vault, A, now, asked), (error) => code('RECOVERY_POINT_HELD')(error) && /"case 7" \(by test\)/.test((error as Error).message));
    await markDeleted(vault, B, now, asked);
    await markHeld(vault, B, now, 'case 8');
    await assert.rejects(markPurged(vault, B, later, tombstone), code('RECOVERY_POINT_HELD'));
    await assert.rejects(markReleased(vault, B, now, 'case 7'), (error) => code('HOLD_NOT_FOUND')(error) && /its holds: "case 8"/.test((error as Error).message));
    await markHeld(vault, B, now, 'second');
    assert.equal((await markReleased(vault, B, now, 'case 8')).held, true);
    assert.equal((await markReleased(vault, B, now, 'second')).held, false);
    assert.equal((await markPurged(vault, B, later, tombstone)).state, 'purged');
  });

  it('7, 12: a mark that came to be there weeks after it was decided gives no less time in the bin, whatever it says', async () => {
    let storeMs = START_MS;
    const late = vaultOf(createMemoryStore({ clock: () => storeMs }));
    await commit(late, STAMP_A);
    storeMs = later.serverNowMs;
    assert.equal((await markDeleted(late, A, now, asked)).binUntil, new Date(later.serverNowMs).toISOString());
    for (const nowMs of [later.serverNowMs, later.serverNowMs + MARGINS.binMs - 2 * MARGINS.clockToleranceMs]) await assert.rejects(markPurged(late, A, at(nowMs), tombstone), code('RECOVERY_POINT_NOT_DUE'));
    assert.equal((await markPurged(late, A, at(later.serverNowMs + MARGINS.binMs), tombstone)).state, 'purged');
  });

  it('nothing goes before its time in the bin is over by the store\'s clock, and no bin is shorter than 14 days', async () => {
    await assert.rejects(markPurged(vault, A, later, tombstone), code('RECOVERY_POINT_NOT_DUE'));
    await markDeleted(vault, A, now, asked);
    await assert.rejects(markPurged(vault, A, at(later.serverNowMs - 1), tombstone), code('RECOVERY_POINT_NOT_DUE'));
    assert.throws(() => markDeleted(vault, B, now, asked, MARGINS.binMs - 1), code('INTERNAL'));
    assert.ok(MARGINS.binMs >= 14 * 24 * 3_600_000 && MARGINS.binMs > MARGINS.longestRunMs + MARGINS.clockToleranceMs, 'the bin outlasts every run');
    assert.equal(MARGINS.longestRunMs, MAX_RUN_HOURS * 3_600_000);
  });

  it('nothing is said of what is gone, or never was', async () => {
    await purge(vault, A);
    for (const act of [markUndeleted(vault, A, later), markDeleted(vault, A, later, asked), markHeld(vault, A, later, 'x'), markReleased(vault, A, later, 'x')]) await assert.rejects(act, code('RECOVERY_POINT_DELETED'));
    for (const act of [markDeleted(vault, 'item.20200101T000000Z', now, asked), markHeld(vault, 'item.20200101T000000Z', now, 'x'), markDeleted(vault, '../x', now, asked)]) await assert.rejects(act, code('RECOVERY_POINT_NOT_FOUND'));
    for (const bad of ['', ' x', 'x'.repeat(81), 'a\nb', 'a\u0000']) await assert.rejects(markHeld(vault, B, now, bad), code('REQUEST_INVALID'));
    assert.equal((await readMarks(vault)).marked.size, 1);
  });

  it('are what lists go by: the bin only when asked for, what is gone never', async () => {
    const ids = async (deleted: boolean): Promise<string[]> => (await listRecoveryPoints(vault, undefined, { deleted })).points.map(({ manifest, marks }) => `${manifest.stamp} ${marks.state}`);
    await markDeleted(vault, B, now, asked);
    assert.deepEqual(await ids(false), [`${STAMP_A} live`]);
    assert.deepEqual(await ids(true), [`${STAMP_A} live`, `${STAMP_B} binned`]);
    assert.equal((await resolveRecoveryPoint(vault, 'latest')).manifest.id, A);
    await assert.rejects(resolveRecoveryPoint(vault, B), (error) => code('RECOVERY_POINT_DELETED')(error) && /lies in the bin until 2026-12-07/.test((error as Error).message));
    assert.equal((await resolveRecoveryPoint(vault, B, undefined, { deleted: true })).marks.state, 'binned');
    assert.deepEqual((await listItems(vault)).map(({ recoveryPoints, latest }) => [recoveryPoints, latest?.id]), [[1, A]]);
    await markPurged(vault, B, later, tombstone);
    // Its manifest is still there: whoever purged it died in between.
    assert.deepEqual(await ids(true), [`${STAMP_A} live`]);
    await assert.rejects(resolveRecoveryPoint(vault, B, undefined, { deleted: true }), code('RECOVERY_POINT_DELETED'));
  });

  it('a deleted recovery point is no parent, and keeps its slot', async () => {
    assert.equal((await latestCommitted(vault, 'item'))?.manifest.id, B);
    await purge(vault, B);
    assert.equal((await latestCommitted(vault, 'item'))?.manifest.id, A);
    await assert.rejects(openRun(vault, runRequest('someone else', { stamp: STAMP_B })), (error) => code('SLOT_TAKEN')(error) && /was deleted/.test((error as Error).message));
  });

  it('fault 7: a commit that wakes after its recovery point is gone does not bring it back', async () => {
    const run = await openRun(vault, runRequest('zombie', { stamp: '20261125T010000Z' }));
    await sealRun(vault, run, makeManifest(run, 'zombie'));
    const store = createFaultStore(vault.store);
    store.plan({ operation: 'create', matching: /end$/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(commitRun({ ...vault, store }, run, START_MS), code('STORE_UNREACHABLE'));
    await purge(vault, 'item.20261125T010000Z');
    await commitRun(vault, run, START_MS);
    assert.deepEqual((await listRecoveryPoints(vault, undefined, { deleted: true })).points.map(({ manifest }) => manifest.id), [A, B]);
    assert.equal(await vault.store.stat(manifestName('item', '20261125T010000Z')), undefined);
  });

  it('cost one list and a read for each mark, whatever the number of recovery points and tombstones', async () => {
    for (let day = 1; day <= 20; day++) await commit(vault, `202612${String(day).padStart(2, '0')}T010000Z`);
    for (const id of [A, B]) await purge(vault, id);
    await markDeleted(vault, 'item.20261203T010000Z', now, asked);
    const store = createFaultStore(vault.store);
    await listRecoveryPoints({ ...vault, store });
    const calls = store.calls.filter(({ name }) => name.startsWith('marks/'));
    assert.deepEqual(calls.map(({ operation, name }) => `${operation} ${name}`), ['list marks/', 'read marks/item/20261203T010000Z/0001']);
  });

  it('fault 13: a list or a read that fails is no empty list', async () => {
    await markDeleted(vault, A, now, asked);
    for (const operation of ['list', 'read'] as const) {
      const store = createFaultStore(vault.store);
      store.plan({ operation, matching: /^marks/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
      await assert.rejects(listRecoveryPoints({ ...vault, store }), code('STORE_UNREACHABLE'));
      store.assertAllFired();
    }
  });
});

describe('marks that do not open', () => {
  const name = (number: string): string => `marks/item/${STAMP_A}/${number}`;
  const base = { version: 1, at: new Date(START_MS).toISOString(), by: 'test' };
  const deleted = { ...base, kind: 'deleted', binUntil: new Date(START_MS + MARGINS.binMs).toISOString(), ...asked };
  const cases: [string, (vault: VaultAccess) => Promise<unknown>][] = [
    ['damaged', (vault) => vault.store.create(name('0002'), Buffer.from('HFDC and nonsense'))],
    ['of a kind that is not known', (vault) => createDocument(vault, name('0002'), { ...base, kind: 'sold' })],
    ['of a newer version', (vault) => createDocument(vault, name('0002'), { ...base, version: 2, kind: 'held', label: 'x' })],
    ['not allowed where it stands', (vault) => createDocument(vault, name('0002'), deleted)],
    ['after a gap', (vault) => createDocument(vault, name('0003'), { ...base, kind: 'undeleted' })],
    ['with a name of another kind', (vault) => createDocument(vault, name('0002x'), { ...base, kind: 'undeleted' })],
    ['moved here from another recovery point', async (vault) => {
      await commit(vault, STAMP_B);
      await markHeld(vault, B, now, 'x');
      await vault.store.create(name('0002'), await vault.store.read(`marks/item/${STAMP_B}/0001`));
    }],
    ['purged before its time', (vault) => createDocument(vault, name('0002'), { ...base, kind: 'purged', ...tombstone })],
  ];
  for (const [what, spoil] of cases) {
    it(`${what}: the recovery point is live, held and reported, and nothing more is decided`, async () => {
      const vault = makeVault();
      await commit(vault, STAMP_A);
      await markDeleted(vault, A, now, asked);
      await spoil(vault);
      const state = await readMarksOf(vault, A);
      assert.deepEqual([state.state, state.held], ['live', true]);
      assert.ok(state.damaged);
      for (const act of [markPurged(vault, A, later, tombstone), markDeleted(vault, A, now, asked), markUndeleted(vault, A, now)]) await assert.rejects(act, code('DOCUMENT_DAMAGED'));
      assert.ok((await listRecoveryPoints(vault)).points.find(({ manifest }) => manifest.id === A)?.marks.damaged);
    });
  }

  it('after a recovery point is gone it stays gone', async () => {
    const vault = makeVault();
    await commit(vault, STAMP_A);
    await markDeleted(vault, A, now, asked);
    await markPurged(vault, A, later, tombstone);
    await createDocument(vault, name('0003'), { ...base, kind: 'undeleted' });
    const state = await readMarksOf(vault, A);
    assert.deepEqual([state.state, state.tombstone?.sequence, state.damaged?.code], ['purged', 1, 'DOCUMENT_DAMAGED']);
  });
});

/** What a decider may come back with when another one was faster. */
const EXPECTED: readonly ErrorCode[] = ['RECOVERY_POINT_HELD', 'RECOVERY_POINT_DELETED', 'RECOVERY_POINT_NOT_DUE', 'HOLD_NOT_FOUND'];

describe('marks: two that decide at once (fault 6, fault 12)', () => {
  type Act = (vault: VaultAccess) => Promise<MarkState>;
  const acts: Record<string, Act> = {
    delete: (vault) => markDeleted(vault, A, now, asked),
    undelete: (vault) => markUndeleted(vault, A, later),
    hold: (vault) => markHeld(vault, A, later, 'x'),
    release: (vault) => markReleased(vault, A, later, 'x'),
    purge: (vault) => markPurged(vault, A, later, tombstone),
  };
  const pairs = Object.keys(acts).flatMap((one, index, all) => all.slice(index).map((other) => [one, other] as const));
  for (const prepared of ['live', 'binned'] as const) {
    it(`${prepared}: every pair in every schedule, the marks fold without a finding and each is told what became of it`, async () => {
      for (const pair of pairs) {
        await everySchedule(2, async (choose) => {
          const [store, keys] = [createMemoryStore({ clock: () => START_MS }), testKeys()];
          const vault = { store, keys };
          await commit(vault, STAMP_A);
          if (prepared === 'binned') await markDeleted(vault, A, now, asked);
          const told: (MarkState | ErrorCode)[] = [];
          await interleave(store, pair.map((act, index) => async (gated: Store) => {
            told[index] = await (acts[act] as Act)({ store: gated, keys }).catch((error: unknown) => {
              if (isHoldfastError(error) && EXPECTED.includes(error.code)) return error.code;
              throw error;
            });
          }), choose);
          const end = await readMarksOf(vault, A);
          assert.equal(end.damaged, null, pair.join());
          if (told.some((one) => typeof one !== 'string' && one.state === 'purged')) assert.equal(end.state, 'purged');
          // Who was told that its hold stands: the recovery point is not gone, unless the hold was released.
          const held = told[pair.indexOf('hold')];
          if (held !== undefined && typeof held !== 'string' && !pair.includes('release')) assert.ok(end.held && end.state !== 'purged', pair.join());
        });
      }
    });
  }

  it('in any order of any acts the fold is what the last one was told', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.constantFrom(...Object.values(acts)), { maxLength: 12 }), async (sequence) => {
      const vault = makeVault();
      await commit(vault, STAMP_A);
      let last: MarkState | undefined;
      for (const act of sequence) {
        try {
          last = await act(vault);
        } catch (error) {
          assert.ok(isHoldfastError(error) && EXPECTED.includes(error.code), String(error));
        }
      }
      if (last) assert.deepEqual(await readMarksOf(vault, A), last);
    }), { numRuns: 60 });
  });
});
