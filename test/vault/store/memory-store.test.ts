import assert from 'node:assert/strict';
import { createMemoryStore } from '../../../vault/store/memory-store';
import { storeContract } from '../../support/store-contract';

storeContract('memory', async () => ({ store: createMemoryStore(), dispose: async () => {} }), { inMemory: true });

describe('memory store', () => {
  it('takes the time of a write from its clock', async () => {
    let nowMs = 1_700_000_000_000;
    const store = createMemoryStore({ clock: () => nowMs });
    await store.create('a', Buffer.from('x'));
    nowMs += 5000;
    await store.create('b', Buffer.from('x'));
    assert.equal((await store.stat('a'))?.modifiedAtMs, 1_700_000_000_000);
    assert.equal((await store.stat('b'))?.modifiedAtMs, 1_700_000_005_000);
  });

  it('keeps its own copy of what it was given', async () => {
    const store = createMemoryStore();
    const data = Buffer.from('good');
    await store.create('a', data);
    data.fill(0);
    assert.equal((await store.read('a')).toString(), 'good');
  });
});
