/** Names of everything that is registered, and the ids of instances: one place, so that code and history agree. */
export const ORCHESTRATIONS = {
  backupVm: 'backupVm',
  backupDisk: 'backupDisk',
  backupRegion: 'backupRegion',
  runPolicy: 'runPolicy',
  policyLane: 'policyLane',
} as const;

export const ACTIVITIES = {
  openRun: 'openRun',
  planBackup: 'planBackup',
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
} as const;

const BACKUP = 'backup.';

/** A backup's instance id: the same item and stamp always give the same one, so a slot is never run twice. */
export const backupInstanceId = (itemId: string, stamp: string): string => `${BACKUP}${itemId}.${stamp}`;
export const diskInstanceId = (parent: string, disk: number, pass: number): string => `${parent}.d${disk}${pass === 0 ? '' : `p${pass}`}`;
export const regionInstanceId = (parent: string, region: number): string => `${parent}.r${region}`;
export const policyInstanceId = (policy: string, stamp: string): string => `policy.${policy}.${stamp}`;

/** A lane's id: unlike for every page of items (`after` is where the page begins), because ids of finished instances are not taken again. */
export const laneInstanceId = (parent: string, after: string | null, lane: number): string => `${parent}.${after === null ? '' : `${after}.`}l${lane}`;

/** The item and stamp of a backup's instance id, or null for the id of anything else (a disk, a region, a policy's run). */
export function parseBackupInstanceId(id: string): { itemId: string; stamp: string } | null {
  const [kind, itemId, stamp, ...more] = id.split('.');
  return `${kind}.` === BACKUP && itemId && stamp && more.length === 0 ? { itemId, stamp } : null;
}
