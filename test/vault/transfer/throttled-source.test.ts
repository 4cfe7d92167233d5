import assert from 'node:assert/strict';
import type { BlockSource } from '../../../vault/transfer/block-source';
import { type Pace, throttledSource } from '../../../vault/transfer/throttled-source';

/** Time that passes only while somebody sleeps. */
class TestPace implements Pace {
  atMs = 0;
  nowMs(): number { return this.atMs; }
  sleep(ms: number): Promise<void> { this.atMs += ms; return Promise.resolve(); }
}

const source: BlockSource = {
  sizeBytes: 1 << 20,
  readInto: (buffer, offset) => { buffer.fill(offset % 251); return Promise.resolve(); },
  verifyUnchanged: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

describe('throttled source', () => {
  it('reads at the limit on average, and what the source holds', async () => {
    const pace = new TestPace();
    const slow = throttledSource(source, 100_000, pace);
    const buffer = Buffer.alloc(50_000);
    for (let index = 0; index < 21; index++) {
      await slow.readInto(buffer, index);
      assert.equal(buffer[7], index % 251);
    }
    // Twenty-one reads of half a second each; the last one's own time is still to come.
    assert.ok(pace.atMs >= 9_000 && pace.atMs <= 10_500, `${pace.atMs} ms`);
  });

  it('saves up no more than one second while nothing is read', async () => {
    const pace = new TestPace();
    const slow = throttledSource(source, 100_000, pace);
    pace.atMs = 3_600_000;
    const buffer = Buffer.alloc(100_000);
    for (let index = 0; index < 5; index++) await slow.readInto(buffer, 0);
    assert.ok(pace.atMs >= 3_600_000 + 3_000, `${pace.atMs - 3_600_000} ms for five seconds' worth of reading`);
  });
});
