import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';
import { diskRuleSchema, itemsSchema } from './items-schema';
import { MAX_BANDWIDTH_MIB_PER_SECOND, MAX_DISK_RULES, MAX_POLICY_BYTES, MAX_RUN_HOURS } from './limits';
import { copyPlainJson, PlainJsonError } from './plain-json';
import { describeField, describeIssues } from './policy-issues';
import { DEFAULT_RETENTION, retentionSchema } from './retention-schema';
import { scheduleSchema } from './schedule-schema';

const limitsSchema = z.strictObject({
  maxParallelVms: z.int().min(1).max(50).default(4),
  maxParallelTransfers: z.int().min(1).max(16).default(4).meta({ description: 'For each disk' }),
  bandwidthMiBPerSecond: z.number().min(0.1).max(MAX_BANDWIDTH_MIB_PER_SECOND).nullable().default(null),
});

/** Room for a script that calls others, within the document's own limit. */
const MAX_SCRIPT_CHARS = 16 * 1024;
const scriptsSchema = z.strictObject({
  pre: z.string().min(1).max(MAX_SCRIPT_CHARS),
  post: z.string().min(1).max(MAX_SCRIPT_CHARS),
  timeoutSeconds: z.int().min(5).max(900).default(60).meta({ description: 'For each of the two' }),
  onFailure: z.enum(['accept', 'fail']).default('accept'),
});

const NAME = /^[a-z0-9-]{1,40}$/;
export const isPolicyName = (name: string): boolean => NAME.test(name);

/** The policy document; docs/policies.md explains every field to the person who edits one. */
export const policySchema = z.strictObject({
  name: z.string().regex(NAME, { error: 'expected 1 to 40 of a-z, 0-9 and -' }),
  description: z.string().max(1000).optional(),
  enabled: z.boolean().default(true),
  schedule: scheduleSchema,
  firstBackup: z.enum(['now', 'next-slot']).default('now'),
  items: itemsSchema,
  driver: z.enum(['auto', 'restorePoint', 'diskSnapshot', 'vmSnapshotExtension']).default('auto'),
  consistency: z.enum(['application', 'crash']).default('application'),
  onWeakerConsistency: z.enum(['accept', 'fail']).default('accept'),
  scripts: scriptsSchema.nullable().default(null),
  excludeDisks: z.array(diskRuleSchema).max(MAX_DISK_RULES).default([]),
  keepBase: z.enum(['newest', 'none']).default('newest'),
  retention: retentionSchema.default(() => structuredClone(DEFAULT_RETENTION)),
  limits: limitsSchema.prefault({}),
  maxRunHours: z.int().min(1).max(MAX_RUN_HOURS).default(24),
}).superRefine((policy, context) => {
  if (policy.scripts && policy.consistency === 'crash') {
    context.addIssue({ code: 'custom', path: ['scripts'], message: 'scripts make a machine consistent, and consistency "crash" asks for none: remove one of the two' });
  }
  if (policy.driver === 'diskSnapshot' && policy.consistency === 'application' && policy.onWeakerConsistency === 'fail' && !policy.scripts) {
    context.addIssue({
      code: 'custom', path: ['onWeakerConsistency'],
      message: 'every backup would fail: the driver diskSnapshot never reaches application consistency without scripts; use another driver, scripts, consistency "crash", or "accept"',
    });
  }
});

/** A checked policy with every default filled in. JSON-safe. */
export type PolicyDocument = z.output<typeof policySchema>;

/**
 * Checks a policy document, as it came out of JSON.parse, and fills in the defaults. All or nothing: a document with
 * any wrong or unknown field throws POLICY_INVALID, whose `data.fields` has a line for each wrong field with the
 * value received (long ones cut). Never throws anything else and never changes its argument.
 */
export function parsePolicy(value: unknown): PolicyDocument {
  const document = plainDocument(value);
  const result = policySchema.safeParse(document);
  if (result.success) return result.data;
  throw invalid(describeIssues(result.error.issues, document));
}

/** The same for the text of a document. Throws POLICY_INVALID, also when the text is over 64 KiB or not JSON. */
export function parsePolicyText(text: string): PolicyDocument {
  if (Buffer.byteLength(text, 'utf8') > MAX_POLICY_BYTES) throw invalid([describeField([], `larger than ${MAX_POLICY_BYTES / 1024} KiB`)]);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid([describeField([], 'not JSON', text)], error);
  }
  return parsePolicy(value);
}

/** The document as a JSON Schema (draft 2020-12), for editors and forms. parsePolicy checks more than it can say. */
export function policyJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(policySchema, { io: 'input' }), title: 'Holdfast policy' };
}

function plainDocument(value: unknown): unknown {
  try {
    return copyPlainJson(value);
  } catch (error) {
    if (error instanceof PlainJsonError) throw invalid([describeField(error.path, error.message)], error);
    throw error;
  }
}

function invalid(fields: readonly string[], cause?: unknown): HoldfastError {
  const shown = fields.slice(0, 5).join(' | ');
  const message = `The policy was refused, ${fields.length === 1 ? 'one field is' : `${fields.length} fields are`} wrong: ${shown}${fields.length > 5 ? ' | …' : ''}`;
  return new HoldfastError('POLICY_INVALID', message, { data: { fields }, cause });
}
