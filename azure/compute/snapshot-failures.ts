import type { ErrorCode } from '../../errors/catalogue';

/**
 * Why Azure could not make a restore point or a snapshot, as documented: which code of the catalogue that is. The service's code alone does not
 * decide: VMRestorePointClientError and OperationNotAllowed stand for many things, so the documented sentence is looked at too.
 * Sources: "Troubleshoot restore point failures" (azure-compute-docs, restore-point-troubleshooting) and, for the names that the snapshot extension itself gives
 * and Azure Backup shows (ExtensionSnapshot…, GuestAgent…, UserError…), "Troubleshoot Azure Backup failure" and "Troubleshooting backup failures on Azure virtual machines".
 */
const known: readonly { readonly code: RegExp; readonly message?: RegExp; readonly means: ErrorCode }[] = [
  { code: /^(VMAgentStatusCommunicationError|VMExtensionHandlerNotReady|UserErrorGuestAgentStatusUnavailable|GuestAgentSnapshotTaskStatusError)$/i, means: 'GUEST_AGENT_NOT_READY' },
  { code: /^(ExtensionFailedVssWriterInBadState|ExtensionFailedVssServiceInBadState|ExtensionSnapshotFailedVss\w*|ExtensionSnapshotBitlockerError)$/i, means: 'GUEST_VSS_FAILED' },
  { code: /^(ExtensionSnapshotFailedCOM|ExtensionInstallationFailedCOM|ExtensionInstallationFailedMDTC)$/i, means: 'GUEST_COM_FAILED' },
  { code: /^(SnapshotCountExceeded|SnapshotOperationRateExceeded|UserErrorRpCollectionLimitReached)$/i, means: 'SNAPSHOT_LIMIT' },
  { code: /^VMRestorePointClientError$/i, message: /\bVSS Writers?\b/i, means: 'GUEST_VSS_FAILED' },
  { code: /^VMRestorePointClientError$/i, message: /\bCOM\+/i, means: 'GUEST_COM_FAILED' },
  { code: /^VMRestorePointClientError$/i, message: /maximum allowed snapshot limit/i, means: 'SNAPSHOT_LIMIT' },
  { code: /^DiskRestorePointClientError$/i, message: /key ?vault/i, means: 'DISK_KEY_UNAVAILABLE' },
  { code: /^OperationNotAllowed$/i, message: /changes were made to the virtual machine/i, means: 'MACHINE_CHANGED' },
];

/** The catalogue's code for a failure, or undefined where nothing more is known than that it failed. */
export const snapshotFailureCode = (serviceCode: string, message: string): ErrorCode | undefined =>
  known.find((one) => one.code.test(serviceCode) && (one.message?.test(message) ?? true))?.means;
