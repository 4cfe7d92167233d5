import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { compareRetention, lossOf, requireConfirmedChange } from '../activities/policy-change';
import { deletePolicy, findPolicy, listPolicies, loadPolicy, savePolicy, type StoredPolicy, viewOfPolicy } from '../activities/policy-store';
import { HoldfastError } from '../errors/holdfast-error';
import { isPolicyName, parsePolicy, type PolicyDocument, policySchema } from '../policy/schema';
import type { Store } from '../vault/store/store';
import { listOf, pageFrom, pageQuery, sortedBy } from './paging';
import { json } from './problem';
import { expectedRevision, isStale, overRevision, revised, stored } from './revisions';
import { pathId, route } from './route';
import { approvalAsked } from './schemas/approvals';
import { policy as policyView, storedPolicy, unreadablePolicy } from './schemas/policies';

const policyNotFound = (name: string): HoldfastError => new HoldfastError('POLICY_NOT_FOUND', `There is no policy "${name.slice(0, 80)}"`);

/** The policy in force of a name from outside. Throws POLICY_NOT_FOUND. */
export async function requirePolicy(store: Store, name: string): Promise<StoredPolicy> {
  const policy = await findPolicy(store, name);
  if (!policy) throw policyNotFound(name);
  return policy;
}

const listPoliciesRoute = route({
  id: 'listPolicies', method: 'GET', path: 'policies', role: 'Reader', query: z.strictObject(pageQuery), responses: { 200: listOf('PolicyList', z.union([policyView, unreadablePolicy])) },
  summary: 'Policies in force and those that cannot be read, by name',
  async handler({ request, query, services: { deps } }) {
    const { store } = await deps.vault();
    const all: { name: string }[] = [];
    const policies = await listPolicies(store, (name, error) => all.push({ name, damaged: true, error: error.toJSON() } as { name: string }));
    all.push(...policies.map((policy) => viewOfPolicy(policy, deps.nowMs())));
    const byName = ({ name }: { name: string }): string => name;
    return json(await pageFrom(request, query, sortedBy(all, byName), byName, (page) => page));
  },
});

const ofPolicy = z.strictObject({ name: pathId });

const getPolicy = route({
  id: 'getPolicy', method: 'GET', path: 'policies/{name}', role: 'Reader', params: ofPolicy, responses: { 200: policyView }, versioned: true,
  summary: 'A policy, its revision (the ETag) and its next runs',
  async handler({ params: { name }, services: { deps } }) {
    return revised(viewOfPolicy(await requirePolicy((await deps.vault()).store, name), deps.nowMs()));
  },
});

/** Of a route whose body is the policy that its address names. Throws POLICY_INVALID, REQUEST_INVALID. */
export const policyBody = {
  params: ofPolicy, body: policySchema,
  parseBody(body: unknown, { name }: z.output<typeof ofPolicy>): PolicyDocument {
    const named = typeof body === 'object' && body !== null && !Array.isArray(body) && !('name' in body) ? { name, ...body } : body;
    const document = parsePolicy(named);
    if (document.name !== name) throw new HoldfastError('REQUEST_INVALID', `The policy in the body is called "${document.name}", the address says "${name.slice(0, 80)}"`);
    return document;
  },
} as const;

/** In words how a new document may protect less than the one in force beside what it keeps, or null. Whether it covers or runs more or less is not told apart: any change of that counts. */
function disables(before: PolicyDocument, after: PolicyDocument): string | null {
  if (!before.enabled) return null;
  if (!after.enabled) return 'would be switched off';
  if (!isDeepStrictEqual(before.schedule, after.schedule)) return 'would run at other times';
  return isDeepStrictEqual(before.items, after.items) && isDeepStrictEqual(before.excludeDisks, after.excludeDisks) ? null : 'would cover other machines or disks';
}

/**
 * A wrong one is refused with every wrong field named, and nothing is changed. One that keeps less than the policy in force is refused as well,
 * until the request repeats the confirmation that the refusal gave, in the query.
 */
const putPolicy = route({
  id: 'putPolicy', method: 'PUT', path: 'policies/{name}', role: 'Admin', action: 'policy.put', ...policyBody, query: z.strictObject({ confirm: z.string().optional() }), responses: { 200: storedPolicy, 201: storedPolicy, 202: approvalAsked }, versioned: true,
  summary: 'Stores a policy; with If-Match only over the revision that it names. One that keeps less needs the confirmation that its refusal gives',
  guard: {
    async what({ body: document, query: { confirm }, request, services: { deps } }, approved) {
      const vault = await deps.vault();
      const before = await loadPolicy(vault.store, document.name);
      if (!before || isStale(before, request, approved)) return null;
      const over = overRevision(before.revision);
      const disabling = disables(before.document, document);
      const change = await compareRetention(vault, document, await vault.store.serverTimeMs());
      const query = { confirm: change.token ?? undefined };
      if (disabling !== null && (approved || change.token === null || change.token === confirm)) return { kind: 'policy.disable', what: `The policy "${document.name}" ${disabling}`, query, ...over };
      if (!approved && (change.token === null || change.token !== confirm)) return null;
      return { kind: 'policy.shrink', what: lossOf(document.name, change), query, ...over };
    },
    async isDone({ body, services: { deps } }) {
      const policy = await loadPolicy((await deps.vault()).store, body.name);
      return policy !== undefined && isDeepStrictEqual(policy.document, body);
    },
  },
  async handler({ body: document, query: { confirm }, request, services: { deps } }) {
    const vault = await deps.vault();
    const expected = expectedRevision(request.headers);
    const compared = await requireConfirmedChange(vault, document, confirm ?? null, await vault.store.serverTimeMs());
    // On what it was compared with, and on nothing that someone else made of it meanwhile.
    const revision = await savePolicy(vault.store, document, expected ?? (compared > 0 ? compared : null));
    return stored({ ...document, revision });
  },
});

const deletePolicyRoute = route({
  id: 'deletePolicy', method: 'DELETE', path: 'policies/{name}', role: 'Admin', action: 'policy.delete', params: ofPolicy, responses: { 202: approvalAsked, 204: null }, versioned: true,
  summary: 'Takes a policy out of force',
  guard: {
    async what({ params: { name }, request, services: { deps } }, approved) {
      const policy = await findPolicy((await deps.vault()).store, name);
      return !policy || isStale(policy, request, approved) ? null : { kind: 'policy.disable', what: `The policy "${name}" would be gone: nothing more is backed up by it`, ...overRevision(policy.revision) };
    },
    isDone: async ({ params: { name }, services: { deps } }) => await loadPolicy((await deps.vault()).store, name) === undefined,
  },
  async handler({ params: { name }, request, services: { deps } }) {
    const { store } = await deps.vault();
    if (!isPolicyName(name)) throw policyNotFound(name);
    await deletePolicy(store, name, expectedRevision(request.headers));
    return { status: 204 };
  },
});

export const policyRoutes = [listPoliciesRoute, getPolicy, putPolicy, deletePolicyRoute];
