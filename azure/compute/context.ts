import type { ComputeManagementClient } from '@azure/arm-compute';
import type { Waiting } from '../disk/backoff';
import { cloudError, isUnknownOutcome, statusOf } from './errors';
import type { ResourceIds } from './resource-id';

/** What every part of the control plane works with. */
export interface ArmContext {
  clientFor(subscriptionId: string): ComputeManagementClient;
  readonly subscriptionIds: readonly string[];
  readonly ids: ResourceIds;
  readonly waiting: Waiting;
}

/** Runs a request of the SDK; what it throws becomes a HoldfastError that says what was being done. */
export async function asking<T>(doing: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw cloudError(error, doing);
  }
}

/** The resource, or undefined when the service says that there is none: no other error passes for that. */
export async function askingIfThere<T>(doing: string, request: () => Promise<T>): Promise<T | undefined> {
  try {
    return await request();
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw cloudError(error, doing);
  }
}

/** What a poller of the SDK is here. It is also a Promise that polls until the end, so it is never returned from an async function. */
export interface Submittable {
  submitted(): Promise<void>;
}

/**
 * Sends the request that begins a long-running operation and returns once it is accepted; nothing polls it afterwards.
 * When it is not known whether the service took it, or when the service says that something of this name is in the
 * way, the resource is looked for by name (fault 8): there it counts as begun; absent, the error stands. It is never
 * sent a second time from here.
 */
export async function begin(doing: string, submit: () => Submittable, isThere: () => Promise<boolean>): Promise<'started' | 'exists'> {
  try {
    await submit().submitted();
    return 'started';
  } catch (error) {
    if (isUnknownOutcome(error) && (await isThere())) return 'started';
    if ((statusOf(error) === 409 || statusOf(error) === 412) && (await isThere())) return 'exists';
    throw cloudError(error, doing);
  }
}

/** Deletes by name. An unknown outcome is read back: a resource that is gone or going was deleted. */
export async function beginDelete(doing: string, submit: (onResponse: (response: { status: number }) => void) => Submittable, isThere: () => Promise<boolean>): Promise<'started' | 'absent'> {
  let status = 0;
  try {
    await submit((response) => {
      status = response.status;
    }).submitted();
    return status === 204 ? 'absent' : 'started';
  } catch (error) {
    if (statusOf(error) === 404) return 'absent';
    if (isUnknownOutcome(error) && !(await isThere())) return 'started';
    throw cloudError(error, doing);
  }
}
