import assert from 'node:assert/strict';
import type { ErrorCode } from '../../../errors/catalogue';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { listRecoveryPoints } from '../../../vault/catalog';
import { createDocument } from '../../../vault/format/documents';
import { BLOCK_BYTES } from '../../../vault/format/format';
import { MARGINS } from '../../../vault/points/margins';
import { markHeld } from '../../../vault/points/marks';
import { lastProofOf, proofTimes, recordProof } from '../../../vault/proof/proofs';
import { openRun, runEnd } from '../../../vault/run';
import type { Store } from '../../../vault/store/store';
import { createFaultStore } from '../../support/fault-store';
import { noise, SparseDisk } from '../../support/vault-kit';
import { DAY_MS, namesOf, OLD_MS, VaultLife } from '../../support/vault-life';

const code = (wanted: ErrorCode, message = /./) => (error: unknown): boolean => isHoldfastError(error, wanted) && message.test(error.message);
const BIN_MS = MARGINS.binMs + DAY_MS;

/** An item with as many recovery points, a day apart, each with changes of its own. */
async function lived(points: number, item = 'alpha', life = new VaultLife()): Promise<VaultLife> {
  const disk = new SparseDisk(60 * BLOCK_BYTES);
  life.disksOf(item).set('os', disk);
  await disk.write(noise(40 * BLOCK_BYTES, 1), 0);
  for (let index = 0; index < points; index++) {
    await disk.write(noise(8 * BLOCK_BYTES, 100 + index), (index % 5) * 8 * BLOCK_BYTES);
    await life.backup(item);
    life.nowMs += DAY_MS;
  }
  return life;
}

const ids = async (life: VaultLife): Promise<string[]> => (await listRecoveryPoints(life.vault, undefined, { deleted: true })).points.map(({ manifest }) => manifest.id);

/** The store with one method replaced. */
const withStore = (store: Store, over: Partial<Store>): Store => ({
  description: store.description, create: (name, data) => store.create(name, data), read: (name, range) => store.read(name, range), stat: (name) => store.stat(name),
  list: (prefix) => store.list(prefix), delete: (name) => store.delete(name), serverTimeMs: () => store.serverTimeMs(), close: () => store.close(), ...over,
});

