import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { ahead } from '../../vault/ahead';

describe('ahead', () => {
  /** Work that is noted when it begins and when it ends. */
  function noted(failing = 0): { notes: string[]; work: (one: number) => Promise<number> } {
    const notes: string[] = [];
    return { notes, work: async (one) => {
      notes.push(`begins ${one}`);
      await setImmediate();
      notes.push(`ends ${one}`);
      if (one === failing) throw new Error(`no ${one}`);
      return one * 10;
    } };
  }

  it('gives each result in order, with one more under way while it is used', async () => {
    const { notes, work } = noted();
    const used: (readonly [number, number])[] = [];
    for await (const pair of ahead([1, 2, 3], work)) {
      notes.push(`uses ${pair[0]}`);
      used.push(pair);
    }
    assert.deepEqual(used, [[1, 10], [2, 20], [3, 30]]);
    assert.deepEqual(notes, ['begins 1', 'ends 1', 'begins 2', 'uses 1', 'ends 2', 'begins 3', 'uses 2', 'ends 3', 'uses 3']);
    for await (const none of ahead([], work)) assert.fail(String(none));
  });

  it('tells a failure at its turn, and begins nothing after it', async () => {
    const { notes, work } = noted(2);
    const used: number[] = [];
    await assert.rejects(async () => {
      for await (const [one] of ahead([1, 2, 3], work)) {
        // Long enough for the second to have failed.
        await setImmediate();
        await setImmediate();
        used.push(one);
      }
    }, /no 2/);
    assert.deepEqual([used, notes.includes('begins 3')], [[1], false]);
  });

  it('leaves nothing running when its user stops, and does not tell of what failed unused', async () => {
    const { notes, work } = noted(2);
    for await (const [one] of ahead([1, 2, 3], work)) if (one === 1) break;
    assert.deepEqual(notes, ['begins 1', 'ends 1', 'begins 2', 'ends 2']);
  });
});
