import { z } from 'zod';
import { MAX_LUN, MAX_RESOURCE_IDS, MAX_TAGS, MAX_TAG_KEY_CHARS, MAX_TAG_VALUE_CHARS } from './limits';
import { parseVmResourceId, VM_ID_SHAPE } from './resource-id';

const resourceIds = z.array(
  z.string().refine((id) => parseVmResourceId(id) !== null, { error: `expected the resource id of a VM: ${VM_ID_SHAPE}` }),
).min(1).max(MAX_RESOURCE_IDS);

const tagError = `expected a text of at most ${MAX_TAG_VALUE_CHARS} characters or a list of 1 to ${MAX_TAGS} such texts`;
const tagValue = z.string({ error: tagError }).max(MAX_TAG_VALUE_CHARS, { error: tagError });
const tags = z.record(
  z.string().min(1).max(MAX_TAG_KEY_CHARS),
  z.union([tagValue, z.array(tagValue).min(1, { error: tagError }).max(MAX_TAGS, { error: tagError })], { error: tagError }),
).superRefine((record, context) => {
  const keys = Object.keys(record);
  if (keys.length === 0) context.addIssue({ code: 'custom', message: 'at least one tag is needed' });
  if (keys.length > MAX_TAGS) context.addIssue({ code: 'custom', message: `at most ${MAX_TAGS} tags` });
  for (const [index, key] of keys.entries()) {
    // Azure compares tag names without case, so the two would speak of one tag.
    const twin = keys.slice(0, index).find((other) => other.toLowerCase() === key.toLowerCase());
    if (twin !== undefined) context.addIssue({ code: 'custom', path: [key], message: 'the same tag twice: the names of tags have no case' });
  }
}).meta({ minProperties: 1, maxProperties: MAX_TAGS });

/** Which VMs a policy covers. */
export const itemsSchema = z.strictObject({
  all: z.literal(true).optional(),
  resourceIds: resourceIds.optional(),
  tags: tags.optional(),
  excludeResourceIds: resourceIds.optional(),
  excludeTags: tags.optional(),
}).superRefine((items, context) => {
  const chosen = items.resourceIds !== undefined || items.tags !== undefined;
  if (items.all === undefined && !chosen) {
    context.addIssue({ code: 'custom', message: 'covers nothing: give all: true, resourceIds or tags' });
  }
  if (items.all !== undefined && chosen) {
    context.addIssue({ code: 'custom', path: ['all'], message: 'all: true leaves no room for resourceIds or tags; use excludeResourceIds or excludeTags to leave VMs out' });
  }
}).meta({ anyOf: [{ required: ['all'] }, { required: ['resourceIds'] }, { required: ['tags'] }] });

export type ItemsSelection = z.output<typeof itemsSchema>;

// The library answers with the complaint of the nearest choice of a union, so every choice carries the same words.
const lunError = `expected "os" or a LUN from 0 to ${MAX_LUN}`;
const lun = z.union([
  z.literal('os'),
  z.int({ error: lunError }).min(0, { error: lunError }).max(MAX_LUN, { error: lunError }),
  z.string().regex(/^(?:[0-9]|[1-5][0-9]|6[0-3])$/, { error: lunError }),
], { error: lunError });

/** A disk to leave out: by LUN ("os" is the OS disk) or by the name of the disk resource. */
export const diskRuleSchema = z.strictObject({
  lun: lun.optional(),
  name: z.string().min(1).max(80).optional(),
}).superRefine((rule, context) => {
  if ((rule.lun === undefined) === (rule.name === undefined)) {
    context.addIssue({ code: 'custom', message: 'expected exactly one of lun, name' });
  }
}).meta({ minProperties: 1, maxProperties: 1 });

export type DiskRule = z.output<typeof diskRuleSchema>;
