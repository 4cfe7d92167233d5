import { readFile } from 'node:fs/promises';
import { findPolicy, listPolicies, type PolicyView, viewOfPolicy } from '../activities/policy-store';
import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { parsePolicyText } from '../policy/schema';
import { appNamed, appNeeded } from './app-client';
import type { CommonOptions } from './command-options';
import { withVault } from './open-vault';
import type { Output } from './output';
import { table } from './sizes';

type Unreadable = { readonly name: string; readonly damaged: true; readonly error: { readonly message: string } };

export interface PolicyPutOptions extends CommonOptions { readonly confirm?: string }

/** Lists the policies. 4 when one of them cannot be read. */
export async function runPolicyList(options: CommonOptions, out: Output): Promise<number> {
  const app = appNamed(options);
  const all = app ? await app.all<PolicyView | Unreadable>('/api/policies') : await withVault(options, 'read', async ({ vault }) => {
    const broken: Unreadable[] = [];
    const policies = await listPolicies(vault.store, (name, error) => broken.push({ name, damaged: true, error: error.toJSON() }));
    return [...policies.map((policy) => viewOfPolicy(policy, Date.now())), ...broken].sort((a, b) => (a.name < b.name ? -1 : 1));
  });
  const good = all.flatMap((one) => ('damaged' in one ? [] : [one]));
  out.answer(all, () => (good.length === 0 ? ['There is no policy.'] : table([
    ['POLICY', 'REVISION', 'IN FORCE', 'NEXT'], ...good.map(({ name, revision, enabled, nextSlots: [next] }) => [name, String(revision), enabled ? 'yes' : 'no', enabled ? next ?? '-' : '-']),
  ])));
  for (const one of all) if ('damaged' in one) out.warn(`the policy ${one.name} cannot be read: ${one.error.message}`);
  return good.length < all.length ? 4 : 0;
}

/** Shows a policy as the document that it is. */
export async function runPolicyShow(name: string, options: CommonOptions, out: Output): Promise<number> {
  const app = appNamed(options);
  const policy = app ? await app.send('GET', `/api/policies/${encodeURIComponent(name)}`) as PolicyView : await withVault(options, 'read', async ({ vault }) => {
    const stored = await findPolicy(vault.store, name);
    if (!stored) throw new HoldfastError('POLICY_NOT_FOUND', `There is no policy "${name.slice(0, 80)}"`);
    return viewOfPolicy(stored, Date.now());
  });
  out.answer(policy, () => JSON.stringify(policy, null, 2).split('\n'));
  return 0;
}

/** Stores the policy in a file. One that keeps less is refused with what it would let go, until --confirm repeats what the refusal gave. */
export async function runPolicyPut(file: string, options: PolicyPutOptions, out: Output): Promise<number> {
  const app = appNeeded(options, 'Storing a policy');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new HoldfastError('USAGE', `The policy file ${JSON.stringify(file.slice(0, 200))} cannot be read`, { cause });
  }
  const document = parsePolicyText(text);
  const confirm = options.confirm === undefined ? '' : `?confirm=${encodeURIComponent(options.confirm)}`;
  try {
    const stored = await app.send('PUT', `/api/policies/${encodeURIComponent(document.name)}${confirm}`, document) as PolicyView;
    out.result(stored, () => [`Stored the policy ${document.name}, revision ${stored.revision}.`]);
    return 0;
  } catch (error) {
    if (!isHoldfastError(error, 'CONFIRMATION_NEEDED')) throw error;
    throw new HoldfastError('CONFIRMATION_NEEDED', `${error.message}. On the command line: --confirm ${String(error.data['confirm'] ?? 'TOKEN')}`, { data: error.data });
  }
}

/** Takes a policy out of force; what it made stays as long as it is kept. */
export async function runPolicyDelete(name: string, options: CommonOptions, out: Output): Promise<number> {
  await appNeeded(options, 'Taking a policy out of force').send('DELETE', `/api/policies/${encodeURIComponent(name)}`);
  out.result({ name, deleted: true }, () => [`The policy ${name} is out of force.`]);
  return 0;
}
