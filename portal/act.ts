/** What people set going, the same from every view. */
import { api, call } from './api';
import { refresh } from './live';
import { say } from './parts/say';
import { to } from './router';
import type { PolicyDocument } from './model';

interface Started { readonly id: string; readonly kind?: string; readonly state?: string }

/**
 * Where an answer says that somebody else has to agree first, tells so and answers true.
 */
export function toldApproval(status: number, body: unknown): boolean {
  const approval = status === 202 && typeof body === 'object' && body !== null && 'approval' in body ? (body as { approval: { id: string } | string }).approval : null;
  if (approval === null) return false;
  say('It waits for the approval of a second person.', to('approvals'));
  refresh('/api/approvals');
  return true;
}

/** Starts a backup of an item now. Answers the job's id. */
export async function backUp(item: string, name: string): Promise<string> {
  const { body } = await call<Started>('POST', api('items', item, 'backups'));
  say(`The backup of ${name} has begun.`, to('jobs', body.id));
  refresh('/api/jobs');
  return body.id;
}

/** Proves the whole vault, an item or a recovery point by reading it back. Answers the job's id. */
export async function scrub(scope: { readonly item?: string; readonly recoveryPoint?: string }, of: string): Promise<string> {
  const { body } = await call<Started>('POST', '/api/vault/scrubs', { body: scope });
  say(`The scrub of ${of} has begun.`, to('jobs', body.id));
  refresh('/api/jobs');
  return body.id;
}

export async function cancelJob(id: string): Promise<void> {
  await call('POST', api('jobs', id, 'cancel'), { body: {} });
  say('The job is being cancelled. It cleans up before it ends.');
  refresh('/api/jobs');
}

/** What the app adds to the document of a policy when it shows one. */
const ADDED: readonly string[] = ['revision', 'storedAt', 'nextSlots'];

/** The document of a policy without what the app adds to it, for a PUT. */
export const documentOf = (policy: PolicyDocument): PolicyDocument => Object.fromEntries(Object.entries(policy).filter(([name]) => !ADDED.includes(name))) as unknown as PolicyDocument;
