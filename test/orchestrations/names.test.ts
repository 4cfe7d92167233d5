import assert from 'node:assert/strict';
import fc from 'fast-check';
import { fromBitmap, toBitmap } from '../../orchestrations/bitmap';
import { backupInstanceId, diskInstanceId, laneInstanceId, parseBackupInstanceId, policyInstanceId, regionInstanceId } from '../../orchestrations/names';

describe('bitmaps', () => {
  it('give back the numbers that were put in, ascending and once each', () => {
    fc.assert(fc.property(fc.array(fc.nat({ max: 1023 }), { maxLength: 1024 }), (numbers) => {
      assert.deepEqual(fromBitmap(toBitmap(numbers)), [...new Set(numbers)].sort((a, b) => a - b));
    }));
  });

  it('depend on the set alone, and are short', () => {
    fc.assert(fc.property(fc.uniqueArray(fc.nat({ max: 1023 })), (numbers) => {
      const text = toBitmap(numbers);
      assert.equal(toBitmap([...numbers].reverse()), text);
      assert.equal(toBitmap([...numbers, ...numbers]), text);
      assert.ok(text.length <= 171);
    }));
    assert.equal(toBitmap([]), '');
  });

  it('refuse text that is none', () => {
    for (const text of ['A=', 'AB C', 'ä', '\n']) assert.throws(() => fromBitmap(text), RangeError);
  });
});

describe('instance ids', () => {
  const itemId = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,39}$/);
  const stamp = fc.stringMatching(/^\d{8}T\d{6}(\d{3})?Z$/);
  const policy = fc.stringMatching(/^[a-z0-9-]{1,40}$/);

  it('of backups are read back, and those of anything else are none', () => {
    fc.assert(fc.property(itemId, stamp, fc.option(policy), fc.nat({ max: 64 }), fc.nat({ max: 511 }), (item, at, name, disk, region) => {
      const id = backupInstanceId(item, at, name);
      assert.deepEqual(parseBackupInstanceId(id), { itemId: item, stamp: at });
      for (const pass of [0, 1]) {
        const diskId = diskInstanceId(id, disk, pass);
        assert.equal(parseBackupInstanceId(diskId), null);
        assert.equal(parseBackupInstanceId(regionInstanceId(diskId, region)), null);
        assert.ok(regionInstanceId(diskId, region).length <= 100, `${regionInstanceId(diskId, region)} is too long`);
      }
      if (name !== null) {
        assert.equal(parseBackupInstanceId(policyInstanceId(name, at)), null);
        assert.ok(laneInstanceId(policyInstanceId(name, at), 999, 49).length <= 100);
      }
    }));
  });

  it('of two policies for the same slot differ, and are the same each time', () => {
    assert.notEqual(backupInstanceId('web01', '20261123T020000Z', 'one'), backupInstanceId('web01', '20261123T020000Z', 'two'));
    assert.equal(backupInstanceId('web01', '20261123T020000Z', 'one'), 'backup.web01.20261123T020000Z.ba2719ef');
    assert.equal(backupInstanceId('web01', '20261123T020000Z'), 'backup.web01.20261123T020000Z');
  });

  it('are not taken from nonsense', () => {
    for (const id of ['', 'backup', 'backup.', 'backup.web01', 'backup..20261123T020000Z', 'backup.web01.20261123T020000Z.', 'policy.nightly.first', 'backup.a.b.c.d']) assert.equal(parseBackupInstanceId(id), null, id);
  });
});