describe('collection', () => {
  it('keeps what the bin holds, says until when, and frees it when its time is over', async () => {
    const life = await lived(4);
    const [first = ''] = await ids(life);
    await life.delete(first);
    life.nowMs += OLD_MS;
    const early = await life.collect();
    assert.equal(early.deleted.packs, 0);
    assert.deepEqual(early.bin.map(({ id }) => id), [first]);
    await life.undelete(first);
    await life.assertWhole();
    await life.delete(first);
    life.nowMs += BIN_MS;
    assert.deepEqual((await life.collect()).purged, [first]);
    life.nowMs += 1000;
    const late = await life.collect();
    assert.ok(late.deleted.packs > 0 && late.deleted.bytes > 0);
    await life.assertExact();
    await life.assertWhole();
  });

  it('does not purge what is held', async () => {
    const life = await lived(3);
    const [first = ''] = await ids(life);
    await life.delete(first);
    await markHeld(life.vault, first, { by: 'test', serverNowMs: life.nowMs }, 'case 7');
    life.nowMs += BIN_MS;
    const report = await life.collect();
    assert.deepEqual([report.purged, report.bin[0]?.held], [[], true]);
    await life.undelete(first);
    await life.assertWhole();
  });

  it('fault 2, fault 35: packs of a run that died are removed once nobody can need them, and the run is closed though whoever ran it is lost', async () => {
    const life = await lived(2);
    const dead = await life.backup('alpha', { end: 'cut off', full: true });
    const before = (await namesOf(life.store, 'packs/')).length;
    const young = await life.collect();
    assert.deepEqual([young.deleted.packs, young.runs.open.map(({ sequence }) => sequence)], [0, [dead.sequence]], 'it may still be at work');
    life.nowMs += 2 * 3_600_000;
    assert.deepEqual((await life.collect()).runs.settled.map(({ sequence, outcome }) => [sequence, outcome]), [[dead.sequence, 'abandoned']]);
    assert.equal((await runEnd(life.vault, dead))?.outcome, 'abandoned');
    assert.equal((await namesOf(life.store, 'packs/')).length, before);
    life.nowMs += OLD_MS;
    const report = await life.collect();
    assert.ok(report.deleted.packs > 0 && report.work.abandoned > 0);
    assert.deepEqual(await namesOf(life.store, `references/alpha/${String(dead.sequence).padStart(10, '0')}/`), []);
    await life.assertExact();
    await life.assertWhole();
  });

  it('commits a run that was sealed, however long ago, and keeps what it needs', async () => {
    const life = await lived(1);
    await life.backup('alpha', { end: 'sealed', full: true });
    life.nowMs += OLD_MS;
    await life.collect({ dryRun: true });
    assert.equal((await ids(life)).length, 1, 'a dry run changes nothing');
    const report = await life.collect();
    assert.deepEqual([report.runs.settled[0]?.outcome, report.deleted.packs], ['committed', 0]);
    assert.equal((await ids(life)).length, 2);
    await life.assertWhole();
  });

  it('fault 10: what an open run may take over stays, even when it was purged since the run began, and even when the run takes longer than any may', async () => {
    const life = await lived(3);
    const [first = ''] = await ids(life);
    await life.delete(first);
    life.nowMs += BIN_MS - DAY_MS - 60_000;
    // As a clock that is months ahead would write it: by its deadline it is at work for long.
    const run = await openRun(life.vault, { itemId: 'beta', stamp: '20270101T000000Z', slot: null, owner: 'slow', policy: null, nowMs: life.nowMs, maxRunMs: 90 * DAY_MS });
    life.nowMs += 3 * DAY_MS;
    assert.deepEqual((await life.collect()).purged, [first]);
    life.nowMs += 3 * DAY_MS;
    assert.equal((await life.collect()).deleted.packs, 0);
    life.nowMs += 4 * DAY_MS;
    const report = await life.collect();
    assert.deepEqual(report.runs.settled.map(({ sequence, outcome }) => [sequence, outcome]), [[run.sequence, 'abandoned']]);
    assert.ok(report.deleted.packs > 0);
    await life.assertExact();
  });

  it('removes what ended runs kept between their steps, after a while, but what clean-up in the cloud still asks', async () => {
    const life = await lived(2);
    for (const name of ['plan', 'snapshot', 'released', 'd0-0/plan', 'd0-0/r0000/s0000']) await createDocument(life.vault, `work/alpha/0000000002/${name}`, { version: 1 });
    const open = await openRun(life.vault, { itemId: 'alpha', stamp: '20270101T000000Z', slot: null, owner: 'now', policy: null, nowMs: life.nowMs + OLD_MS, maxRunMs: DAY_MS });
    await createDocument(life.vault, `work/alpha/${String(open.sequence).padStart(10, '0')}/d0-0/plan`, { version: 1 });
    life.nowMs += 1000;
    assert.equal((await life.collect({ dryRun: true })).work.work, 0, 'they may be looked into');
    life.nowMs += MARGINS.workKeptMs + DAY_MS;
    assert.equal((await life.collect()).work.work, 2);
    assert.equal((await namesOf(life.store, 'work/')).length, 4);
  });

  it('removes what restores kept between their steps a month after their end, and keeps what decides about a step that wakes late', async () => {
    const life = await lived(1);
    const step = (restore: string, ...names: string[]): Promise<unknown> => Promise.all(names.map((name) => createDocument(life.vault, `restores/${restore}/${name}`, { version: 1 })));
    const kept = ['end', 'machine', 'plan', 'request', 'verdict'];
    await step('old', ...kept, 'd0/r0000/s0000', 'd0/r0000/s0016', 'd0/footer', 'd12/done');
    await step('open', 'plan', 'request', 'd0/r0000/s0000');
    life.nowMs += MARGINS.restoreKeptMs - 1000;
    await step('young', ...kept, 'd0/done');
    assert.equal((await life.collect()).work.restores, 0);
    life.nowMs += 1000;
    const before = await namesOf(life.store, '');
    assert.equal((await life.collect({ dryRun: true })).work.restores, 4);
    assert.deepEqual(await namesOf(life.store, ''), before);
    assert.equal((await life.collect()).work.restores, 4);
    assert.deepEqual(await namesOf(life.store, 'restores/old/'), kept.map((name) => `restores/old/${name}`));
    assert.equal((await namesOf(life.store, 'restores/')).length, 5 + 3 + 6);
  });

  it('removes proofs that newer ones stand above, and those of recovery points that are gone; what was proved last is shown as before', async () => {
    const life = await lived(2);
    const [first = '', second = ''] = await ids(life);
    const prove = async (id: string, state: 'part' | 'whole' | 'damaged'): Promise<void> => {
      life.nowMs += 1000;
      await recordProof(life.vault, { recoveryPoint: id, by: 'scrub', cycle: null, state, cursor: null, against: null, chunks: 0, plainBytes: 0, storedBytes: 0, damage: [] }, life.nowMs);
    };
    for (const state of ['part', 'whole', 'damaged', 'part', 'part', 'whole'] as const) await prove(second, state);
    for (const state of ['whole', 'damaged'] as const) await prove(first, state);
    const last = await lastProofOf(life.vault, second, (await proofTimes(life.vault)).get(second));
    assert.equal((await life.collect()).work.proofs, 0, 'a scrub may be at work with them');
    life.nowMs += MARGINS.proofKeptMs;
    assert.equal((await life.collect()).work.proofs, 3);
    const left = (await proofTimes(life.vault)).get(second);
    assert.deepEqual([left?.finishedMs.length, left?.partsMs.length], [2, 1]);
    assert.deepEqual(await lastProofOf(life.vault, second, left), last);
    await life.delete(first);
    life.nowMs += BIN_MS;
    assert.deepEqual((await life.collect()).purged, [first]);
    life.nowMs += 1000;
    assert.equal((await life.collect()).work.proofs, 2);
    assert.deepEqual([...await proofTimes(life.vault)].map(([id]) => id), [second]);
    await life.assertWhole();
  });

  it('fault 14: a plan that would delete abnormally much waits for its own token, and no other', async () => {
    const life = await lived(1);
    life.nowMs += OLD_MS;
    // Manifest and run vanish together, as when a folder is thrown away by hand: nothing says that they were ever there.
    for (let pack = 0; pack < 150; pack++) await life.store.create(`packs/data/${pack.toString(16).padStart(2, '0')}/${pack.toString(16).padStart(2, '0').padEnd(32, 'a')}`, Buffer.alloc(10_000));
    life.nowMs += OLD_MS;
    const { plan } = await life.collect({ dryRun: true });
    assert.match(plan.abnormal ?? '', /150 packs of 15\d .*explains/);
    const before = await namesOf(life.store, 'packs/');
    await assert.rejects(life.collect(), code('COLLECTION_ABNORMAL', new RegExp(plan.token)));
    await assert.rejects(life.collect({ approve: plan.token.replace(/.$/, (last) => (last === '0' ? '1' : '0')) }), code('COLLECTION_ABNORMAL'));
    await assert.rejects(life.collect({ approve: 'yes' }), code('REQUEST_INVALID'));
    assert.deepEqual(await namesOf(life.store, 'packs/'), before);
    life.nowMs += DAY_MS;
    await life.backup('alpha');
    assert.equal((await life.collect({ approve: plan.token })).deleted.packs, 150, 'the token is good for that very plan, later too');
    await life.assertExact();
  });

  it('fault 29: refuses where this machine\'s clock and the store\'s differ', async () => {
    const life = await lived(1);
    for (const off of [-10, 10]) await assert.rejects(life.collect({ localNowMs: () => life.nowMs + off * 60_000 }), code('CLOCK_WRONG'));
  });

  it('fault 39: what an immutability policy holds stays for later, and the report says so', async () => {
    const life = await lived(2);
    const [first = ''] = await ids(life);
    await life.delete(first);
    life.nowMs += BIN_MS;
    await life.collect();
    life.nowMs += 1000;
    const inner = createFaultStore(life.store);
    inner.plan({ operation: 'delete', matching: /^packs/, fault: { kind: 'fail', code: 'STORE_IMMUTABLE', when: 'before' }, times: 1 });
    const held = await life.collect({}, { store: inner, keys: life.vault.keys });
    inner.assertAllFired();
    assert.ok(held.deleted.immutable === 1 && held.deleted.packs > 0);
    assert.equal((await life.collect()).deleted.packs, 1);
    await life.assertExact();
  });

  it('stops deleting when its time is over, and the next one goes on', async () => {
    const life = await lived(3);
    const [first = ''] = await ids(life);
    await life.delete(first);
    life.nowMs += BIN_MS;
    await life.collect();
    life.nowMs += 1000;
    const none = await life.collect({ timeLimitMs: 0 });
    assert.ok(none.deleted.packs === 0 && none.deleted.left > 0);
    assert.equal((await life.collect()).deleted.packs, none.deleted.left);
  });
});

