import assert from 'node:assert/strict';
import type { VmDescription, VmDisk } from '../../activities/cloud';
import { DEFAULT_POLICY, planOf } from '../../activities/plan-backup';
import { isHoldfastError } from '../../errors/holdfast-error';
import type { PolicyDocument } from '../../policy/schema';

const GROUP = '/subscriptions/0f0e0d0c-1111-2222-3333-444455556666/resourceGroups/rg/providers/Microsoft.Compute';
const disk = (lun: string, changes: Partial<VmDisk> = {}): VmDisk => ({
  lun, name: `disk-${lun}`, id: `${GROUP}/disks/disk-${lun}`, managed: true, blobUrl: null, uniqueId: `u-${lun}`, sizeBytes: 1024 ** 3, sku: 'Premium_LRS', caching: 'None', maxShares: 1,
  ephemeral: false, writeAccelerated: false, logicalSectorBytes: 512, networkAccessPolicy: 'AllowAll', needsEntraToRead: false, hyperVGeneration: null, ...changes,
});
const vm = (...disks: VmDisk[]): VmDescription => ({ id: `${GROUP}/virtualMachines/web01`, name: 'web01', location: 'westeurope', tags: {}, uniqueId: 'vm', osType: 'Linux', disks, model: {} });
const input = { itemId: 'web01-3f9a2c1d', sequence: 3, stamp: '20261123T010000Z', vmId: `${GROUP}/virtualMachines/web01`, policy: 'p', slot: null };
const plan = (disks: VmDisk[], policy: Partial<PolicyDocument> = {}) => planOf(vm(...disks), { ...DEFAULT_POLICY, ...policy }, input, '0123abcd', 1_000);

function refusal(disks: VmDisk[], policy: Partial<PolicyDocument> = {}): string {
  try {
    plan(disks, policy);
  } catch (error) {
    assert.ok(isHoldfastError(error, 'NOTHING_TO_PROTECT'));
    return error.message;
  }
  return assert.fail('it was planned');
}

describe('the plan of a backup', () => {
  it('takes a restore point of all disks where nothing is in the way, under a name that follows from vault, item and stamp', () => {
    const made = plan([disk('os'), disk('0')]);
    assert.equal(made.driver, 'restorePoint');
    assert.deepEqual(made.warnings, []);
    assert.deepEqual(made.excludedDiskIds, []);
    assert.deepEqual(made.makes, { kind: 'restorePoint', ref: { subscriptionId: '0f0e0d0c-1111-2222-3333-444455556666', resourceGroup: 'rg', collection: 'holdfast-0123abcd-web01-3f9a2c1d', name: 'hf-20261123T010000Z' } });
    assert.deepEqual(made.disks.map(({ disk: number, lun, snapshotId }) => [number, lun, snapshotId]), [[0, 'os', null], [1, '0', null]]);
    assert.deepEqual(plan([disk('os'), disk('0')]), made, 'the same each time');
  });

  it('refuses a confidential machine, and warns of disks that are encrypted from inside', () => {
    const machine = (properties: object): VmDescription => ({ ...vm(disk('os')), model: { properties } });
    assert.throws(() => planOf(machine({ securityProfile: { securityType: 'ConfidentialVM' } }), DEFAULT_POLICY, input, '0123abcd', 1), (error) => isHoldfastError(error, 'DISK_ENCRYPTION_UNSUPPORTED'));
    const warned = planOf(machine({ securityProfile: { securityType: 'TrustedLaunch' }, storageProfile: { osDisk: { encryptionSettings: { enabled: true } } } }), DEFAULT_POLICY, input, '0123abcd', 1);
    assert.match(warned.warnings.join(), /encrypted inside the machine.*in no recovery point/);
    for (const properties of [{}, { storageProfile: { osDisk: { encryptionSettings: { enabled: false } } } }, { securityProfile: 7 }]) assert.deepEqual(planOf(machine(properties), DEFAULT_POLICY, input, '0123abcd', 1).warnings, []);
  });

  it('names a snapshot for each disk where the policy wants them disk by disk; names fit what Azure takes', () => {
    const made = planOf(vm(disk('os'), disk('63')), { ...DEFAULT_POLICY, driver: 'diskSnapshot' }, { ...input, itemId: `${'i'.repeat(31)}-3f9a2c1d`, stamp: '20261123T010000123Z' }, '0123abcd', 1_000);
    assert.equal(made.driver, 'diskSnapshot');
    for (const { snapshotId } of made.disks) assert.ok((snapshotId?.split('/').at(-1) ?? '').length <= 80, String(snapshotId));
    assert.deepEqual(made.makes, { kind: 'snapshots', ids: made.disks.map(({ snapshotId }) => snapshotId) });
  });

  const unfit: readonly [string, Partial<VmDisk>, RegExp][] = [
    ['an unmanaged disk', { managed: false, id: '' }, /unmanaged disk whose page blob is not known/], ['an ephemeral one', { ephemeral: true }, /ephemeral/], ['a shared one', { maxShares: 2 }, /shared/],
    ['one with large sectors', { logicalSectorBytes: 4096 }, /sectors of 4096/], ['one that needs a token', { needsEntraToRead: true }, /Entra token/],
  ];
  for (const [what, changes, reason] of unfit) {
    it(`leaves out ${what} with a warning, and refuses a machine that has nothing else`, () => {
      const made = plan([disk('os'), disk('0', changes)]);
      assert.deepEqual(made.disks.map(({ lun }) => lun), ['os']);
      assert.match(made.warnings.join(), reason);
      assert.deepEqual(made.excludedDiskIds, changes.id === '' ? [] : [`${GROUP}/disks/disk-0`], 'only what has a resource id can be named to Azure');
      assert.match(refusal([disk('os', changes)]), reason);
    });
  }

  it('numbers disks without gaps when one is left out', () => {
    assert.deepEqual(plan([disk('os', { ephemeral: true }), disk('0'), disk('5')]).disks.map(({ disk: number, lun }) => [number, lun]), [[0, '0'], [1, '5']]);
  });

  it('leaves out what the policy excludes without a warning: it was asked for', () => {
    const made = plan([disk('os'), disk('0')], { excludeDisks: [{ lun: 0 }] });
    assert.deepEqual([made.disks.length, made.warnings, made.excludedDiskIds], [1, [], [`${GROUP}/disks/disk-0`]]);
    assert.match(refusal([disk('os')], { excludeDisks: [{ lun: 'os' }] }), /excluded by the policy/);
    assert.match(refusal([]), /no disks/);
  });

  for (const changes of [{ writeAccelerated: true }, { sku: 'UltraSSD_LRS' }, { sku: 'PremiumV2_LRS' }]) {
    it(`goes disk by disk where a crash-consistent restore point would leave a disk out (${JSON.stringify(changes)}), and says so`, () => {
      const made = plan([disk('os'), disk('0', changes)], { consistency: 'crash' });
      assert.equal(made.driver, 'diskSnapshot');
      assert.match(made.warnings.join(), /disk by disk instead of a restore point/);
      assert.match(refusal([disk('os'), disk('0', changes)], { consistency: 'crash', driver: 'restorePoint' }), /cannot be backed up with the driver restorePoint/);
      assert.equal(plan([disk('os'), disk('0', changes)]).driver, 'restorePoint');
    });
  }
});
