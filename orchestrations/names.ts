/** Names of everything that is registered, and the ids of instances: one place, so that code and history agree. */
export const ORCHESTRATIONS = {
  backupVm: 'backupVm',
  backupDisk: 'backupDisk',
  backupRegion: 'backupRegion',
  runPolicy: 'runPolicy',
  policyLane: 'policyLane',
  restore: 'restore',
  restoreDisk: 'restoreDisk',
  restoreRegion: 'restoreRegion',
} as const;

export const ACTIVITIES = {
  openRun: 'openRun',
  planBackup: 'planBackup',
  preScript: 'preScript',
  postScript: 'postScript',
  startSnapshot: 'startSnapshot',
  snapshotStatus: 'snapshotStatus',
  planDisk: 'planDisk',
  planRegion: 'planRegion',
  transferSlice: 'transferSlice',
  finishRegion: 'finishRegion',
  finishDisk: 'finishDisk',
  auditDisk: 'auditDisk',
  commitRun: 'commitRun',
  releaseSnapshots: 'releaseSnapshots',
  abandonRun: 'abandonRun',
  selectItems: 'selectItems',
  planRestore: 'planRestore',
  proveRestore: 'proveRestore',
  startRestoreTarget: 'startRestoreTarget',
  planRestoreRegion: 'planRestoreRegion',
  restoreSlice: 'restoreSlice',
  finishRestoreTarget: 'finishRestoreTarget',
  driveRestoredMachine: 'driveRestoredMachine',
  commitRestore: 'commitRestore',
  abandonRestore: 'abandonRestore',
  undoRestore: 'undoRestore',
  releaseRestore: 'releaseRestore',
} as const;

/** Housekeeping: what is done for the vault and the cloud as a whole. */
export const HOUSEKEEPING = { sweepCloud: 'sweepCloud', sweepItems: 'sweepItems', sweepBlobs: 'sweepBlobs', reconcileRuns: 'reconcileRuns', reconcileItems: 'reconcileItems', reconcileRestores: 'reconcileRestores' } as const;

/** The maintenance of the vault: locks and keys, retention, then collection. */
export const MAINTENANCE = { maintain: 'maintain', retainItems: 'retainItems', collectVault: 'collectVault', lockVault: 'lockVault', testKeys: 'testKeys', recordMaintenance: 'recordMaintenance' } as const;
export const MAINTAIN_INSTANCE_ID = 'maintain';

export const RECONCILE_INSTANCE_ID = 'reconcile';
export const sweepInstanceId = (stamp: string): string => `sweep.${stamp}`;
export const isSweepInstanceId = (id: string): boolean => /^sweep\.\d{8}T\d{6}(\d{3})?Z$/.test(id);

/** What a second person has to agree to. */
export const APPROVALS = { approval: 'approval', settleApproval: 'settleApproval' } as const;
/** One waits for its expiry, and one for its time once somebody agreed. */
export const approvalInstanceId = (id: string, waitsFor: 'expiry' | 'due'): string => `approval.${id}.${waitsFor}`;

/** What every job ends with: telling the outside what it came to. */
export const REPORTS = { reportJob: 'reportJob' } as const;

/** Telling people: what of a job is told, and bringing an event to the webhooks. */
export const NOTICES = { raise: 'raiseNotices', raiseJobNotices: 'raiseJobNotices', tell: 'tell', sendNotice: 'sendNotice', concludeNotice: 'concludeNotice' } as const;
/** One telling an event. */
export const tellInstanceId = (noticeId: string): string => `tell.${noticeId}`;
/** One for each time that a job ran: `digest` stands for both. */
export const raiseInstanceId = (digest: string): string => `raise.${digest}`;

/** Reading back and proving what is stored. */
export const SCRUBS = { scrub: 'scrub', planScrub: 'planScrub', scrubItem: 'scrubItem', concludeScrub: 'concludeScrub' } as const;

/** One daily share at a time. */
export const DAILY_SCRUB_ID = 'scrub.daily';
export const scrubInstanceId = (stamp: string): string => `scrub.${stamp}`;
export const isScrubInstanceId = (id: string): boolean => id === DAILY_SCRUB_ID || /^scrub\.\d{8}T\d{6}(\d{3})?Z$/.test(id);

const BACKUP = 'backup.';

/**
 * A backup's instance id: the same item, stamp and policy always give the same one, so a slot is never run twice. `policy` is null for
 * backups on demand. Two policies with a slot at the same moment are two jobs, of which the vault lets one make the recovery point: as one
 * instance the second would be refused while the first runs, and would run the finished one anew.
 */
export const backupInstanceId = (itemId: string, stamp: string, policy: string | null = null): string =>
  `${BACKUP}${itemId}.${stamp}${policy === null ? '' : `.${shortHash(policy)}`}`;
export const diskInstanceId = (parent: string, disk: number, pass: number): string => `${parent}.d${disk}${pass === 0 ? '' : `p${pass}`}`;
export const regionInstanceId = (parent: string, region: number): string => `${parent}.r${region}`;
export const policyInstanceId = (policy: string, stamp: string): string => `policy.${policy}.${stamp}`;

/** A lane's id: unlike for every page of items, because ids of finished instances are not taken again. */
export const laneInstanceId = (parent: string, page: number, lane: number): string => `${parent}.p${page}.l${lane}`;

const RESTORE = 'restore.';
/** A restore's instance id: the id that its caller chose or was given. */
export const restoreInstanceId = (restoreId: string): string => `${RESTORE}${restoreId}`;
export const restoreDiskInstanceId = (parent: string, disk: number): string => `${parent}.d${disk}`;

/** The restore's id of an instance id, or null for the id of anything else (a disk, a region, a backup). */
export function parseRestoreInstanceId(id: string): string | null {
  const restoreId = id.startsWith(RESTORE) ? id.slice(RESTORE.length) : '';
  return /^[a-z0-9][a-z0-9-]*$/.test(restoreId) ? restoreId : null;
}

/** The item and stamp of a backup's instance id, or null for the id of anything else (a disk, a region, a policy's run). */
export function parseBackupInstanceId(id: string): { itemId: string; stamp: string } | null {
  const [kind, itemId, stamp, policy, ...more] = id.split('.');
  const isBackup = `${kind}.` === BACKUP && itemId && stamp && (policy === undefined || /^[0-9a-f]{8}$/.test(policy)) && more.length === 0;
  return isBackup ? { itemId, stamp } : null;
}

/** FNV-1a over the characters, 8 hexadecimal digits: instance ids have at most 100 characters, so a policy's name of 40 does not fit. */
function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}
