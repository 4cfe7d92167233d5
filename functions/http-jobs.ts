import type { HttpResponseInit } from '@azure/functions';
import type * as df from 'durable-functions';
import { z } from 'zod';
import type { ActivityDeps } from '../activities/deps';
import { decideRestore } from '../activities/restore-records';
import { HoldfastError } from '../errors/holdfast-error';
import type { BackupVmStatus } from '../orchestrations/backup-vm';
import { isScrubInstanceId, parseBackupInstanceId, parseRestoreInstanceId } from '../orchestrations/names';
import { abandonRun } from '../vault/run';
import { findStatus, isActive } from './durable-status';
import { type JobView, viewJob } from './job-view';
import { json } from './problem';
import { pathId, route, undescribed } from './route';
import { type RestoreJobView, viewRestore } from './restore-view';
import { type ScrubJobView, viewScrub } from './scrub-view';
import { cancelScrub } from './scrubs';

export type AnyJobView = JobView | RestoreJobView | ScrubJobView;

const LISTED_DAYS = 7;
const MAX_LISTED = 200;

const notFound = (id: string): HoldfastError => new HoldfastError('JOB_NOT_FOUND', `There is no job "${id.slice(0, 120)}"`);

const ofJob = z.strictObject({ id: pathId });

const getJob = route({
  id: 'getJob', method: 'GET', path: 'jobs/{id}', role: 'Reader', params: ofJob, responses: { 200: undescribed },
  summary: 'A backup, restore or scrub: how far it is, what it came to, and what to do where it failed',
  async handler({ params: { id }, client, services: { deps } }) {
    const status = isJob(id) ? await findStatus(client, id) : undefined;
    if (!status) throw notFound(id);
    return json(await view(client, deps, status, true));
  },
});

const isJob = (id: string): boolean => parseBackupInstanceId(id) !== null || parseRestoreInstanceId(id) !== null || isScrubInstanceId(id);

/** With `deep`, what runs is asked how far its parts are. */
async function view(client: df.DurableClient, deps: ActivityDeps, status: df.DurableOrchestrationStatus, deep: boolean): Promise<AnyJobView> {
  if (isScrubInstanceId(status.instanceId)) return viewScrub(status, deps.nowMs());
  if (parseRestoreInstanceId(status.instanceId) !== null) return viewRestore(client, status, deps.nowMs(), deep);
  return viewJob(client, await deps.vault(), status, deps.nowMs(), deep);
}

const listJobs = route({
  id: 'listJobs', method: 'GET', path: 'jobs', role: 'Reader', responses: { 200: undescribed },
  summary: 'The jobs of the last week, newest first',
  async handler({ client, services: { deps } }) {
    const now = new Date(deps.nowMs());
    const all = await client.getStatusBy({ createdTimeFrom: new Date(now.getTime() - LISTED_DAYS * 86_400_000), createdTimeTo: now, runtimeStatus: [] });
    const jobs = all.filter(({ instanceId }) => isJob(instanceId)).sort((a, b) => new Date(b.createdTime).getTime() - new Date(a.createdTime).getTime());
    return json(await Promise.all(jobs.slice(0, MAX_LISTED).map((status) => view(client, deps, status, false))));
  },
});

const cancelJob = route({
  id: 'cancelJob', method: 'POST', path: 'jobs/{id}/cancel', role: 'Operator', action: 'job.cancel', params: ofJob, responses: { 202: undescribed },
  summary: 'Cancels a job that has not come to its end',
  handler: ({ params: { id }, client, services: { deps } }) => isScrubInstanceId(id) ? cancelScrub(client, id) : parseRestoreInstanceId(id) !== null ? cancelRestore(deps, client, id) : cancelBackup(deps, client, id),
});

/**
 * The vault's run record decides. The steps of the job see that the run was given up and stop; the orchestration then cleans up. A run
 * that is sealed already can no longer be cancelled: its recovery point will exist.
 */
async function cancelBackup(deps: ActivityDeps, client: df.DurableClient, id: string): Promise<HttpResponseInit> {
  const parsed = parseBackupInstanceId(id);
  const status = parsed ? await findStatus(client, id) : undefined;
  if (!parsed || !status) throw notFound(id);
  const sequence = (status.customStatus as BackupVmStatus | null)?.sequence ?? null;
  if (!isActive(status) || sequence === null) throw new HoldfastError('REQUEST_INVALID', `The job ${id} is not at a point where it can be cancelled: it is ${status.runtimeStatus}`);
  const reason = new HoldfastError('CANCELLED', 'The job was cancelled by a person').toJSON();
  const outcome = await abandonRun(await deps.vault(), { ...parsed, sequence }, reason, deps.nowMs());
  if (outcome === 'committed') throw new HoldfastError('REQUEST_INVALID', `The job ${id} was about to end: its recovery point exists`);
  return json({ id, state: 'cancelling' }, { status: 202, headers: { location: `/api/jobs/${id}` } });
}

/** The same of a restore: its verdict in the vault decides. One that is restored can no longer be cancelled. */
async function cancelRestore(deps: ActivityDeps, client: df.DurableClient, id: string): Promise<HttpResponseInit> {
  const restoreId = parseRestoreInstanceId(id);
  const status = restoreId === null ? undefined : await findStatus(client, id);
  if (restoreId === null || !status) throw notFound(id);
  if (!isActive(status)) throw new HoldfastError('REQUEST_INVALID', `The job ${id} is not at a point where it can be cancelled: it is ${status.runtimeStatus}`);
  const reason = new HoldfastError('CANCELLED', 'The job was cancelled by a person').toJSON();
  const { verdict } = await decideRestore(await deps.vault(), { restoreId }, { verdict: 'abandoned', reason }, deps.nowMs());
  if (verdict === 'restored') throw new HoldfastError('REQUEST_INVALID', `The job ${id} was about to end: what it restores is there`);
  return json({ id, state: 'cancelling' }, { status: 202, headers: { location: `/api/jobs/${id}` } });
}

export const jobRoutes = [listJobs, getJob, cancelJob];
