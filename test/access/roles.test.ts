import assert from 'node:assert/strict';
import { allows, type Caller, demandRole, type Role, ROLES } from '../../access/roles';
import { isHoldfastError } from '../../errors/holdfast-error';

const callerWith = (...roles: Role[]): Caller => ({ id: 'an-object-id', name: 'ann@example.com', kind: 'user', roles, from: null });

describe('roles', () => {
  it('allow what they say and nothing beside it', () => {
    const allowed = (...roles: Role[]): Role[] => ROLES.filter((role) => allows(callerWith(...roles), role));
    assert.deepEqual(allowed(), []);
    assert.deepEqual(allowed('Reader'), ['Reader']);
    assert.deepEqual(allowed('Operator'), ['Reader', 'Operator']);
    assert.deepEqual(allowed('RestoreOperator'), ['Reader', 'RestoreOperator'], 'who may restore may not back up');
    assert.deepEqual(allowed('Operator', 'RestoreOperator'), ['Reader', 'Operator', 'RestoreOperator']);
    assert.deepEqual(allowed('Admin'), ['Reader', 'Operator', 'RestoreOperator', 'Admin']);
  });

  it('are named in the refusal: the one that is needed, and those that the caller has', () => {
    demandRole(callerWith('Admin'), 'RestoreOperator');
    const refused = (caller: Caller, message: RegExp): void => assert.throws(() => demandRole(caller, 'Admin'), (error) => {
      assert.ok(isHoldfastError(error, 'FORBIDDEN'));
      assert.match(error.message, message);
      assert.deepEqual(error.data, { role: 'Admin', roles: [...caller.roles] });
      return true;
    });
    refused(callerWith('Reader', 'Operator'), /takes the role Admin; ann@example\.com has the roles Reader and Operator/);
    refused(callerWith(), /has no role of this app/);
  });
});
