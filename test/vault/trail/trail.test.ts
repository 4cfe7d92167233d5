import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HoldfastError } from '../../../errors/holdfast-error';
import { sealDocument } from '../../../vault/format/sealed-document';
import { recordMaintenance } from '../../../vault/points/maintenance-log';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { Store } from '../../../vault/store/store';
import { isWanted, parseFilter } from '../../../vault/trail/filter';
import { recordsBackwards } from '../../../vault/trail/read-trail';
import { type NewRecord, trailName, type TrailRecord } from '../../../vault/trail/record';
import { recorded } from '../../../vault/trail/recorded';
import { appendRecord, readRecord, trailHead } from '../../../vault/trail/trail';
import { verifyTrail } from '../../../vault/trail/verify-trail';
import { createFaultStore, type Operation } from '../../support/fault-store';
import { makeVault, START_MS } from '../../support/vault-kit';
import { createWormStore } from '../../support/worm-store';

const entry = (target: string, outcome: NewRecord['outcome'] = 'done'): NewRecord =>
  ({ who: { id: 'id-1', name: 'ada@example.org', kind: 'user', roles: ['Admin'], verified: true }, from: '203.0.113.7', action: 'recovery-point.delete', target, outcome });

/** The same objects through another connection: what one writer remembers the other does not know. */
const connect = (store: Store): Store => ({
  description: store.description, create: (name, data) => store.create(name, data), read: (name, range) => store.read(name, range), stat: (name) => store.stat(name),
  list: (prefix) => store.list(prefix), delete: (name) => store.delete(name), serverTimeMs: () => store.serverTimeMs(), close: () => Promise.resolve(),
});

/** A copy of a store's objects, which a test may spoil. */
async function copyOf(store: Store): Promise<Store> {
  const copy = createMemoryStore();
  for await (const { name } of store.list('')) await copy.create(name, await store.read(name));
  return copy;
}

async function replace(store: Store, name: string, bytes: Uint8Array): Promise<void> {
  await store.delete(name);
  assert.equal(await store.create(name, bytes), 'created');
}

async function makeTrail(count: number, clock = () => START_MS): Promise<Store> {
  const store = createMemoryStore({ clock });
  for (let index = 0; index < count; index++) await appendRecord(makeVault(store), entry(`point-${index}`));
  return store;
}

