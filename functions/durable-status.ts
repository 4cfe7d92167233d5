import type { HttpResponseInit } from '@azure/functions';
import type { DurableClient, DurableOrchestrationStatus } from 'durable-functions';
import type { OwnerState } from '../activities/reconcile';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import { parseBackupInstanceId, restoreInstanceId } from '../orchestrations/names';
import { json } from './problem';

/** The status of an instance, or undefined when there is none of that id: the client turns a 404 into an error (seen with durable-functions 3.5.0). */
export async function findStatus(client: DurableClient, instanceId: string): Promise<DurableOrchestrationStatus | undefined> {
  try {
    return await client.getStatus(instanceId, { showInput: true });
  } catch (error) {
    if (/HTTP 404 response/.test(messageOf(error))) return undefined;
    throw error;
  }
}

export const jobNotFound = (id: string, kind = 'job'): HoldfastError => new HoldfastError('JOB_NOT_FOUND', `There is no ${kind} "${id.slice(0, 120)}"`);

/** The status of a job by an id from outside, which `isOne` says can be one. Throws JOB_NOT_FOUND. */
export async function jobStatus(client: DurableClient, id: string, isOne: boolean, kind?: string): Promise<DurableOrchestrationStatus> {
  const status = isOne ? await findStatus(client, id) : undefined;
  if (!status) throw jobNotFound(id, kind);
  return status;
}

/** The answer about a job that was told to stop. */
export const jobCancelling = (id: string): HttpResponseInit => json({ id, state: 'cancelling' }, { status: 202, headers: { location: `/api/jobs/${id}` } });

const ENDED = ['Completed', 'Failed', 'Canceled', 'Terminated'];

export const isActive = (status: DurableOrchestrationStatus): boolean => !ENDED.includes(status.runtimeStatus);

/** What is known of the owner of a run; see activities/reconcile.ts. */
export async function ownerState(client: DurableClient, owner: string): Promise<OwnerState> {
  if (!parseBackupInstanceId(owner)) return 'foreign';
  const status = await findStatus(client, owner);
  return status === undefined ? 'unknown' : isActive(status) ? 'active' : 'ended';
}

/** The same of a restore: its id makes its orchestration's. */
export async function restoreState(client: DurableClient, restoreId: string): Promise<OwnerState> {
  const status = await findStatus(client, restoreInstanceId(restoreId));
  return status === undefined ? 'unknown' : isActive(status) ? 'active' : 'ended';
}

/** True when `owner` is a backup of this app that has ended, however it ended. Of an owner that is not known here nothing can be said. */
export async function hasEnded(client: DurableClient, owner: string): Promise<boolean> {
  return await ownerState(client, owner) === 'ended';
}
