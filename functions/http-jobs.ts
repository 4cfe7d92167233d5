import type { HttpResponseInit } from '@azure/functions';
import type * as df from 'durable-functions';
import { z } from 'zod';
import { demandRole } from '../access/roles';
import type { ActivityDeps } from '../activities/deps';
import { decideRestore } from '../activities/restore-records';
import { HoldfastError } from '../errors/holdfast-error';
import type { BackupVmStatus } from '../orchestrations/backup-vm';
import { isScrubInstanceId, parseBackupInstanceId, parseRestoreInstanceId } from '../orchestrations/names';
import { itemIdOf } from '../vault/catalog';
import { abandonRun } from '../vault/run';
import { findStatus, isActive, jobCancelling, jobNotFound, jobStatus } from './durable-status';
import { JOB_STATES, type JobView, viewJob } from './job-view';
import { JobList } from './job-list';
import { listOf, pageFrom, pageQuery } from './paging';
import { json } from './problem';
import { instant, pathId, route } from './route';
import { cancelling } from './schemas/common';
import { anyJob } from './schemas/jobs';
import { type RestoreJobView, viewRestore } from './restore-view';
import { type ScrubJobView, viewScrub } from './scrub-view';
import { cancelScrub } from './scrubs';
import type { Services } from './services';

export type AnyJobView = JobView | RestoreJobView | ScrubJobView;

const LISTED_DAYS = 7;

const ofJob = z.strictObject({ id: pathId });

const getJob = route({
  id: 'getJob', method: 'GET', path: 'jobs/{id}', role: 'Reader', params: ofJob, responses: { 200: anyJob },
  summary: 'A backup, restore or scrub: how far it is, what it came to, and what to do where it failed',
  async handler({ params: { id }, client, services: { deps } }) {
    return json(await view(client, deps, await jobStatus(client, id, isJob(id)), true));
  },
});

/** What an id is of; null when no job has such a one. */
const kindOf = (id: string): AnyJobView['kind'] | null => (isScrubInstanceId(id) ? 'scrub' : parseRestoreInstanceId(id) !== null ? 'restore' : parseBackupInstanceId(id) !== null ? 'backup' : null);
const isJob = (id: string): boolean => kindOf(id) !== null;

/** With `deep`, what runs is asked how far its parts are. */
async function view(client: df.DurableClient, deps: ActivityDeps, status: df.DurableOrchestrationStatus, deep: boolean): Promise<AnyJobView> {
  const kind = kindOf(status.instanceId);
  if (kind === 'scrub') return viewScrub(status, deps.nowMs());
  if (kind === 'restore') return viewRestore(client, status, deps.nowMs(), deep);
  return viewJob(client, await deps.vault(), status, deps.nowMs(), deep);
}

const jobsQuery = z.strictObject({
  ...pageQuery,
  state: z.enum(JOB_STATES).optional(),
  kind: z.enum(['backup', 'restore', 'scrub']).optional(),
  item: pathId.optional().meta({ description: 'Of this item, by its id or a name that only one has' }),
  since: instant.optional().meta({ description: `Begun at or after this moment; the last ${LISTED_DAYS} days where it is left out` }),
});


const lists = new WeakMap<Services, JobList>();

function jobsOf(services: Services): JobList {
  const list = lists.get(services) ?? new JobList(isJob);
  lists.set(services, list);
  return list;
}

const views = new WeakMap<df.DurableOrchestrationStatus, AnyJobView>();

/** As lists show it: of one that came to its end by itself, always the same. */
async function listedView(client: df.DurableClient, deps: ActivityDeps, status: df.DurableOrchestrationStatus): Promise<AnyJobView> {
  const made = await view(client, deps, status, false);
  if (status.runtimeStatus === 'Completed') views.set(status, made);
  return made;
}

