import assert from 'node:assert/strict';
import { LocalCalls } from '../../../vault/store/local-calls';
import { makeTempFolder } from '../../support/temp-folder';

const DIRECT = (): string => 'direct';
const QUEUED = (): Promise<string> => Promise.resolve('queued');

describe('calls of a local file system', () => {
  it('are made directly on a disk of this machine, and never where the file system is not one', async function () {
    if (process.platform !== 'linux') {
      process.stderr.write('local calls: only Linux says what a file system is\n');
      return this.skip();
    }
    const folder = await makeTempFolder();
    try {
      assert.equal(await (await LocalCalls.of(folder.path)).run(DIRECT, QUEUED), 'direct');
      assert.equal(await (await LocalCalls.of('/proc')).run(DIRECT, QUEUED), 'queued');
    } finally {
      await folder.remove();
    }
  });

  it('let everything else in the process have its turn', async () => {
    let [nowMs, isOver, turns] = [0, false, 0];
    const calls = new LocalCalls(true, () => nowMs);
    const count = (): void => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    // Each call takes a millisecond of this clock.
    for (let call = 0; call < 100; call++) await calls.run(() => nowMs++, () => assert.fail('not on a local disk'));
    isOver = true;
    assert.ok(turns >= 8 && turns <= 20, `${turns} turns in 100 ms`);
  });
});
