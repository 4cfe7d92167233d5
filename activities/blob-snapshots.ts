import { createHash } from 'node:crypto';
import { type ErrorReport, fromReport, HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { findDocument } from '../vault/format/documents';
import type { VaultAccess } from '../vault/format/tree';
import type { VmDescription } from './cloud';
import type { ActivityDeps } from './deps';
import type { BlobDiskCloud, BlobSnapshot, BlobTags, GuestFiles } from './guest-cloud';
import type { RunInput } from './types';
import { guestAskedSchema, guestFailedSchema, recall, records, remember, type RunPlan, type RunSnapshot } from './work';

/**
 * The driver `vmSnapshotExtension`: machines whose disks are page blobs. The extension in the guest makes it consistent and takes the snapshots;
 * where it cannot, and the policy lets it pass, the app takes them itself, and the recovery point says what that is worth.
 */

/** A guest that has not answered by then is given up. Above the agent's own patience, and below the 140 minutes after which the guest refuses. */
const GUEST_LIMIT_MS = 60 * 60_000;
/** What the guest may do ends soon after it is given up. */
const GUEST_ACCESS_SECONDS = 75 * 60;

/** The machine with what its description does not tell of its unmanaged disks, and what is wrong with one of them, by LUN. */
export async function lookAtBlobDisks(cloud: BlobDiskCloud, vm: VmDescription): Promise<{ readonly vm: VmDescription; readonly problems: ReadonlyMap<string, string> }> {
  const problems = new Map<string, string>();
  const disks = [];
  for (const disk of vm.disks) {
    if (disk.blobUrl === null) {
      disks.push(disk);
      continue;
    }
    try {
      const { url, sizeBytes, createdAt } = await cloud.getBlobDisk(disk.blobUrl);
      disks.push({ ...disk, id: url, uniqueId: identityOf(url, createdAt), sizeBytes });
    } catch (error) {
      if (!isHoldfastError(error, 'CLOUD_FAILED') && !isHoldfastError(error, 'CLOUD_NOT_FOUND') && !isHoldfastError(error, 'CLOUD_ID_INVALID')) throw error;
      problems.set(disk.lun, error.message);
      disks.push(disk);
    }
  }
  return { vm: { ...vm, disks }, problems };
}

/** A page blob has no unique id of its own: it is another one when it was created at another time. */
const identityOf = (url: string, createdAt: string): string => `${url}#${createdAt}`;

/** Metadata by which the run's own snapshots are found again: the service, and not the app, chooses their names. */
export const tagsOfItem = (vault: VaultAccess, run: Pick<RunInput, 'itemId'>): BlobTags => ({ holdfastvault: vault.keys.vaultId.toString('hex'), holdfastitem: run.itemId });
export const RUN_TAG = 'holdfastrun';
const tagsOfRun = (vault: VaultAccess, run: RunInput, by: 'guest' | 'app'): BlobTags => ({ ...tagsOfItem(vault, run), [RUN_TAG]: String(run.sequence), holdfastby: by });

const blobsOf = (plan: RunPlan): readonly string[] => (plan.makes.kind === 'blobSnapshots' ? plan.makes.blobs : []);

const filesOf = (vault: VaultAccess, run: RunInput, blobUrl: string): GuestFiles =>
  ({ blobUrl, folder: `${vault.keys.vaultId.toString('hex').slice(0, 8)}/${run.itemId}`, sequence: run.sequence });

/** A machine does a task once, so the run's task is the same whoever asks for it again. */
function taskIdOf(vault: VaultAccess, run: RunInput): string {
  const digest = createHash('sha256').update(`task\0${vault.keys.vaultId.toString('hex')}\0${run.itemId}\0${run.sequence}`).digest('hex');
  return [digest.slice(0, 8), digest.slice(8, 12), `4${digest.slice(13, 16)}`, `8${digest.slice(17, 20)}`, digest.slice(20, 32)].join('-');
}

const guestOs = (plan: RunPlan): 'Windows' | 'Linux' => (plan.osType === 'Windows' ? 'Windows' : 'Linux');

/** Asks the guest for the snapshots. A guest that cannot be asked is a failure like that of one that was. */
export async function startBlobSnapshots(deps: ActivityDeps, vault: VaultAccess, run: RunInput, plan: RunPlan): Promise<void> {
  if (plan.crashConsistent) return;
  // The intent first: whoever finds this knows that the guest may have been asked (fault 1).
  const asked = await remember(vault, records.guestAsked(run), guestAskedSchema, () => Promise.resolve({ version: 1 as const, askedAtMs: deps.nowMs() }));
  try {
    await deps.cloud.startGuestSnapshot({
      vmId: plan.vmId, location: plan.location, osType: guestOs(plan), taskId: taskIdOf(vault, run), askedAtMs: asked.askedAtMs,
      disks: plan.disks.map(({ lun, id }) => ({ lun, blobUrl: id })), isPartial: plan.excludedDiskIds.length > 0,
      files: filesOf(vault, run, plan.disks[0]?.id ?? ''), tags: tagsOfRun(vault, run, 'guest'), accessSeconds: GUEST_ACCESS_SECONDS,
    });
  } catch (error) {
    if (!isHoldfastError(error) || !error.code.startsWith('GUEST_')) throw error;
    await rememberFailure(vault, run, error.toJSON());
  }
}

const rememberFailure = async (vault: VaultAccess, run: RunInput, failure: ErrorReport): Promise<ErrorReport> =>
  (await remember(vault, records.guestFailed(run), guestFailedSchema, () => Promise.resolve({ version: 1 as const, failure }))).failure;

/** The snapshots when they are there; null while the guest is at work. */
export async function lookAtBlobSnapshots(deps: ActivityDeps, vault: VaultAccess, run: RunInput, plan: RunPlan): Promise<RunSnapshot | null> {
  if (plan.crashConsistent) return takeWithoutGuest(deps, vault, run, plan, []);
  const guest = await askGuest(deps, vault, run, plan);
  if (guest.state === 'running') return null;
  if (guest.state === 'succeeded') return describe(deps, plan, guest.snapshots, guest.consistency, guest.notes);
  const { failure } = guest;
  // Where the disk may have no more snapshots, the app could not take one either.
  if (plan.failOnWeaker || failure.code === 'SNAPSHOT_LIMIT') throw fromReport({ ...failure, message: `${plan.vmName}: ${failure.message}` });
  return takeWithoutGuest(deps, vault, run, plan, [`The guest could not be made consistent (${failure.code}): ${failure.message}`]);
}

type Guest = { readonly state: 'running' } | { readonly state: 'failed'; readonly failure: ErrorReport }
  | { readonly state: 'succeeded'; readonly consistency: 'application' | 'file-system'; readonly snapshots: readonly BlobSnapshot[]; readonly notes: readonly string[] };

/** How it stands with the guest. A failure stays one, whatever the guest says later: two looks must not come to two recovery points. */
async function askGuest(deps: ActivityDeps, vault: VaultAccess, run: RunInput, plan: RunPlan): Promise<Guest> {
  const before = await findFailure(vault, run);
  if (before) return { state: 'failed', failure: before };
  const status = await deps.cloud.getGuestSnapshot({
    vmId: plan.vmId, osType: guestOs(plan), taskId: taskIdOf(vault, run), blobUrls: blobsOf(plan), files: filesOf(vault, run, plan.disks[0]?.id ?? ''), tags: tagsOfRun(vault, run, 'guest'),
  });
  if (status.state === 'failed') return { state: 'failed', failure: await rememberFailure(vault, run, status.failure) };
  if (status.state === 'succeeded') return status;
  const { askedAtMs } = await recall(vault, records.guestAsked(run), guestAskedSchema);
  if (deps.nowMs() < askedAtMs + GUEST_LIMIT_MS) return { state: 'running' };
  const late = new HoldfastError('GUEST_NO_ANSWER', `The snapshot extension did not answer within ${GUEST_LIMIT_MS / 60_000} minutes`);
  return { state: 'failed', failure: await rememberFailure(vault, run, late.toJSON()) };
}

async function findFailure(vault: VaultAccess, run: RunInput): Promise<ErrorReport | undefined> {
  return (await findDocument(vault, records.guestFailed(run), guestFailedSchema))?.failure;
}

/** Snapshots by the app, one disk after another: of one instant only where there is one disk (fault 27). */
async function takeWithoutGuest(deps: ActivityDeps, vault: VaultAccess, run: RunInput, plan: RunPlan, notes: readonly string[]): Promise<RunSnapshot> {
  const snapshots: BlobSnapshot[] = [];
  for (const blobUrl of blobsOf(plan)) snapshots.push(await deps.cloud.takeBlobSnapshot(blobUrl, tagsOfRun(vault, run, 'app')));
  return describe(deps, plan, snapshots, plan.disks.length === 1 ? 'crash' : 'crash-per-disk', notes);
}

async function describe(deps: ActivityDeps, plan: RunPlan, snapshots: readonly BlobSnapshot[], consistency: RunSnapshot['consistency'], notes: readonly string[]): Promise<RunSnapshot> {
  const disks: RunSnapshot['disks'] = [];
  for (const [index, planned] of plan.disks.entries()) {
    const snapshot = snapshots[index];
    if (!snapshot) throw new HoldfastError('SNAPSHOT_FAILED', `There is no snapshot of ${planned.name}`);
    // Looked at after the snapshot: a blob that is still the planned one was so when it was taken (fault 22).
    const { url, createdAt } = await deps.cloud.getBlobDisk(planned.id);
    if (identityOf(url, createdAt) !== planned.uniqueId) throw new HoldfastError('DISK_REPLACED', `${planned.name} was replaced after the run had begun: its blob was created at ${createdAt}`);
    disks.push({ disk: planned.disk, handle: { kind: 'blobSnapshot', id: snapshot.id }, familyId: planned.uniqueId, sourceUniqueId: planned.uniqueId });
  }
  const createdAt = snapshots.map((snapshot) => snapshot.createdAt).sort()[0] ?? plan.startedAt;
  return { version: 1, consistency, createdAt, disks, notes: [...notes] };
}

/**
 * Deletes what the item's runs up to this one left on the blobs, but what is kept: found by its tags, so that what a run never heard of is
 * among it (fault 1, 28), a guest's that came back late as well. Snapshots of later runs are not touched, nor is anybody else's.
 */
export async function removeBlobSnapshots(cloud: BlobDiskCloud, vault: VaultAccess, run: RunInput, blobs: readonly string[], keptIds: ReadonlySet<string>): Promise<void> {
  for (const blobUrl of new Set(blobs)) {
    for (const { id, tags } of await cloud.listBlobSnapshots(blobUrl, tagsOfItem(vault, run))) {
      const sequence = Number(tags[RUN_TAG] ?? Number.NaN);
      if (sequence <= run.sequence && !keptIds.has(id)) await cloud.deleteBlobSnapshot(id);
    }
    await cloud.deleteGuestFiles(filesOf(vault, run, blobUrl));
  }
}
