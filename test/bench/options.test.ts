import assert from 'node:assert/strict';
import { GIB, MIB, parseOptions } from '../../bench/options';

describe('the options of the benchmark', () => {
  it('measure at full size unless told otherwise', () => {
    const { sizeBytes, fillBytes, runs, mode, cases } = parseOptions([]);
    assert.deepEqual([sizeBytes, fillBytes, runs, mode, [...cases]], [4 * GIB, Math.floor(2.4 * GIB), 3, 'compare', ['folder', 'azurite', 'memory']]);
  });

  it('run small with --smoke, and what is given beside it counts', () => {
    const { sizeBytes, runs, mode, cases } = parseOptions(['--smoke']);
    assert.deepEqual([sizeBytes, runs, mode, [...cases]], [128 * MIB, 1, 'compare', ['folder']]);
    assert.deepEqual([...parseOptions(['--smoke', '--only', 'memory', '--size', '64MiB']).cases], ['memory']);
  });

  it('refuse what makes no sense, by the name of the option', () => {
    for (const args of [['--smoke', '--markdown'], ['--smoke', '--chunking'], ['--profile', '--lifecycle'], ['--api', '--lifecycle'], ['--smoke', '--api'], ['--size', '63MiB'], ['--size', 'big'], ['--runs', '0'], ['--only', 'tape'], ['--fill', '4GiB']]) {
      assert.throws(() => parseOptions(args), new RegExp(args[0] ?? ''), args.join(' '));
    }
  });
});
