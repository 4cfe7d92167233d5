import assert from 'node:assert/strict';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { createMemoryStore } from '../../../vault/store/memory-store';
import { storeContract } from '../../support/store-contract';
import { createWormStore } from '../../support/worm-store';

const DAY_MS = 86_400_000;

storeContract('memory under a WORM policy', async () => {
  let nowMs = Date.UTC(2026, 10, 23);
  const clock = (): number => nowMs;
  const store = createWormStore(createMemoryStore({ clock }), { clock, holdMs: 30 * DAY_MS });
  return { store, expire: () => { nowMs += 500 * DAY_MS; }, dispose: async () => {} };
}, { worm: true, inMemory: true });

describe('a store whose WORM policy is the whole place\'s', () => {
  it('says that an object is held, not until when, and has no retention of single objects', async () => {
    let nowMs = Date.UTC(2026, 10, 23);
    const clock = (): number => nowMs;
    const store = createWormStore(createMemoryStore({ clock }), { clock, holdMs: DAY_MS, eachObject: false });
    await store.create('a', Buffer.from('x'));
    assert.equal(store.retention, undefined);
    await assert.rejects(store.delete('a'), (error) => isHoldfastError(error, 'STORE_IMMUTABLE') && error.data['untilMs'] === null);
    nowMs += DAY_MS;
    assert.equal(await store.delete('a'), 'deleted');
  });
});
