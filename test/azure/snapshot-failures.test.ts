import assert from 'node:assert/strict';
import { cloudError } from '../../azure/compute/errors';
import { snapshotFailureCode } from '../../azure/compute/snapshot-failures';
import type { ErrorCode } from '../../errors/catalogue';
import { type ArmScript, compute, ok, startArm, subscription } from './arm-script';

/** Codes and the beginnings of the sentences that Azure documents with them. */
const documented: readonly (readonly [string, string, ErrorCode | undefined])[] = [
  ['VMAgentStatusCommunicationError', 'VM has not reported status for VM agent or extensions.', 'GUEST_AGENT_NOT_READY'],
  ['GuestAgentSnapshotTaskStatusError', 'Could not communicate with the VM agent for snapshot status.', 'GUEST_AGENT_NOT_READY'],
  ['UserErrorGuestAgentStatusUnavailable', 'VM agent unable to communicate.', 'GUEST_AGENT_NOT_READY'],
  ['VMRestorePointClientError', 'Restore Point creation failed due to VSS Writers in bad state. Restart VSS Writer services and reboot VM.', 'GUEST_VSS_FAILED'],
  ['ExtensionFailedVssWriterInBadState', 'Snapshot operation failed because VSS writers were in a bad state.', 'GUEST_VSS_FAILED'],
  ['VMRestorePointClientError', 'Restore Point creation failed due to COM+ error.', 'GUEST_COM_FAILED'],
  ['ExtensionSnapshotFailedCOM', 'Snapshot operation failed due to COM+ error.', 'GUEST_COM_FAILED'],
  ['VMRestorePointClientError', 'Restore Point creation failed as the maximum allowed snapshot limit of one or more disk blobs has been reached.', 'SNAPSHOT_LIMIT'],
  ['SnapshotCountExceeded', 'The snapshot count against this blob has been exceeded.', 'SNAPSHOT_LIMIT'],
  ['DiskRestorePointClientError', 'Keyvault associated with DiskEncryptionSet not found.', 'DISK_KEY_UNAVAILABLE'],
  ['OperationNotAllowed', 'Changes were made to the Virtual Machine while the operation \'Create Restore Point\' was in progress.', 'MACHINE_CHANGED'],
  ['VMRestorePointInternalError', 'Restore Point creation failed due to an internal execution error.', undefined],
  ['OperationNotAllowed', 'Something else.', undefined],
];

describe('failures of snapshots, as Azure documents them', () => {
  it('are told by what they mean, from a failed operation as well as from a refused request', () => {
    for (const [code, message, means] of documented) {
      assert.equal(snapshotFailureCode(code, message), means, code);
      if (means === undefined) continue;
      assert.equal(cloudError(new Error(`The long-running operation has failed. ${code}. ${message}`), 'to begin the restore point').code, means, `${code}, as an operation`);
      assert.equal(cloudError(Object.assign(new Error(message), { statusCode: 409, code }), 'to begin the restore point').code, means, `${code}, as a refusal`);
    }
  });

  it('the other limits keep their own codes', () => {
    const refused = (code: string, message: string, statusCode = 409): string => cloudError(Object.assign(new Error(message), { statusCode, code }), 'x').code;
    assert.equal(refused('QuotaExceeded', 'Operation could not be completed as it results in exceeding approved quota.'), 'CLOUD_QUOTA');
    assert.equal(refused('OperationNotAllowed', 'Operation results in exceeding quota limits of Core.'), 'CLOUD_QUOTA');
    assert.equal(refused('TooManyRequests', 'x', 429), 'CLOUD_THROTTLED');
    assert.equal(refused('DiskRestorePointUsedByCustomer', 'There is an active shared access signature outstanding for disk restore point.'), 'CLOUD_CONFLICT');
  });

  describe('of a restore point that failed', () => {
    let arm: ArmScript;
    afterEach(() => arm.close());

    it('carry the code from its instance view', async () => {
      arm = await startArm();
      const [code, message, means] = documented[0] ?? [];
      arm.on(`GET ${compute}/restorePointCollections/c/restorePoints/p`, ok({ id: 'p', name: 'p', properties: { provisioningState: 'Failed', instanceView: { statuses: [{ code: `ProvisioningState/failed/${code}`, level: 'Error', message }] } } }));
      const status = await arm.cloud.getRestorePoint({ subscriptionId: subscription, resourceGroup: 'rg-app', collection: 'c', name: 'p' });
      assert.deepEqual([status?.state, status?.failure?.code, status?.failure?.serviceCode], ['failed', means, code]);
    });
  });
});