describe('collection, by what it reads', () => {
  const readsOf = (calls: readonly { operation: string; name: string }[]): string[] => calls.filter(({ operation, name }) => operation === 'read' && name.startsWith('recovery-points/')).map(({ name }) => name);

  /** A recovery point whose packs may go, and another whose time in the bin is over. */
  async function due(): Promise<VaultLife> {
    const life = await lived(6);
    const [first = '', second = ''] = await ids(life);
    await life.delete(first);
    life.nowMs += BIN_MS;
    await life.collect();
    await life.delete(second);
    life.nowMs += BIN_MS;
    return life;
  }

  it('opens each manifest once, though it purges and deletes', async () => {
    const life = await due();
    const manifests = await namesOf(life.store, 'recovery-points/');
    const store = createFaultStore(life.store);
    const report = await life.collect({}, { store, keys: life.vault.keys });
    assert.ok(report.purged.length === 1 && report.deleted.packs > 0);
    assert.deepEqual(readsOf(store.calls).sort(), manifests);
  });

  it('looks at an item again about which something was decided while the plan was made', async () => {
    const life = await due();
    const manifests = await namesOf(life.store, 'recovery-points/');
    const third = (await ids(life)).at(-1) as string;
    const meddled = withStore(life.store, { async *list(prefix) {
      if (prefix === 'packs/data/') await markHeld(life.vault, third, { by: 'test', serverNowMs: life.nowMs }, 'case 8');
      yield* life.store.list(prefix);
    } });
    const store = createFaultStore(meddled);
    const report = await life.collect({}, { store, keys: life.vault.keys });
    assert.ok(report.purged.length === 1 && report.deleted.packs > 0);
    assert.equal(readsOf(store.calls).length, manifests.length + manifests.length - 1, 'the one that was purged is gone');
  });
});

