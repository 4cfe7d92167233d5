import { z } from 'zod';
import { APPROVAL_STATES } from '../../activities/approval-records';
import { GUARDED, LOOSENING } from '../../activities/approval-rules';
import { time } from './common';

/** The answer to a call that needs a second person. */
export const approvalAsked = z.strictObject({ approval: z.string(), state: z.literal('waiting'), expiresAt: time, location: z.string().meta({ description: 'Also in the header Location' }) }).meta({ id: 'ApprovalAsked' });

const person = z.strictObject({ id: z.string(), name: z.string() });

export const approvalView = z.strictObject({
  id: z.string(), state: z.enum(APPROVAL_STATES), kind: z.enum([...GUARDED, LOOSENING]), action: z.string(), what: z.string().meta({ description: 'What would be gone' }), target: z.string().nullable(), body: z.unknown(),
  askedBy: person, askedAt: time, expiresAt: time, approvedBy: person.nullable(), approvedAt: time.nullable(), dueAt: time.nullable().meta({ description: 'When it is carried out' }),
  stoppedBy: person.nullable(), endedAt: time.nullable(), code: z.string().nullable(), message: z.string().nullable(),
}).meta({ id: 'Approval' });