describe('the audit trail', () => {
  it('gives consecutive numbers to many writers at once, loses none and holds together', async () => {
    const store = createMemoryStore({ clock: () => START_MS });
    const written = await Promise.all(Array.from({ length: 12 }, async (_, writer) => {
      const vault = makeVault(connect(store));
      const numbers: number[] = [];
      for (let index = 0; index < 5; index++) numbers.push((await appendRecord(vault, entry(`${writer}/${index}`))).number);
      return numbers;
    }));
    assert.deepEqual(written.flat().sort((a, b) => a - b), Array.from({ length: 60 }, (_, index) => index + 1));
    const targets = new Set<string | null>();
    const report = await verifyTrail(makeVault(store), { onRecord: ({ target }) => { targets.add(target); } });
    assert.deepEqual([report.ok, report.records, targets.size, report.head?.number], [true, 60, 60, 60], JSON.stringify(report.problems));
  });

  it('finds the last record of a long trail without a list, with few looks', async () => {
    const store = await makeTrail(300);
    const watched = createFaultStore(store);
    assert.equal((await trailHead(makeVault(watched)))?.number, 300);
    assert.deepEqual([...new Set(watched.calls.map(({ operation }) => operation))].sort(), ['read', 'stat']);
    assert.ok(watched.calls.length <= 20, `${watched.calls.length} calls`);
    const before = watched.calls.length;
    await appendRecord(makeVault(watched), entry('next'));
    assert.deepEqual(watched.calls.slice(before).map(({ operation }) => operation), ['create'], 'what it knows already it does not look for again');
  });

  it('is written under a WORM policy that refuses every change and every delete', async () => {
    const store = createWormStore(createMemoryStore({ clock: () => START_MS }), { holdMs: 86_400_000, clock: () => START_MS });
    for (let index = 0; index < 3; index++) await appendRecord(makeVault(connect(store)), entry(`point-${index}`));
    assert.equal((await verifyTrail(makeVault(store))).ok, true);
    assert.deepEqual(store.refused, []);
  });

  it('does nothing before it is recorded, and says how it ended', async () => {
    const store = createMemoryStore({ clock: () => START_MS });
    const vault = makeVault(store);
    const unrecorded: HoldfastError[] = [];
    const options = { onUnrecorded: (error: HoldfastError) => void unrecorded.push(error), details: (count: number) => ({ count }) };
    const atWork = await recorded(vault, entry('a'), async () => (await readRecord(vault, 1)).record.outcome, { ...options, details: () => ({}) });
    assert.equal(atWork, 'begun');
    await assert.rejects(recorded(vault, entry('b'), () => Promise.reject<number>(new HoldfastError('RECOVERY_POINT_HELD', 'held')), options), { code: 'RECOVERY_POINT_HELD' });
    await assert.rejects(recorded(vault, entry('c'), () => Promise.reject<number>(new HoldfastError('STORE_ACCESS_DENIED', 'in the middle')), options), { code: 'STORE_ACCESS_DENIED' });
    await assert.rejects(recorded(vault, entry('d'), () => Promise.reject<number>(new Error('a bug')), options), /a bug/);
    assert.equal(await recorded(vault, entry('e'), () => Promise.resolve(7), options), 7);
    const told: (string | number | null | undefined)[][] = [];
    await verifyTrail(vault, { onRecord: ({ target, outcome, code, begun, details }) => { told.push([target, outcome, code, begun, details['count'] as number | undefined]); } });
    assert.deepEqual(told.filter(([, outcome]) => outcome !== 'begun'), [['a', 'done', null, 1, undefined], ['b', 'refused', 'RECOVERY_POINT_HELD', 3, undefined],
      ['c', 'failed', 'STORE_ACCESS_DENIED', 5, undefined], ['d', 'failed', 'INTERNAL', 7, undefined], ['e', 'done', null, 9, 7]]);
    assert.deepEqual(unrecorded, []);
  });

  it('threat 14: what cannot be recorded is not done; what was done and cannot be said is told', async () => {
    const store = createFaultStore(createMemoryStore({ clock: () => START_MS }));
    const vault = makeVault(store);
    let done = 0;
    const unrecorded: string[] = [];
    const doing = (): Promise<number> => recorded(vault, entry('a'), () => Promise.resolve(++done), { onUnrecorded: ({ code }) => void unrecorded.push(code) });
    for (const operation of ['stat', 'create'] as const) {
      store.plan({ operation, matching: /^audit\//, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
      await assert.rejects(doing(), (error: HoldfastError) => error.code === 'AUDIT_NOT_WRITTEN' && error.data['cause'] === 'STORE_UNREACHABLE');
    }
    assert.equal(done, 0);
    store.plan({ operation: 'create', matching: /^audit\//, after: 1, fault: { kind: 'fail', code: 'STORE_FULL', when: 'before' } });
    assert.equal(await doing(), 1);
    assert.deepEqual(unrecorded, ['AUDIT_NOT_WRITTEN']);
    store.assertAllFired();
    assert.equal((await verifyTrail(vault)).ok, true);
  });

  it('holds together whatever store call fails, before or after it had its effect, and has every record that was acknowledged', async () => {
    await fc.assert(fc.asyncProperty(
      fc.array(fc.record({ writer: fc.nat(3), operation: fc.constantFrom<Operation>('create', 'stat', 'read'), after: fc.nat(6), when: fc.constantFrom('before' as const, 'after' as const) }), { maxLength: 6 }),
      fc.array(fc.record({ writer: fc.nat(3), count: fc.integer({ min: 1, max: 4 }) }), { minLength: 2, maxLength: 6 }),
      async (faults, bursts) => {
        const store = createMemoryStore({ clock: () => START_MS });
        const writers = Array.from({ length: 4 }, () => createFaultStore(store));
        for (const { writer, ...fault } of faults) writers[writer]?.plan({ operation: fault.operation, matching: /^audit\//, after: fault.after, fault: { kind: 'fail', code: 'STORE_FAILED', when: fault.when } });
        const acknowledged = new Map<number, string>();
        await Promise.all(bursts.map(async ({ writer, count }, burst) => {
          for (let index = 0; index < count; index++) {
            const target = `${burst}/${index}`;
            try {
              acknowledged.set((await appendRecord(makeVault(writers[writer] as Store), entry(target))).number, target);
            } catch (error) {
              assert.equal((error as HoldfastError).code, 'AUDIT_NOT_WRITTEN');
            }
          }
        }));
        const found = new Map<number, TrailRecord>();
        const report = await verifyTrail(makeVault(store), { onRecord: (record) => { found.set(record.number, record); } });
        assert.deepEqual(report.problems, []);
        for (const [number, target] of acknowledged) assert.equal(found.get(number)?.target, target);
        assert.ok(report.records - acknowledged.size <= faults.length, 'a record more than was acknowledged for each answer that was lost, and no other');
      }), { numRuns: 60 });
  });

  it('notices every record that was changed, exchanged, moved, taken out, cut off or written anew', async () => {
    const original = await makeTrail(9);
    const { head } = await verifyTrail(makeVault(original));
    assert.ok(head);
    const at = fc.integer({ min: 1, max: 9 });
    const tampering = fc.oneof(
      fc.record({ kind: fc.constant('flip' as const), at, byte: fc.nat(10_000), bit: fc.nat(7) }),
      fc.record({ kind: fc.constant('remove' as const), at, count: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ kind: fc.constant('swap' as const), at, other: at }).filter((one) => one.at !== one.other),
      fc.record({ kind: fc.constant('copy' as const), at, other: at }).filter((one) => one.at !== one.other),
      fc.record({ kind: fc.constant('truncate' as const), at, keep: fc.nat(60) }),
      // By somebody with the key: the very worst there is.
      fc.record({ kind: fc.constant('reseal' as const), at }),
      fc.record({ kind: fc.constant('rewrite' as const), at }),
      fc.record({ kind: fc.constant('stray' as const), at: fc.integer({ min: 11, max: 10_000 }) }),
    );
    await fc.assert(fc.asyncProperty(tampering, async (done) => {
      const store = await copyOf(original);
      const vault = makeVault(store);
      const name = trailName(done.at);
      const bytes = done.kind === 'stray' ? Buffer.from('junk') : await store.read(name);
      if (done.kind === 'flip') { const position = done.byte % bytes.length; bytes[position] = (bytes[position] ?? 0) ^ (1 << done.bit); await replace(store, name, bytes); }
      if (done.kind === 'remove') for (let number = done.at; number < done.at + done.count; number++) await store.delete(trailName(number));
      if (done.kind === 'swap') { const other = await store.read(trailName(done.other)); await replace(store, name, other); await replace(store, trailName(done.other), bytes); }
      if (done.kind === 'copy') await replace(store, name, await store.read(trailName(done.other)));
      if (done.kind === 'truncate') await replace(store, name, bytes.subarray(0, done.keep));
      if (done.kind === 'stray') await store.create(name, bytes);
      if (done.kind === 'reseal') await replace(store, name, sealDocument(vault.keys, name, { ...(await readRecord(vault, done.at)).record, who: { id: 'id-2', name: 'eve', kind: 'user', roles: [], verified: true } }));
      if (done.kind === 'rewrite') {
        for (let number = done.at; number <= 9; number++) await store.delete(trailName(number));
        for (let number = done.at; number <= 9; number++) await appendRecord(makeVault(connect(store)), entry(number === done.at ? 'a lie' : `point-${number - 1}`));
      }
      const report = await verifyTrail(vault, { anchors: [{ ...head, where: 'the test' }] });
      assert.equal(report.ok, false, JSON.stringify(done));
      assert.ok(report.problems.every(({ code }) => code === 'AUDIT_BROKEN'));
    }), { numRuns: 150 });
  });

  it('notices a trail that was cut off by what the maintenance wrote down, and one that went on behind the cut', async () => {
    const store = await makeTrail(6);
    const vault = makeVault(store);
    const head = await trailHead(vault);
    const nothing = { items: 0, kept: 0, binned: 0, refused: [] };
    await recordMaintenance(vault, { version: 1, stamp: '20261123T010000Z', dryRun: false, startedAt: '', endedAt: '', retention: nothing, collection: null, error: null, audit: head });
    assert.deepEqual([(await verifyTrail(vault)).ok, (await verifyTrail(vault)).anchors], [true, 1]);
    await store.delete(trailName(6));
    await store.delete(trailName(5));
    const [cut] = (await verifyTrail(vault)).problems;
    assert.match(cut?.message ?? '', /ends at 4, and the maintenance of 20261123T010000Z knows record 6/);
    await appendRecord(makeVault(connect(store)), entry('new 5'));
    await appendRecord(makeVault(connect(store)), entry('new 6'));
    assert.match((await verifyTrail(vault)).problems[0]?.message ?? '', /is not the record that it was/);
    // Who remembers what was there leaves the gap open.
    const remembered = await makeTrail(3);
    const writer = makeVault(remembered);
    await appendRecord(writer, entry('fourth'));
    await remembered.delete(trailName(4));
    assert.equal((await appendRecord(writer, entry('fifth'))).number, 5);
    assert.match((await verifyTrail(writer)).problems[0]?.message ?? '', /Record 4 is not there/);
  });

  it('reads backwards, names what does not open, and filters as people ask', async () => {
    const store = await makeTrail(40);
    await replace(store, trailName(20), Buffer.from('junk'));
    const seen: [number, boolean][] = [];
    for await (const { number, record } of recordsBackwards(makeVault(store))) seen.push([number, record !== null]);
    assert.deepEqual(seen, Array.from({ length: 40 }, (_, index) => [40 - index, index !== 20]));
    const { record } = await readRecord(makeVault(store), 1);
    const wants = (asked: Parameters<typeof parseFilter>[0]): boolean => isWanted(record, parseFilter(asked));
    for (const yes of [{}, { who: 'ADA' }, { who: 'id-1' }, { action: 'recovery-point' }, { action: 'recovery-point.delete' }, { target: 'point' }, { outcome: 'done' }, { since: '2026-11-23' }, { until: '2026-11-23T01:00:01Z' }]) assert.ok(wants(yes), JSON.stringify(yes));
    for (const no of [{ who: 'eve' }, { action: 'recovery' }, { action: 'key' }, { target: 'x' }, { outcome: 'failed' }, { since: '2026-11-23T01:00:01Z' }, { until: '2026-11-23' }]) assert.ok(!wants(no), JSON.stringify(no));
    for (const wrong of [{ outcome: 'maybe' }, { since: 'yesterday' }, { until: '2026-13-01' }]) assert.throws(() => wants(wrong), { code: 'REQUEST_INVALID' });
  });

  it('keeps no secret, and no more than 8 KiB of details', async () => {
    const vault = makeVault(createMemoryStore());
    const signed = 'https://account.blob.core.windows.net/c?sv=2024&sig=SECRET';
    const { target, details } = await appendRecord(vault, { ...entry(signed), details: { url: signed, nested: { header: 'Bearer SECRET' } } });
    assert.ok(!JSON.stringify({ target, details }).includes('SECRET'));
    const large = await appendRecord(vault, { ...entry('x'.repeat(500)), details: { text: 'y'.repeat(20_000) } });
    assert.deepEqual([large.target?.length, Object.keys(large.details)], [300, ['leftOut']]);
  });
});
