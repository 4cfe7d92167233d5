import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePolicyText, policyJsonSchema } from '../../policy/schema';
import { DEFAULT_RETENTION } from '../../policy/retention-schema';
import { policyWith } from './policy-samples';

/** Compiled tests lie in dist/test/policy. */
const text = readFileSync(join(__dirname, '../../../docs/policies.md'), 'utf8');

describe('docs/policies.md', () => {
  it('has examples that are accepted as they stand', () => {
    const examples = [...text.matchAll(/```json\n(.*?)```/gs)].map((match) => match[1] ?? '');
    assert.equal(examples.length, 2);
    for (const example of examples) parsePolicyText(example);
    const fields = Object.keys(JSON.parse(examples[1] ?? '') as object);
    assert.deepEqual(fields.sort(), Object.keys(policyJsonSchema()['properties'] ?? {}).sort(), 'the full example has every field');
  });

  it('has an example of every kind of schedule that is accepted', () => {
    const examples = [...text.matchAll(/^\| `(\w+)` \| `(\{.*?\})` \|/gm)];
    assert.deepEqual(examples.map((match) => match[1]), ['daily', 'hourly', 'weekly', 'monthly', 'minutes', 'cron']);
    for (const [, kind = '', example = ''] of examples) assert.ok(kind in policyWith({ schedule: JSON.parse(example) as unknown }).schedule);
  });

  it('states the default retention that is in force', () => {
    const stated = /^`(\{ "keepLast".*\})`\.$/m.exec(text)?.[1];
    assert.deepEqual(JSON.parse(stated ?? 'null'), DEFAULT_RETENTION);
  });
});
