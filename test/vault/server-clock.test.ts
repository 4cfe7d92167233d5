import assert from 'node:assert/strict';
import { isHoldfastError } from '../../errors/holdfast-error';
import { trustedNowMs } from '../../vault/server-clock';
import { createMemoryStore } from '../../vault/store/memory-store';

const SERVER_MS = Date.UTC(2028, 1, 29, 12);
const MINUTE_MS = 60_000;

describe('fault 29: the clock against the store\'s', () => {
  const store = createMemoryStore({ clock: () => SERVER_MS });

  it('within five minutes the time of the store counts', async () => {
    for (const offMs of [0, 1, 5 * MINUTE_MS, -5 * MINUTE_MS]) assert.equal(await trustedNowMs(store, () => SERVER_MS + offMs), SERVER_MS);
  });

  it('beyond, nothing is decided, and both clocks are named', async () => {
    for (const offMs of [5 * MINUTE_MS + 1, -5 * MINUTE_MS - 1, 366 * 24 * 60 * MINUTE_MS]) {
      await assert.rejects(trustedNowMs(store, () => SERVER_MS + offMs), (error) =>
        isHoldfastError(error, 'CLOCK_WRONG') && error.message.includes(new Date(SERVER_MS).toISOString()) && error.message.includes(new Date(SERVER_MS + offMs).toISOString()));
    }
  });

  it('an answer that took long is no wrong clock', async () => {
    const times = [SERVER_MS - 20 * MINUTE_MS, SERVER_MS + 20 * MINUTE_MS];
    assert.equal(await trustedNowMs(store, () => times.shift() ?? 0), SERVER_MS);
  });
});
