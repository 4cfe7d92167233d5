import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { HoldfastError } from '../errors/holdfast-error';
import { keepsLess } from '../policy/retention-change';
import type { PolicyDocument } from '../policy/schema';
import { itemsInVault } from '../vault/catalog';
import type { VaultAccess } from '../vault/format/tree';
import { itemPoints } from './item-points';
import { loadPolicy, type StoredPolicy } from './policy-store';
import { planOf, policiesInForce, withDocument } from './retention';

/** What a policy's new document would let go that stays under the one in force. */
export interface PolicyChange {
  /** The revision in force that was compared with; 0 where there is none. */
  readonly revision: number;
  /** Rules that promise less, in words. */
  readonly less: readonly string[];
  /** For each item that loses any: what would go, and how many of how many stay. */
  readonly items: readonly { readonly itemId: string; readonly goes: readonly string[]; readonly kept: number }[];
  /** Confirms exactly this change; null when nothing is lost by it. */
  readonly token: string | null;
}

/** Compares a document with the policy of its name that is in force, over every item of the vault: reads only. */
export async function compareRetention(vault: VaultAccess, document: PolicyDocument, nowMs: number): Promise<PolicyChange> {
  const stored = await readable(vault, document.name);
  // Before every recovery point of the vault is looked at: what cannot let anything go.
  const sameRules = stored?.document.enabled === true && isDeepStrictEqual(stored.document.retention, document.retention);
  if (sameRules || !document.enabled || await isNew(vault, document.name)) return { revision: stored?.revision ?? 0, less: [], items: [], token: null };
  const before = await policiesInForce(vault, nowMs, () => undefined);
  const after = withDocument(before, document);
  const items: { itemId: string; goes: string[]; kept: number }[] = [];
  for (const itemId of await itemsInVault(vault)) {
    const points = await itemPoints(vault, itemId);
    const now = new Set(planOf(itemId, points, before, nowMs).goes);
    const plan = planOf(itemId, points, after, nowMs);
    const goes = plan.goes.filter((id) => !now.has(id));
    if (goes.length > 0) items.push({ itemId, goes, kept: plan.points.length - plan.goes.length });
  }
  const less = stored?.document.enabled ? keepsLess(stored.document.retention, document.retention) : [];
  const revision = stored?.revision ?? 0;
  const isLoss = less.length > 0 || items.length > 0;
  const token = createHash('sha256').update(JSON.stringify([revision, document, items.map(({ itemId, goes }) => [itemId, goes])])).digest('hex').slice(0, 16);
  return { revision, less, items, token: isLoss ? token : null };
}

/** True for a name that never was a policy's: no recovery point is of it. */
async function isNew(vault: VaultAccess, name: string): Promise<boolean> {
  for await (const _ of vault.store.list(`policies/${name}/`)) return false;
  return true;
}

/** A policy that cannot be read promises nothing that could be compared: nothing of it was being deleted. */
async function readable(vault: VaultAccess, name: string): Promise<StoredPolicy | undefined> {
  return loadPolicy(vault.store, name).catch((error: unknown) => {
    if (error instanceof HoldfastError && error.code === 'POLICY_INVALID') return undefined;
    throw error;
  });
}

/** For people: what a change would let go. */
export function lossOf(name: string, { less, items }: PolicyChange): string {
  const rules = less.length > 0 ? ` promises less (${less.join(', ')}) and` : '';
  return `The policy "${name}"${rules} would let ${items.reduce((sum, { goes }) => sum + goes.length, 0)} recovery points of ${items.length} items go`;
}

/** Ids that a refusal names; the preview has all of them. */
const NAMED_IDS = 100;

/**
 * Throws CONFIRMATION_NEEDED unless the change keeps as much as before, or `confirm` is the token of exactly this change: of the revision in force, the new document
 * and the list of what would go. Answers the revision that was compared with, which the caller saves on.
 */
export async function requireConfirmedChange(vault: VaultAccess, document: PolicyDocument, confirm: string | null, nowMs: number): Promise<number> {
  const change = await compareRetention(vault, document, nowMs);
  if (change.token === null || change.token === confirm) return change.revision;
  const ids = change.items.flatMap(({ goes }) => goes);
  const stale = confirm === null ? '' : ' The confirmation that was given is of another state: what would go has changed since.';
  throw new HoldfastError('CONFIRMATION_NEEDED',
    `${lossOf(document.name, change)}.${stale} Who answers for these backups confirms with ${change.token}`,
    { data: { policy: document.name, revision: change.revision, confirm: change.token, less: change.less, goes: ids.length, items: change.items.length, ids: ids.slice(0, NAMED_IDS) } });
}
