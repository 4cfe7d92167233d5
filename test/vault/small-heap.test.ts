import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { withSmallHeap } from '../../vault/small-heap';

// In a process of its own, whose young generation nothing has let grow yet.
const PROGRAM = `
const { withSmallHeap } = require(${JSON.stringify(join(__dirname, '..', '..', 'vault', 'small-heap.js'))});
const { getHeapSpaceStatistics } = require('node:v8');
const youngBytes = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size;
async function makeGarbage() {
  let kept = [];
  for (let index = 0; index < 2_000_000; index++) {
    kept.push({ index, text: 'x' + index });
    if (kept.length > 60_000) kept = [];
  }
}
(async () => {
  await withSmallHeap(makeGarbage);
  const small = youngBytes();
  await makeGarbage();
  console.log(JSON.stringify({ small, after: youngBytes() }));
})();`;

describe('a small heap', () => {
  it('keeps the young generation from growing while the work is under way, and no longer', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', PROGRAM], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const { small, after } = JSON.parse(stdout) as { small: number; after: number };
    assert.ok(small <= 8 * 2 ** 20 && after > 2 * small, `${small} bytes during the work, ${after} after it`);
  });

  it('gives what the work gives, and throws what it throws', async () => {
    assert.equal(await withSmallHeap(() => withSmallHeap(() => Promise.resolve(7))), 7);
    await assert.rejects(withSmallHeap(() => Promise.reject(new Error('as it is'))), /as it is/);
  });
});
