import type { HttpHandler, HttpResponseInit } from '@azure/functions';
import * as df from 'durable-functions';
import type { ActivityDeps } from '../activities/deps';
import { decideRestore } from '../activities/restore-records';
import { HoldfastError } from '../errors/holdfast-error';
import type { BackupVmStatus } from '../orchestrations/backup-vm';
import { parseBackupInstanceId, parseRestoreInstanceId } from '../orchestrations/names';
import { abandonRun } from '../vault/run';
import { findStatus, isActive } from './durable-status';
import { type JobView, viewJob } from './job-view';
import { json } from './problem';
import { type RestoreJobView, viewRestore } from './restore-view';
import type { Services } from './services';

const LISTED_DAYS = 7;
const MAX_LISTED = 200;

const notFound = (id: string): HoldfastError => new HoldfastError('JOB_NOT_FOUND', `There is no job "${id.slice(0, 120)}"`);

export const getJob = ({ deps }: Services): HttpHandler => async (request, context) => {
  const client = df.getClient(context);
  const id = request.params.id ?? '';
  const isRestore = parseRestoreInstanceId(id) !== null;
  const status = isRestore || parseBackupInstanceId(id) ? await findStatus(client, id) : undefined;
  if (!status) throw notFound(id);
  return json(isRestore ? await viewRestore(client, status, deps.nowMs(), true) : await viewJob(client, await deps.vault(), status, deps.nowMs(), true));
};

/** The jobs of the last week, newest first. */
export const listJobs = ({ deps }: Services): HttpHandler => async (_request, context) => {
  const client = df.getClient(context);
  const now = new Date(deps.nowMs());
  const all = await client.getStatusBy({ createdTimeFrom: new Date(now.getTime() - LISTED_DAYS * 86_400_000), createdTimeTo: now, runtimeStatus: [] });
  const isJob = (instanceId: string): boolean => parseBackupInstanceId(instanceId) !== null || parseRestoreInstanceId(instanceId) !== null;
  const jobs = all.filter(({ instanceId }) => isJob(instanceId)).sort((a, b) => new Date(b.createdTime).getTime() - new Date(a.createdTime).getTime());
  const vault = await deps.vault();
  return json(await Promise.all(jobs.slice(0, MAX_LISTED).map((status): Promise<JobView | RestoreJobView> =>
    (parseRestoreInstanceId(status.instanceId) === null ? viewJob(client, vault, status, now.getTime(), false) : viewRestore(client, status, now.getTime(), false)))));
};

/**
 * Cancels a job: the vault's run record decides. Its steps see that the run was given up and stop; the orchestration then cleans up. A run
 * that is sealed already can no longer be cancelled: its recovery point will exist.
 */
export const cancelJob = ({ deps }: Services): HttpHandler => async (request, context) => {
  const client = df.getClient(context);
  const id = request.params.id ?? '';
  const restoreId = parseRestoreInstanceId(id);
  if (restoreId !== null) return cancelRestore(deps, client, id, restoreId);
  const parsed = parseBackupInstanceId(id);
  const status = parsed ? await findStatus(client, id) : undefined;
  if (!parsed || !status) throw notFound(id);
  const sequence = (status.customStatus as BackupVmStatus | null)?.sequence ?? null;
  if (!isActive(status) || sequence === null) throw new HoldfastError('REQUEST_INVALID', `The job ${id} is not at a point where it can be cancelled: it is ${status.runtimeStatus}`);
  const reason = new HoldfastError('CANCELLED', 'The job was cancelled by a person').toJSON();
  const outcome = await abandonRun(await deps.vault(), { ...parsed, sequence }, reason, deps.nowMs());
  if (outcome === 'committed') throw new HoldfastError('REQUEST_INVALID', `The job ${id} was about to end: its recovery point exists`);
  return json({ id, state: 'cancelling' }, { status: 202, headers: { location: `/api/jobs/${id}` } });
};

/** The same of a restore: its verdict in the vault decides. One that is restored can no longer be cancelled. */
async function cancelRestore(deps: ActivityDeps, client: df.DurableClient, id: string, restoreId: string): Promise<HttpResponseInit> {
  const status = await findStatus(client, id);
  if (!status) throw notFound(id);
  if (!isActive(status)) throw new HoldfastError('REQUEST_INVALID', `The job ${id} is not at a point where it can be cancelled: it is ${status.runtimeStatus}`);
  const reason = new HoldfastError('CANCELLED', 'The job was cancelled by a person').toJSON();
  const { verdict } = await decideRestore(await deps.vault(), { restoreId }, { verdict: 'abandoned', reason }, deps.nowMs());
  if (verdict === 'restored') throw new HoldfastError('REQUEST_INVALID', `The job ${id} was about to end: what it restores is there`);
  return json({ id, state: 'cancelling' }, { status: 202, headers: { location: `/api/jobs/${id}` } });
}
