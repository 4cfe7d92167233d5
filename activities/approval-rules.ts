import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';
import type { Store } from '../vault/store/store';
import { jsonOf, latestRevision, saveRevision } from './revisions';

/** What can be made to need a second person. Each takes protection away. */
export const GUARDED = ['policy.shrink', 'policy.disable', 'recovery-point.delete', 'retention.approve', 'hold.release', 'collection.approve'] as const;
/** Loosening these rules needs one whenever they ask for anything at all: that cannot be chosen. */
export const LOOSENING = 'approvals.loosen';
export type GuardedKind = (typeof GUARDED)[number] | typeof LOOSENING;

/** So many days fit into one durable timer. */
const MOST_HOURS = 120;

export const rulesSchema = z.strictObject({
  actions: z.array(z.enum(GUARDED)).refine((list) => new Set(list).size === list.length, 'names an action twice').meta({ description: 'What needs a second person; none: nothing does' }),
  delayMinutes: z.int().min(0).max(MOST_HOURS * 60).default(0).meta({ description: 'Between the approval and the deed, for anybody to stop it' }),
  expiresHours: z.int().min(1).max(MOST_HOURS).default(72).meta({ description: 'For so long an approval is waited for' }),
});
export type ApprovalRules = z.output<typeof rulesSchema>;

/** The rules of a vault where nobody made any. */
const NO_RULES: ApprovalRules = { actions: [], delayMinutes: 0, expiresHours: 72 };
const FOLDER = 'approval-rules/';

export interface StoredRules { readonly rules: ApprovalRules; readonly revision: number }

/** The rules in force. Throws APPROVAL_RULES_INVALID for ones that cannot be read: what they guard is then refused, since nobody knows what they ask for. */
export async function loadRules(store: Store): Promise<StoredRules> {
  const latest = await latestRevision(store, FOLDER);
  if (!latest) return { rules: NO_RULES, revision: 0 };
  const parsed = rulesSchema.safeParse(jsonOf(latest));
  if (!parsed.success) throw new HoldfastError('APPROVAL_RULES_INVALID', `Revision ${latest.revision} of the rules of approvals cannot be read: ${parsed.error.issues[0]?.message ?? ''}`, { data: { revision: latest.revision } });
  return { rules: parsed.data, revision: latest.revision };
}

/** Stores rules over the revision that they were based on; null for any. Throws APPROVAL_RULES_CHANGED. */
export async function saveRules(store: Store, rules: ApprovalRules, expected: number | null): Promise<number> {
  return saveRevision(store, FOLDER, rules, expected, (current) =>
    new HoldfastError('APPROVAL_RULES_CHANGED', `The rules of approvals are no longer at revision ${expected ?? current}`, { data: { revision: current } }));
}

/** Pure: how the new rules ask for less than those in force, in words. */
export function looser(before: ApprovalRules, after: ApprovalRules): string[] {
  const gone = before.actions.filter((action) => !after.actions.includes(action));
  return [
    ...gone.map((action) => `${action} would no longer need a second person`),
    ...(before.actions.length > 0 && after.delayMinutes < before.delayMinutes ? [`the delay would be ${after.delayMinutes} minutes instead of ${before.delayMinutes}`] : []),
  ];
}
