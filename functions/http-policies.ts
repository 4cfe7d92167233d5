import type { HttpHandler, HttpRequest } from '@azure/functions';
import { requireConfirmedChange } from '../activities/policy-change';
import { deletePolicy, listPolicies, loadPolicy, savePolicy, type StoredPolicy } from '../activities/policy-store';
import { HoldfastError } from '../errors/holdfast-error';
import { parsePolicy, type PolicyDocument } from '../policy/schema';
import { nextSlots } from '../policy/schedule';
import { json, readJson } from './problem';
import type { Services } from './services';

const view = (policy: StoredPolicy, nowMs: number): object => ({
  ...policy.document, revision: policy.revision, storedAt: new Date(policy.storedAtMs).toISOString(),
  nextSlots: nextSlots(policy.document.schedule, nowMs, 3).map((slot) => new Date(slot).toISOString()),
});

/** The revision that a change is based on: If-Match with the ETag of a GET, or If-None-Match: * for a new one; without either, any. */
export function expectedRevision(headers: { get(name: string): string | null }): number | null {
  if (headers.get('if-none-match') === '*') return 0;
  const match = headers.get('if-match');
  if (match === null || match === '*') return null;
  const revision = /^(?:W\/)?"(\d{1,8})"$/.exec(match)?.[1];
  if (!revision) throw new HoldfastError('REQUEST_INVALID', `If-Match expects the ETag of the document, such as "3"; it is ${match.slice(0, 40)}`);
  return Number(revision);
}

export const listPoliciesHandler = ({ deps }: Services): HttpHandler => async () => {
  const { store } = await deps.vault();
  const broken: object[] = [];
  const policies = await listPolicies(store, (name, error) => broken.push({ name, damaged: true, error: error.toJSON() }));
  return json([...policies.map((policy) => view(policy, deps.nowMs())), ...broken]);
};

export const getPolicy = ({ deps }: Services): HttpHandler => async (request) => {
  const { store } = await deps.vault();
  const name = request.params.name ?? '';
  const policy = /^[a-z0-9-]{1,40}$/.test(name) ? await loadPolicy(store, name) : undefined;
  if (!policy) throw new HoldfastError('POLICY_NOT_FOUND', `There is no policy "${name.slice(0, 80)}"`);
  return json(view(policy, deps.nowMs()), { headers: { etag: `"${policy.revision}"` } });
};

/** The policy document in a body, of the name in the address. Throws POLICY_INVALID, REQUEST_INVALID. */
export async function policyInBody(request: HttpRequest): Promise<PolicyDocument> {
  const body = await readJson(request);
  const name = request.params.name ?? '';
  const named = typeof body === 'object' && body !== null && !Array.isArray(body) && !('name' in body) ? { name, ...body } : body;
  const document = parsePolicy(named);
  if (document.name !== name) throw new HoldfastError('REQUEST_INVALID', `The policy in the body is called "${document.name}", the address says "${name.slice(0, 80)}"`);
  return document;
}

/**
 * Stores a policy: a wrong one is refused with every wrong field named, and nothing is changed. One that keeps less than the policy in force is refused as well,
 * until the request repeats the confirmation that the refusal gave, in the query.
 */
export const putPolicy = ({ deps }: Services): HttpHandler => async (request) => {
  const vault = await deps.vault();
  const document = await policyInBody(request);
  const expected = expectedRevision(request.headers);
  const compared = await requireConfirmedChange(vault, document, request.query.get('confirm'), await vault.store.serverTimeMs());
  // On what it was compared with, and on nothing that someone else made of it meanwhile.
  const revision = await savePolicy(vault.store, document, expected ?? (compared > 0 ? compared : null));
  return json({ ...document, revision }, { status: revision === 1 ? 201 : 200, headers: { etag: `"${revision}"` } });
};

export const deletePolicyHandler = ({ deps }: Services): HttpHandler => async (request) => {
  const { store } = await deps.vault();
  const name = request.params.name ?? '';
  if (!/^[a-z0-9-]{1,40}$/.test(name)) throw new HoldfastError('POLICY_NOT_FOUND', `There is no policy "${name.slice(0, 80)}"`);
  await deletePolicy(store, name, expectedRevision(request.headers));
  return { status: 204 };
};
