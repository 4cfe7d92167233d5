import assert from 'node:assert/strict';
import { isHoldfastError } from '../../errors/holdfast-error';
import { parsePolicy, type PolicyDocument } from '../../policy/schema';

export const SUBSCRIPTION = '0f0e0d0c-1111-2222-3333-444455556666';

export const vmId = (name: string, group = 'prod'): string =>
  `/subscriptions/${SUBSCRIPTION}/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachines/${name}`;

/** The least that is a policy. */
export const minimal = (): Record<string, unknown> => ({ name: 'daily', schedule: { daily: { at: ['02:00'] } }, items: { all: true } });

export const policyWith = (fields: Record<string, unknown>): PolicyDocument => parsePolicy({ ...minimal(), ...fields });

/** The wrong fields that a value is refused for; fails when it is not refused, or not as a wrong policy. */
export function refusedFields(value: unknown, parse: (value: unknown) => unknown = parsePolicy): readonly string[] {
  try {
    parse(value);
  } catch (error) {
    assert.ok(isHoldfastError(error, 'POLICY_INVALID'), `expected POLICY_INVALID, got ${String(error)}`);
    const { fields } = error.data;
    assert.ok(Array.isArray(fields) && fields.length > 0, 'no field is named');
    return fields.map(String);
  }
  return assert.fail('the policy was accepted');
}
