import type { DurableClient, DurableOrchestrationStatus } from 'durable-functions';
import { messageOf } from '../errors/holdfast-error';
import { parseBackupInstanceId } from '../orchestrations/names';

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

/** True when `owner` is a backup of this app that has ended, however it ended. Of an owner that is not known here nothing can be said. */
export async function hasEnded(client: DurableClient, owner: string): Promise<boolean> {
  const status = parseBackupInstanceId(owner) ? await findStatus(client, owner) : undefined;
  return status !== undefined && !isActive(status);
}
