import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isHoldfastError } from '../../errors/holdfast-error';
import { formatStamp, parseStamp } from '../../policy/slot';

const MAX_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

describe('policy/slot', () => {
  it('refuses every text that is not exactly a stamp', () => {
    const wrong = [
      '', '20261123', '20261123T010000', '20261123t010000Z', '20261123T010000z', '20261123T010000.123Z', '20261123T010000000Z', '20261123T01000012Z',
      '20261123T0100001234Z', '2026-11-23T01:00:00Z', '20261323T010000Z', '20260229T010000Z', '20261123T240000Z', '20261123T016000Z', '20261123T010060Z',
      ' 20261123T010000Z', '20261123T010000Z\n', '20261100T010000Z', '19691231T235959Z', '00011123T010000Z', '+20261123T010000Z', '２０261123T010000Z',
    ];
    for (const text of wrong) assert.equal(parseStamp(text), null, JSON.stringify(text));
  });

  it('refuses instants that have no stamp', () => {
    for (const ms of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, MAX_MS + 1]) {
      assert.throws(() => formatStamp(ms), (error) => isHoldfastError(error, 'INTERNAL'));
    }
  });

  it('writes whole seconds short and milliseconds long', () => {
    assert.equal(formatStamp(Date.UTC(2026, 10, 23, 1)), '20261123T010000Z');
    assert.equal(formatStamp(Date.UTC(2026, 10, 23, 1, 0, 0, 123)), '20261123T010000123Z');
    assert.equal(formatStamp(0), '19700101T000000Z');
    assert.equal(parseStamp('20240229T235959001Z'), Date.UTC(2024, 1, 29, 23, 59, 59, 1));
    assert.equal(parseStamp(formatStamp(MAX_MS)), MAX_MS);
  });

  it('goes there and back for every instant, and sorts like time within a form', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: MAX_MS }), fc.integer({ min: 0, max: MAX_MS }), (one, other) => {
      assert.equal(parseStamp(formatStamp(one)), one);
      const [first, second] = [one, other].map((ms) => Math.floor(ms / 1000) * 1000) as [number, number];
      assert.equal(formatStamp(first) < formatStamp(second), first < second);
    }));
  });

  it('never takes a text that it would not write', () => {
    fc.assert(fc.property(fc.stringMatching(/^\d{8}T\d{6}(\d{3})?Z$/), (text) => {
      const ms = parseStamp(text);
      if (ms !== null) assert.equal(formatStamp(ms), text);
    }));
  });
});
