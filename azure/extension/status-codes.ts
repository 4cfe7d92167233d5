import type { ErrorCode } from '../../errors/catalogue';

/** How the extension's own pre- and post-scripts ended (300 to 318). Source: the public source of VMSnapshotLinux, its list of result codes. */
const scriptCodes: Readonly<Record<number, string>> = {
  300: 'the pre-script failed', 301: 'the post-script failed', 302: 'the pre-script is not there', 303: 'the post-script is not there',
  304: 'the configuration of the script host cannot be read', 305: '/etc/azure/VMSnapshotScriptPluginConfig.json cannot be read', 306: 'the pre-script may be used by others than root',
  307: 'the post-script may be used by others than root', 308: 'the pre-script took too long', 309: 'the post-script took too long', 310: 'the script host gave up waiting for the pre-script',
  311: 'the script host gave up waiting for the post-script', 312: 'a script was changed since it was approved', 313: 'the configuration of the script host is not there',
  314: 'the configuration of the script host may be read by others', 315: 'the configuration of the script host does not belong to root',
  316: '/etc/azure/VMSnapshotScriptPluginConfig.json is not there', 317: '/etc/azure/VMSnapshotScriptPluginConfig.json may be used by others than root',
  318: '/etc/azure/VMSnapshotScriptPluginConfig.json does not belong to root',
};

/** The codes that have a meaning of their own. Source as above; the Windows extension is not public, so its failures are told by their words as well. */
const knownCodes: Readonly<Record<number, { readonly code: ErrorCode; readonly meaning: string }>> = {
  13: { code: 'GUEST_TOO_LATE', meaning: 'the time of the request is not the machine\'s' },
  15: { code: 'GUEST_NO_NETWORK', meaning: 'a request to the storage account failed' },
  16: { code: 'GUEST_AGENT_NOT_READY', meaning: 'the agent has no certificate to open the settings with' },
  76: { code: 'GUEST_NO_NETWORK', meaning: 'the machine has no way to its storage account' },
  85: { code: 'SNAPSHOT_LIMIT', meaning: 'the disk has as many snapshots as it may have' },
  121: { code: 'GUEST_FREEZE_FAILED', meaning: 'fsfreeze failed' },
  122: { code: 'GUEST_FREEZE_TIMEOUT', meaning: 'fsfreeze took too long' },
  123: { code: 'GUEST_FREEZE_FAILED', meaning: 'a mount could not be opened' },
  173: { code: 'SNAPSHOT_LIMIT', meaning: 'too many snapshots in a short time' },
  402: { code: 'GUEST_TOO_LATE', meaning: 'the request was more than 140 minutes old when the machine got it' },
  556: { code: 'GUEST_SNAPSHOT_FAILED', meaning: 'the host could not take the snapshot' },
  761: { code: 'GUEST_NO_NETWORK', meaning: 'the way to the storage account is restricted' },
};

export const APPLICATION_CONSISTENT = 0;
export const FILE_SYSTEM_CONSISTENT = 1;
/** The extension wrote what it knows so far and goes on. */
export const STILL_AT_WORK = 4;

/** What a result code says, in words; null for one that is a success or is not known. */
export function meaningOf(code: number): string | null {
  if (code >= 500 && code <= 512) return 'a script for the database in the machine failed';
  return scriptCodes[code] ?? knownCodes[code]?.meaning ?? null;
}

/** The catalogue's entry for a failed snapshot. */
export function errorCodeOf(code: number, message: string, osType: 'Windows' | 'Linux'): ErrorCode {
  if (scriptCodes[code] !== undefined || (code >= 500 && code <= 512)) return 'GUEST_SCRIPT_FAILED';
  const known = knownCodes[code]?.code;
  if (known !== undefined) return known;
  return osType === 'Windows' && /\bVSS\b|\bwriters?\b|shadow cop/i.test(message) ? 'GUEST_VSS_FAILED' : 'GUEST_SNAPSHOT_FAILED';
}
