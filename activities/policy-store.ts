import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { nextSlots } from '../policy/schedule';
import { isPolicyName, parsePolicyText, type PolicyDocument } from '../policy/schema';
import type { Store } from '../vault/store/store';
import { appendRevision, latestRevision } from './revisions';

/** A policy as the vault holds it. Revisions are never changed: an edit is the next one, so what was in force when can be seen. */
export interface StoredPolicy {
  readonly document: PolicyDocument;
  readonly revision: number;
  /** When this revision was stored, by the store's clock. */
  readonly storedAtMs: number;
}

const DELETED = '{"deleted":true}\n';
const folder = (name: string): string => `policies/${name}/`;

/** The policy in force, or undefined when there is none of that name. Throws POLICY_INVALID when what is stored is no policy. */
export async function loadPolicy(store: Store, name: string): Promise<StoredPolicy | undefined> {
  const latest = await latestRevision(store, folder(name));
  if (!latest || latest.text === DELETED) return undefined;
  return { document: parsePolicyText(latest.text), revision: latest.revision, storedAtMs: latest.storedAtMs };
}

/** The same of a name from outside, which may be none. */
export const findPolicy = async (store: Store, name: string): Promise<StoredPolicy | undefined> => (isPolicyName(name) ? loadPolicy(store, name) : undefined);

export type PolicyView = PolicyDocument & { readonly revision: number; readonly storedAt: string; readonly nextSlots: readonly string[] };

/** A policy as people are shown it: with its revision and its next runs. */
export const viewOfPolicy = ({ document, revision, storedAtMs }: StoredPolicy, nowMs: number): PolicyView =>
  ({ ...document, revision, storedAt: new Date(storedAtMs).toISOString(), nextSlots: nextSlots(document.schedule, nowMs, 3).map((slot) => new Date(slot).toISOString()) });

/**
 * Every policy in force, by name. One that cannot be read as a policy is told to `onBroken` and left out, so that it does not keep
 * the others from being used; what the store itself throws is thrown.
 */
export async function listPolicies(store: Store, onBroken: (name: string, error: HoldfastError) => void): Promise<StoredPolicy[]> {
  const names = new Set<string>();
  for await (const { name } of store.list('policies/')) names.add(name.split('/')[1] ?? '');
  const policies: StoredPolicy[] = [];
  for (const name of names) {
    try {
      const policy = await loadPolicy(store, name);
      if (policy) policies.push(policy);
    } catch (error) {
      if (!isHoldfastError(error, 'POLICY_INVALID')) throw error;
      onBroken(name, error);
    }
  }
  return policies;
}

/** Stores a policy's next revision. `expected` is the revision that the change was based on (0 for a new policy); null for any. Throws POLICY_CHANGED. */
export async function savePolicy(store: Store, document: PolicyDocument, expected: number | null): Promise<number> {
  return append(store, document.name, `${JSON.stringify(document, null, 2)}\n`, expected);
}

/** Takes a policy out of force; also one that cannot be read, which is how to be rid of it. Throws POLICY_NOT_FOUND, POLICY_CHANGED. */
export async function deletePolicy(store: Store, name: string, expected: number | null): Promise<void> {
  const latest = await latestRevision(store, folder(name));
  if (!latest || latest.text === DELETED) throw new HoldfastError('POLICY_NOT_FOUND', `There is no policy "${name}"`, { data: { name } });
  await append(store, name, DELETED, expected);
}

async function append(store: Store, name: string, text: string, expected: number | null): Promise<number> {
  const latest = await latestRevision(store, folder(name));
  const current = latest?.text === DELETED ? 0 : latest?.revision ?? 0;
  if (expected !== null && expected !== current) throw new HoldfastError('POLICY_CHANGED', `The policy "${name}" is at revision ${current}, not ${expected}`, { data: { name, revision: current } });
  const revision = await appendRevision(store, folder(name), latest, text);
  if (revision === undefined) throw new HoldfastError('POLICY_CHANGED', `The policy "${name}" was changed at the same moment`, { data: { name } });
  return revision;
}
