import { z } from 'zod';
import type { PolicyChange } from '../../activities/policy-change';
import type { AppliedRetention, ItemRetentionPlan } from '../../activities/retention';
import { policySchema } from '../../policy/schema';
import { count, errorReport, time } from './common';

const stored = { ...policySchema.shape, revision: count };
export const storedPolicy = z.strictObject(stored).meta({ id: 'StoredPolicy' });
export const policy = z.strictObject({ ...stored, storedAt: time, nextSlots: z.array(time) }).meta({ id: 'Policy' });
/** One that cannot be read. Asking for it by its name says why; it can be deleted or replaced. */
export const unreadablePolicy = z.strictObject({ name: z.string(), damaged: z.literal(true), error: errorReport }).meta({ id: 'UnreadablePolicy' });

const keep = z.strictObject({
  rule: z.enum(['keepLast', 'keepWithinDays', 'daily', 'weekly', 'monthly', 'yearly', 'hold', 'last-good', 'no-policy', 'future', 'undeleted', 'unreadable']),
  policy: z.string().nullable(), period: z.string().nullable(), untilAt: time.nullable(), exact: z.boolean(), until: z.string().meta({ description: 'In words, what lets it go' }),
});

export const retentionPlan: z.ZodType<ItemRetentionPlan> = z.strictObject({
  itemId: z.string(), points: z.array(z.strictObject({ id: z.string(), keeps: z.array(keep), atLeastUntilAt: time.nullable() })), goes: z.array(z.string()), lastGood: z.array(z.string()),
  token: z.string().meta({ description: 'Approves exactly this plan' }), refused: errorReport.nullable().meta({ description: 'Why it is not carried out without approval' }),
}).meta({ id: 'RetentionPlan' });

export const appliedRetention: z.ZodType<AppliedRetention> = z.strictObject({
  itemId: z.string(), kept: count, binned: z.array(z.string()), stayed: z.array(z.strictObject({ id: z.string(), error: errorReport })), refused: errorReport.nullable(),
}).meta({ id: 'AppliedRetention' });

export const policyChange: z.ZodType<PolicyChange> = z.strictObject({
  revision: count, less: z.array(z.string()), items: z.array(z.strictObject({ itemId: z.string(), goes: z.array(z.string()), kept: count })), token: z.string().nullable(),
}).meta({ id: 'PolicyChange' });
