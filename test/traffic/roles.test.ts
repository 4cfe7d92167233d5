import assert from 'node:assert/strict';
import { DUTIES, type Duty } from '../../activities/deps';
import { ofType, readSnapshot } from '../infra/bicep-snapshot';
import { readRights } from './fixtures';
import type { Place, Rights } from './rights';

interface Permission { readonly actions: readonly string[]; readonly notActions: readonly string[]; readonly dataActions: readonly string[]; readonly notDataActions: readonly string[] }

/** What Bicep predicts that the parameters of the large estate deploy: they ask for everything that has a role of its own. */
const deployed = readSnapshot('main.large');
const definitions = new Map(ofType(deployed, 'Microsoft.Authorization/roleDefinitions').map((role) => [role.id.toLowerCase(), role]));

/** Which place of `rights` an assignment is for, by its scope. */
function placeOf(scope: string): Place {
  if (/^\/subscriptions\/[^/]+$/.test(scope)) return 'machines';
  if (/\/providers\/Microsoft\.KeyVault\/vaults\/[^/]+\/keys\/[^/]+$/i.test(scope)) return 'key';
  if (/\/blobServices\/default\/containers\/vault$/i.test(scope)) return 'vault';
  if (/\/storageAccounts\/[^/]+\/blobServices\/default\/containers\/[^/]+$/i.test(scope)) return 'restoreContainers';
  if (/\/storageAccounts\/[^/]+$/i.test(scope)) return 'diskAccounts';
  throw new Error(`A role is assigned at ${scope}, of which no test knows what it is`);
}

/** What the duty's identity is given, by place; the same place in two subscriptions must be given the same. */
function given(duty: Duty): Partial<Record<Place, Rights>> {
  const found: Partial<Record<Place, Rights>> = {};
  for (const { id, properties } of ofType(deployed, 'Microsoft.Authorization/roleAssignments')) {
    if (!String(properties['principalId']).includes(`.outputs.${duty}.value.principalId`)) continue;
    const role = definitions.get(String(properties['roleDefinitionId']).toLowerCase());
    assert.ok(role, `${duty} is given ${String(properties['roleDefinitionId'])}, which is no role of this deployment: a role of Azure's own grants more than is needed`);
    const [permission, ...others] = role.properties['permissions'] as Permission[];
    assert.ok(permission && others.length === 0 && permission.notActions.length + permission.notDataActions.length === 0, `${role.id} says plainly what is allowed`);
    const rights = { actions: [...permission.actions].sort(), dataActions: [...permission.dataActions].sort() };
    const place = placeOf(id.replace(/\/providers\/Microsoft\.Authorization\/roleAssignments\/[^/]+$/i, ''));
    assert.deepEqual(found[place] ?? rights, rights, `${duty} has two roles for ${place}`);
    found[place] = rights;
  }
  return found;
}

describe('the roles that are deployed', () => {
  for (const duty of DUTIES) {
    it(`let ${duty} do what it was seen to do, and nothing else`, () => {
      assert.deepEqual(given(duty), readRights()[duty]);
    });
  }
});
