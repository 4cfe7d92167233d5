import type { DurableClient, DurableOrchestrationStatus } from 'durable-functions';
import type { OwnerState } from '../activities/reconcile';
import { messageOf } from '../errors/holdfast-error';
import { parseBackupInstanceId, restoreInstanceId } from '../orchestrations/names';

/** The status of an instance, or undefined when there is none of that id: the client turns a 404 into an error (seen with durable-functions 3.5.0). */
export async function findStatus(client: DurableClient, instanceId: string): Promise<DurableOrchestrationStatus | undefined> {
  try {
    return await client.getStatus(instanceId, { showInput: true });
  } catch (error) {
    if (/HTTP 404 response/.test(messageOf(error))) return undefined;
    throw error;
  }
}

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