describe('collection in doubt', () => {
  /** A vault in which a recovery point was purged and its packs may go. */
  async function ripe(): Promise<VaultLife> {
    const life = await lived(4);
    const [first = '', second = ''] = await ids(life);
    await life.backup('alpha', { end: 'abandoned' });
    await life.delete(first);
    await life.delete(second);
    life.nowMs += BIN_MS;
    await life.collect();
    life.nowMs += 1000;
    return life;
  }

  const damages: [string, (life: VaultLife) => Promise<unknown>][] = [
    ['a manifest is gone and no mark says why', async (life) => life.store.delete((await namesOf(life.store, 'recovery-points/'))[0] as string)],
    ['a mark that said so is gone with it', async (life) => { for (const name of (await namesOf(life.store, 'marks/')).slice(0, 2)) await life.store.delete(name); }],
    ['an older manifest was put back under a newer one\'s name', async (life) => {
      const [older = '', newer = ''] = await namesOf(life.store, 'recovery-points/');
      await life.store.delete(newer);
      await life.store.create(newer, await life.store.read(older));
      await life.store.delete('runs/alpha/0000000004/end');
      await life.store.delete('runs/alpha/0000000004/verdict');
      await life.store.delete('runs/alpha/0000000004/open');
    }],
    ['a run that made a recovery point is not in the list', async (life) => { for (const name of await namesOf(life.store, 'runs/alpha/0000000003/')) await life.store.delete(name); }],
  ];
  for (const [what, damage] of damages) {
    it(`fault 38: deletes nothing when ${what}`, async () => {
      const life = await ripe();
      await damage(life);
      const before = await namesOf(life.store, 'packs/');
      await assert.rejects(life.collect(), code('COLLECTION_REFUSED'));
      assert.deepEqual(await namesOf(life.store, 'packs/'), before);
    });
  }

  it('a manifest that does not open is no obstacle where its run still has it, and its packs stay', async () => {
    const life = await ripe();
    const [name = ''] = await namesOf(life.store, 'recovery-points/');
    const bytes = await life.store.read(name);
    await life.store.delete(name);
    await life.store.create(name, Buffer.alloc(bytes.length));
    const report = await life.collect();
    assert.ok(report.deleted.packs > 0);
    assert.deepEqual(report.problems.map(({ code: one }) => one), ['DOCUMENT_DAMAGED']);
    await life.store.delete(name);
    await life.store.create(name, bytes);
    await life.assertExact();
    await life.assertWhole();
  });

  it('a damaged recovery point that a later backup passed over is needed as before; where its run does not have it either, nothing is deleted', async () => {
    const life = await ripe();
    const damage = async (name: string): Promise<Buffer> => {
      const bytes = await life.store.read(name);
      await life.store.delete(name);
      await life.store.create(name, Buffer.alloc(bytes.length));
      return bytes;
    };
    const newest = (await listRecoveryPoints(life.vault)).points.at(-1)?.manifest;
    const name = `recovery-points/alpha/${newest?.stamp}`;
    const bytes = await damage(name);
    await life.backup('alpha');
    const report = await life.collect();
    assert.ok(report.deleted.packs > 0);
    assert.deepEqual(report.problems.map(({ code: one }) => one), ['DOCUMENT_DAMAGED']);
    await damage(`runs/alpha/${String(newest?.sequence).padStart(10, '0')}/verdict`);
    const before = await namesOf(life.store, '');
    await assert.rejects(life.collect(), (error) => code('DOCUMENT_DAMAGED', new RegExp(`runs/alpha/\\d+/verdict`))(error));
    assert.deepEqual(await namesOf(life.store, ''), before);
    await life.store.delete(name);
    await life.store.create(name, bytes);
    await life.assertWhole('all of it is there, the damaged one as well once it opens again');
  });

  it('tells of packs that are needed and not there', async () => {
    const life = await ripe();
    await life.collect();
    const [pack = ''] = await namesOf(life.store, 'packs/data/');
    await life.store.delete(pack);
    assert.deepEqual((await life.collect()).plan.missing, [pack.slice(-32)]);
  });

  it('fault 13: any error of the store, or of a list in the middle, before the first deletion deletes nothing', async () => {
    const rehearsal = await ripe();
    const counted = createFaultStore(rehearsal.store);
    assert.ok((await rehearsal.collect({}, { store: counted, keys: rehearsal.vault.keys })).deleted.packs > 0);
    const calls = counted.calls.slice(0, counted.calls.findIndex(({ operation, name }) => operation === 'stat' && name.startsWith('packs/')));
    assert.ok(calls.length > 12, `${calls.length} calls`);
    let tried = 0;
    for (const [index, { operation }] of calls.entries()) {
      for (const count of operation === 'list' ? [undefined, 0, 1] : [undefined]) {
        const life = await ripe();
        const store = createFaultStore(life.store);
        const fault = count === undefined ? { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } as const : { kind: 'tornList', code: 'STORE_UNREACHABLE', count } as const;
        store.plan({ operation, matching: /^/, fault, after: calls.slice(0, index).filter((one) => one.operation === operation).length });
        const before = await namesOf(life.store, 'packs/');
        await assert.rejects(life.collect({}, { store, keys: life.vault.keys }), code('STORE_UNREACHABLE'), `call ${index}, ${operation}`);
        store.assertAllFired();
        assert.deepEqual(await namesOf(life.store, 'packs/'), before, `call ${index}, ${operation}`);
        tried++;
      }
    }
    assert.ok(tried > calls.length);
  });

  it('fault 13: a list that ends early without an error deletes nothing that is needed', async () => {
    for (const prefix of ['recovery-points/alpha/', 'marks/alpha/', 'runs/', 'packs/data/', 'packs/meta/', 'recovery-points/', 'marks/']) {
      for (const count of [0, 1, 2]) {
        const life = await ripe();
        const store = withStore(life.store, { async *list(wanted) {
          let given = 0;
          for await (const info of life.store.list(wanted)) if (wanted !== prefix || given++ < count) yield info;
        } });
        await life.collect({}, { store, keys: life.vault.keys }).catch((error: unknown) => { if (!isHoldfastError(error, 'COLLECTION_REFUSED')) throw error; });
        await life.assertExact(`${prefix} after ${count}`, false);
      }
    }
  });

  it('cut off at any call of the store, before or after its effect, what is left is whole, and a second collection ends the work', async () => {
    const rehearsal = await ripe();
    const counted = createFaultStore(rehearsal.store);
    await rehearsal.collect({}, { store: counted, keys: rehearsal.vault.keys });
    const deletes = counted.calls.filter(({ operation }) => operation === 'delete').length;
    assert.ok(deletes > 2);
    for (let index = 0; index < deletes; index++) {
      for (const when of ['before', 'after'] as const) {
        const life = await ripe();
        const store = createFaultStore(life.store);
        store.plan({ operation: 'delete', matching: /^/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when }, after: index });
        await assert.rejects(life.collect({}, { store, keys: life.vault.keys }), code('STORE_UNREACHABLE'));
        store.assertAllFired();
        await life.assertExact(`delete ${index}`, false);
        await life.collect();
        await life.assertExact(`delete ${index}`);
        await life.assertWhole();
      }
    }
  });

  it('cut off while it purges: at any call the recovery point is whole or gone, and a second collection ends the work', async () => {
    const due = async (): Promise<VaultLife> => {
      const life = await lived(3);
      await life.delete((await ids(life))[0] as string);
      life.nowMs += BIN_MS;
      return life;
    };
    const rehearsal = await due();
    const counted = createFaultStore(rehearsal.store);
    assert.equal((await rehearsal.collect({}, { store: counted, keys: rehearsal.vault.keys })).purged.length, 1);
    for (const [index, { operation }] of [...counted.calls].entries()) {
      for (const when of operation === 'create' || operation === 'delete' ? ['before', 'after'] as const : ['before'] as const) {
        const life = await due();
        const store = createFaultStore(life.store);
        store.plan({ operation, matching: /^/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when }, after: counted.calls.slice(0, index).filter((one) => one.operation === operation).length });
        await assert.rejects(life.collect({}, { store, keys: life.vault.keys }), code('STORE_UNREACHABLE'));
        await life.assertExact(`call ${index}`, false);
        await life.assertWhole();
        await life.collect();
        life.nowMs += 1000;
        await life.collect();
        await life.assertExact(`call ${index}`);
        await life.assertWhole();
      }
    }
  });
});
