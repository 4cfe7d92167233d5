import assert from 'node:assert/strict';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { createMemoryStore } from '../../../vault/store/memory-store';
import { createFaultStore, createHold, type FaultStore } from '../../support/fault-store';
import { collect, storeContract } from '../../support/store-contract';

// Without a planned fault the wrapper is a store like any other.
storeContract('memory behind a fault store', async () => ({ store: createFaultStore(createMemoryStore()), dispose: async () => {} }), { manyNames: 100, inMemory: true });

describe('fault store', () => {
  let store: FaultStore;
  const full = (error: unknown) => isHoldfastError(error, 'STORE_FULL');

  beforeEach(() => {
    store = createFaultStore(createMemoryStore());
  });

  it('fails a create before it has an effect, or after', async () => {
    store.plan({ operation: 'create', matching: /^a/, fault: { kind: 'fail', code: 'STORE_FULL', when: 'before' } });
    store.plan({ operation: 'create', matching: /^b/, fault: { kind: 'fail', code: 'STORE_FULL', when: 'after' } });
    await assert.rejects(store.create('a', Buffer.from('x')), full);
    await assert.rejects(store.create('b', Buffer.from('x')), full);
    assert.deepEqual((await collect(store.list(''))).map(({ name }) => name), ['b']);
    assert.equal(await store.create('a', Buffer.from('x')), 'created', 'it fires once');
    store.assertAllFired();
  });

  it('waits for its turn and fires as often as planned', async () => {
    store.plan({ operation: 'stat', matching: /./, fault: { kind: 'fail', code: 'STORE_FULL', when: 'before' }, after: 1, times: 2 });
    await store.stat('a');
    await assert.rejects(store.stat('a'), full);
    assert.throws(() => store.assertAllFired(), /never fired/);
    await assert.rejects(store.stat('b'), full);
    store.assertAllFired();
    await store.stat('a');
    assert.deepEqual(store.calls.map(({ operation, name }) => operation + name), ['stata', 'stata', 'statb', 'stata']);
  });

  it('tears a listing in the middle', async () => {
    for (const name of ['a', 'b', 'c']) await store.create(name, Buffer.from('x'));
    store.plan({ operation: 'list', matching: /^$/, fault: { kind: 'tornList', code: 'STORE_UNREACHABLE', count: 2 } });
    const seen: string[] = [];
    await assert.rejects(async () => {
      for await (const { name } of store.list('')) seen.push(name);
    }, (error) => isHoldfastError(error, 'STORE_UNREACHABLE'));
    assert.deepEqual(seen, ['a', 'b']);
  });

  it('truncates and corrupts what is read, and only that', async () => {
    await store.create('a', Buffer.from('0123456789'));
    store.plan({ operation: 'read', matching: /a/, fault: { kind: 'truncate', length: 4 }, times: 2 });
    store.plan({ operation: 'read', matching: /a/, fault: { kind: 'corrupt', seed: 7 }, times: 2 });
    assert.equal((await store.read('a')).toString(), '0123');
    await assert.rejects(store.read('a', { offset: 2, length: 3 }), (error) => isHoldfastError(error, 'STORE_RANGE'));
    const corrupt = await store.read('a');
    assert.equal(corrupt.filter((byte, i) => byte !== '0123456789'.charCodeAt(i)).length, 1);
    assert.deepEqual(await store.read('a'), corrupt, 'the same seed flips the same bit');
    assert.equal((await store.read('a')).toString(), '0123456789');
    store.assertAllFired();
  });

  it('holds an operation until it is released', async () => {
    const hold = createHold();
    store.plan({ operation: 'create', matching: /./, fault: { kind: 'hold', hold } });
    const creating = store.create('a', Buffer.from('x'));
    await hold.reached;
    assert.equal(await store.stat('a'), undefined);
    hold.release();
    assert.equal(await creating, 'created');
  });

  it('refuses faults that could never be felt', () => {
    assert.throws(() => store.plan({ operation: 'stat', matching: /./, fault: { kind: 'truncate', length: 1 } }), /cannot befall/);
    assert.throws(() => store.plan({ operation: 'stat', matching: /./g, fault: { kind: 'fail', code: 'STORE_FULL', when: 'before' } }), /memory/);
  });
});