const listJobs = route({
  id: 'listJobs', method: 'GET', path: 'jobs', role: 'Reader', query: jobsQuery, responses: { 200: listOf('JobList', anyJob) },
  summary: `Jobs, newest first; of the last ${LISTED_DAYS} days unless since says otherwise`,
  async handler({ request, query, client, services }) {
    const { deps } = services;
    const nowMs = deps.nowMs();
    const listed = await jobsOf(services).list(client, query.since ?? nowMs - LISTED_DAYS * 86_400_000, nowMs);
    const itemId = query.item === undefined ? undefined : await itemIdOf(await deps.vault(), query.item);
    // Looked at one after another, so that a page costs what it shows.
    async function* wanted(): AsyncGenerator<{ key: string; job: AnyJobView }> {
      for (const { key, status } of listed) {
        if (query.kind !== undefined && kindOf(status.instanceId) !== query.kind) continue;
        const job = views.get(status) ?? await listedView(client, deps, status);
        if ((query.state === undefined || job.state === query.state) && (itemId === undefined || job.itemId === itemId)) yield { key, job };
      }
    }
    return json(await pageFrom(request, query, wanted(), ({ key }) => key, (page) => page.map(({ job }) => job), 'descending'));
  },
});

const cancelJob = route({
  id: 'cancelJob', method: 'POST', path: 'jobs/{id}/cancel', role: ['Operator', 'RestoreOperator'], action: 'job.cancel', params: ofJob, responses: { 202: cancelling },
  summary: 'Cancels a job that has not come to its end',
  handler({ params: { id }, caller, client, services: { deps } }) {
    if (kindOf(id) === 'restore') return cancelRestore(deps, client, id);
    // Who may restore may cancel restores, and no more.
    demandRole(caller, 'Operator');
    return kindOf(id) === 'scrub' ? cancelScrub(client, id) : cancelBackup(deps, client, id);
  },
});

/**
 * The vault's run record decides. The steps of the job see that the run was given up and stop; the orchestration then cleans up. A run
 * that is sealed already can no longer be cancelled: its recovery point will exist.
 */
async function cancelBackup(deps: ActivityDeps, client: df.DurableClient, id: string): Promise<HttpResponseInit> {
  const parsed = parseBackupInstanceId(id);
  const status = parsed ? await findStatus(client, id) : undefined;
  if (!parsed || !status) throw jobNotFound(id);
  const sequence = (status.customStatus as BackupVmStatus | null)?.sequence ?? null;
  if (!isActive(status) || sequence === null) throw new HoldfastError('REQUEST_INVALID', `The job ${id} is not at a point where it can be cancelled: it is ${status.runtimeStatus}`);
  const reason = new HoldfastError('CANCELLED', 'The job was cancelled by a person').toJSON();
  const outcome = await abandonRun(await deps.vault(), { ...parsed, sequence }, reason, deps.nowMs());
  if (outcome === 'committed') throw new HoldfastError('REQUEST_INVALID', `The job ${id} was about to end: its recovery point exists`);
  return jobCancelling(id);
}

/** The same of a restore: its verdict in the vault decides. One that is restored can no longer be cancelled. */
export async function cancelRestore(deps: ActivityDeps, client: df.DurableClient, id: string): Promise<HttpResponseInit> {
  const restoreId = parseRestoreInstanceId(id);
  const status = restoreId === null ? undefined : await findStatus(client, id);
  if (restoreId === null || !status) throw jobNotFound(id);
  if (!isActive(status)) throw new HoldfastError('REQUEST_INVALID', `The job ${id} is not at a point where it can be cancelled: it is ${status.runtimeStatus}`);
  const reason = new HoldfastError('CANCELLED', 'The job was cancelled by a person').toJSON();
  const { verdict } = await decideRestore(await deps.vault(), { restoreId }, { verdict: 'abandoned', reason }, deps.nowMs());
  if (verdict === 'restored') throw new HoldfastError('REQUEST_INVALID', `The job ${id} was about to end: what it restores is there`);
  return jobCancelling(id);
}

export const jobRoutes = [listJobs, getJob, cancelJob];
