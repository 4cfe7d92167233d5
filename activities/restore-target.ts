import { createHash } from 'node:crypto';
import { HoldfastError } from '../errors/holdfast-error';
import { createDocument, findDocument } from '../vault/format/documents';
import type { VaultAccess } from '../vault/format/tree';
import type { ActivityDeps } from './deps';
import { ACCESS_SECONDS } from './disk-access';
import { activity } from './outcome';
import { isPresentReady, startPresent } from './restore-present';
import { diskTargetSpec, type PageTarget, type PageTargetSpec } from './restore-cloud';
import { assertRestoreOpen, diskOf, type PlannedRestoreDisk, type RestoreDiskInput, type RestorePlan, restoreRecords, restoreStepSchema, type TargetStatus, undoIfGivenUp } from './restore-records';
import { undoDisk } from './restore-undo';
import { assertZeros } from './restore-zeros';

/** Access to what a disk is restored to: a secret, for one activity. */
export async function targetSpec(deps: ActivityDeps, { target }: PlannedRestoreDisk): Promise<PageTargetSpec> {
  if (target.kind === 'pageBlob') return deps.restoreCloud.locatePageBlob({ account: target.account, container: target.container, blob: target.blob }, target.sizeBytes);
  return diskTargetSpec(await deps.restoreCloud.grantDiskWrite(target.id, ACCESS_SECONDS));
}

/** Opens a target in this thread, gives it to `use`, and closes it. */
export async function withTarget<T>(deps: ActivityDeps, disk: PlannedRestoreDisk, use: (target: PageTarget) => Promise<T>): Promise<T> {
  const target = await deps.openPageTarget(await targetSpec(deps, disk), () => targetSpec(deps, disk));
  try {
    return await use(target);
  } finally {
    await target.close();
  }
}

/** Step 3a: makes what the disk is restored to. Called until it is ready: each call starts it, or looks how far it is. */
export const createStartRestoreTarget = (deps: ActivityDeps) => activity(async (input: RestoreDiskInput): Promise<TargetStatus> => {
  const vault = await deps.vault();
  const plan = await assertRestoreOpen(vault, input, deps.nowMs());
  const disk = diskOf(plan, input.disk);
  const { target } = disk;
  if (await findDocument(vault, restoreRecords.footer(input), restoreStepSchema)) return { state: 'ready' };
  if (target.kind === 'pageBlob') {
    if (target.differential) await beginDifferential(deps, disk);
    else await deps.restoreCloud.createPageBlob(target);
  } else {
    await startPresent(deps, disk);
    await deps.restoreCloud.startCreateUploadDisk(target);
  }
  await undoIfGivenUp(vault, input, () => undoDisk(deps, plan, disk));
  if (target.kind === 'pageBlob') return { state: 'ready' };
  const status = await deps.restoreCloud.getDisk(target.id);
  if (status?.failure) throw new HoldfastError('CLOUD_FAILED', `The disk ${target.id} could not be made: ${status.failure.message}`, { data: { serviceCode: status.failure.serviceCode } });
  return { state: await isPresentReady(deps, plan, disk) && status?.state === 'succeeded' ? 'ready' : 'running' };
});

/**
 * A blob that is written where it differs is no VHD while that is under way: its footer goes first and comes back last, so that a half-written one is
 * never taken for whole (I6). What lies between the disk's end and the footer becomes zeros.
 */
async function beginDifferential(deps: ActivityDeps, disk: PlannedRestoreDisk): Promise<void> {
  const { target, sizeBytes } = disk;
  if (target.kind !== 'pageBlob') return;
  const withFooter: PlannedRestoreDisk = { ...disk, target: { ...target, sizeBytes: target.sizeBytes + FOOTER_BYTES } };
  await withTarget(deps, withFooter, (blob) => blob.clear(target.sizeBytes, FOOTER_BYTES));
  const start = Math.ceil(sizeBytes / FOOTER_BYTES) * FOOTER_BYTES;
  if (start === target.sizeBytes) return;
  await withTarget(deps, disk, async (blob) => {
    for await (const { offset, length } of blob.listRanges({ offset: start, length: target.sizeBytes - start })) await blob.clear(offset, length);
  });
}

const FOOTER_BYTES = 512;

/** Step 3c: what holds no data reads as zeros; then the footer, and the end of access. Called until the disk can be used. */
export const createFinishRestoreTarget = (deps: ActivityDeps) => activity(async (input: RestoreDiskInput): Promise<TargetStatus> => {
  const vault = await deps.vault();
  const plan = await assertRestoreOpen(vault, input, deps.nowMs());
  if (await findDocument(vault, restoreRecords.done(input), restoreStepSchema)) return { state: 'ready' };
  const disk = diskOf(plan, input.disk);
  const { target } = disk;
  if (!await findDocument(vault, restoreRecords.footer(input), restoreStepSchema)) {
    await withTarget(deps, disk, async (opened) => {
      await assertZeros(vault, plan, disk, opened);
      await opened.writeFooter({ uniqueId: vhdId(plan, disk), createdAtMs: Date.parse(plan.plannedAt) });
    });
    await note(deps, vault, restoreRecords.footer(input));
  }
  if (target.kind === 'disk') {
    await deps.restoreCloud.endDiskAccess(target.id);
    const status = await deps.restoreCloud.getDisk(target.id);
    if (!status) throw new HoldfastError('CLOUD_NOT_FOUND', `The disk ${target.id} is gone: someone deleted it while it was restored`);
    // Attached: the step runs again after the machine was made, or had its disks exchanged.
    if (!['Unattached', 'Attached', 'Reserved'].includes(status.diskState)) return { state: 'running' };
  }
  await note(deps, vault, restoreRecords.done(input));
  return { state: 'ready' };
});

const note = (deps: ActivityDeps, vault: VaultAccess, name: string): Promise<unknown> => createDocument(vault, name, { version: 1, at: new Date(deps.nowMs()).toISOString() });

/** The same restore of the same disk is always the same VHD. */
function vhdId({ restoreId, recoveryPoint }: RestorePlan, { lun, name }: PlannedRestoreDisk): string {
  const hash = createHash('sha256').update(`${restoreId}/${recoveryPoint}/${lun}/${name}`).digest('hex');
  return [hash.slice(0, 8), hash.slice(8, 12), hash.slice(12, 16), hash.slice(16, 20), hash.slice(20, 32)].join('-');
}
