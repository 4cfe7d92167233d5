import assert from 'node:assert/strict';
import fc from 'fast-check';
import { changedRanges, type ReadableDisk } from '../../../local/images/changed-ranges';

const grid = 4096;

function disk(bytes: Buffer): ReadableDisk {
  return {
    sizeBytes: bytes.length,
    readInto(buffer, offset) {
      assert.ok(offset + buffer.length <= bytes.length, 'never read past the end');
      bytes.copy(buffer, 0, offset, offset + buffer.length);
      return Promise.resolve();
    },
  };
}

describe('changed ranges', () => {
  it('tells data from cleared, joins neighbours and stays on the grid', async () => {
    const before = Buffer.alloc(8 * grid, 1);
    const now = Buffer.from(before);
    now[grid + 5] = 9;
    now[2 * grid] = 9;
    now.fill(0, 4 * grid, 5 * grid);
    assert.deepEqual(await changedRanges(disk(before), disk(now), { offset: 0, length: 8 * grid }), [
      { offset: grid, length: 2 * grid, kind: 'data' }, { offset: 4 * grid, length: grid, kind: 'cleared' },
    ]);
    assert.deepEqual(await changedRanges(disk(before), disk(now), { offset: grid + 512, length: grid }), [{ offset: grid + 512, length: grid, kind: 'data' }]);
    assert.deepEqual(await changedRanges(undefined, disk(Buffer.alloc(3 * grid)), { offset: 0, length: 3 * grid }), []);
    assert.deepEqual(await changedRanges(disk(now), disk(now), { offset: 0, length: 0 }), []);
    assert.deepEqual(await changedRanges(disk(now), disk(now), { offset: 100 * grid, length: grid }), []);
  });

  it('finds every differing byte, and nothing on blocks that are the same', async () => {
    const content = fc.array(fc.constantFrom(0, 1, 2), { minLength: 1, maxLength: 20 }).chain((blocks) => fc.nat(7).map((cut) => {
      const bytes = Buffer.concat(blocks.map((value) => Buffer.alloc(grid, value)));
      return bytes.subarray(0, bytes.length - cut * 512);
    }));
    await fc.assert(fc.asyncProperty(content, content, fc.nat(100), fc.integer({ min: 1, max: 200 }), async (before, now, startSector, sectors) => {
      const range = { offset: startSector * 512, length: sectors * 512 };
      const end = Math.min(range.offset + range.length, now.length);
      const old = Buffer.alloc(now.length);
      before.copy(old);
      const ranges = await changedRanges(disk(before), disk(now), range);
      let at = range.offset;
      for (const found of ranges) {
        assert.ok(found.length > 0 && found.offset >= at);
        assert.ok(old.subarray(at, found.offset).equals(now.subarray(at, found.offset)), 'unlisted bytes are the same');
        if (found.kind === 'cleared') assert.ok(now.subarray(found.offset, found.offset + found.length).every((byte) => byte === 0));
        at = found.offset + found.length;
      }
      assert.ok(at <= Math.max(end, range.offset));
      if (at < end) assert.ok(old.subarray(at, end).equals(now.subarray(at, end)));
    }), { numRuns: 300 });
  });
});
