import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isHoldfastError } from '../../errors/holdfast-error';
import { parsePolicy, type PolicyDocument } from '../../policy/schema';
import { toCron } from '../../policy/schedule';
import { minimal, vmId } from './policy-samples';

/** The document, or undefined when it was refused as it should be; anything else thrown fails the test. */
function accepted(value: unknown): PolicyDocument | undefined {
  try {
    return parsePolicy(value);
  } catch (error) {
    if (!isHoldfastError(error, 'POLICY_INVALID')) throw error;
    const { fields } = error.data;
    assert.ok(Array.isArray(fields) && fields.length > 0 && fields.every((line) => typeof line === 'string' && line.includes(': ')), 'no field is named');
    JSON.stringify(error);
    return undefined;
  }
}

const time = fc.constantFrom('00:00', '02:00', '13:37', '23:58');
const schedule = fc.oneof(
  fc.record({ daily: fc.record({ at: fc.uniqueArray(time, { minLength: 1, maxLength: 3 }) }) }),
  fc.record({ hourly: fc.record({ every: fc.constantFrom(1, 6, 12), minute: fc.nat(59) }) }),
  fc.record({ monthly: fc.record({ days: fc.uniqueArray(fc.oneof(fc.integer({ min: 1, max: 31 }), fc.constant('last')), { minLength: 1, maxLength: 4 }), at: fc.constant(['02:00']) }) }),
  fc.record({ cron: fc.constantFrom('0 2 * * *', '*/5 * * * *', '15 3 L 2 *') }),
);
const document = fc.record({
  name: fc.stringMatching(/^[a-z0-9-]{1,40}$/),
  schedule,
  items: fc.constantFrom({ all: true }, { resourceIds: [vmId('a')] }, { tags: { env: ['x', 'y'] } }),
  retention: fc.record({ keepLast: fc.integer({ min: 1, max: 9 }), weekly: fc.record({ count: fc.integer({ min: 1, max: 9 }) }) }),
  excludeDisks: fc.array(fc.record({ lun: fc.integer({ min: 0, max: 63 }) }), { maxLength: 3 }),
}, { requiredKeys: ['name', 'schedule', 'items'] });

/** Every place in a JSON value, as paths. */
function places(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))];
}

function replaced(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((inner: unknown, index) => (String(index) === key ? replaced(inner, rest, by) : inner));
  return Object.fromEntries(Object.entries(value ?? {}).map(([name, inner]) => [name, name === key ? replaced(inner, rest, by) : inner]));
}

describe('policy/schema, fuzzed', () => {
  it('fault 32: throws nothing but POLICY_INVALID for any JSON', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => { accepted(value); }), { numRuns: 500 });
  });

  it('throws nothing but POLICY_INVALID for any value at all', () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSet: true, withSparseArray: true, withTypedArray: true });
    fc.assert(fc.property(anything, fc.constantFrom(...Object.keys(minimal()), 'retention', 'limits', 'excludeDisks', 'other'), (value, field) => {
      accepted(value);
      accepted({ ...minimal(), [field]: value });
    }), { numRuns: 500 });
  });

  it('accepts every valid document, and its own answer unchanged', () => {
    fc.assert(fc.property(document, (value) => {
      fc.pre(JSON.stringify(value).indexOf('"23:58"') < 0 || JSON.stringify(value).indexOf('"00:00"') < 0);
      const parsed = accepted(value);
      assert.ok(parsed !== undefined, JSON.stringify(value));
      assert.deepEqual(parsePolicy(parsed), parsed);
    }), { numRuns: 200 });
  });

  it('accepts a damaged document only when what it makes of it is valid', () => {
    fc.assert(fc.property(document, fc.nat(), fc.jsonValue({ maxDepth: 2 }), (value, which, by) => {
      const all = places(value);
      const parsed = accepted(replaced(value, all[which % all.length] ?? [], by));
      if (parsed === undefined) return;
      assert.deepEqual(parsePolicy(JSON.parse(JSON.stringify(parsed))), parsed);
      assert.ok(toCron(parsed.schedule).length > 0);
    }), { numRuns: 500 });
  });

  it('takes any text as a cron without another error', () => {
    const part = fc.stringMatching(/^[0-9*,/#L?A-Za-z-]{1,8}$/);
    fc.assert(fc.property(fc.array(fc.oneof(part, fc.constantFrom('*', '0', '1-5', '*/5')), { minLength: 4, maxLength: 6 }), fc.string(), (parts, text) => {
      for (const cron of [parts.join(' '), text]) {
        const parsed = accepted({ ...minimal(), schedule: { cron } });
        if (parsed !== undefined) toCron(parsed.schedule);
      }
    }), { numRuns: 1000 });
  });
});
