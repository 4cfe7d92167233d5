import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROLES } from '../../access/roles';
import { infraFolder, ofType, readSnapshot } from './bicep-snapshot';

const json = <T>(name: string): T => JSON.parse(readFileSync(join(infraFolder, name), 'utf8')) as T;
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface AppRole { readonly id: string; readonly value: string; readonly displayName: string; readonly description: string; readonly allowedMemberTypes: readonly string[]; readonly isEnabled: boolean }
interface Api { readonly api: { readonly requestedAccessTokenVersion: number; readonly oauth2PermissionScopes: readonly { readonly id: string; readonly value: string; readonly isEnabled: boolean }[] } }
interface Clients { readonly api: { readonly preAuthorizedApplications: readonly { readonly appId: string; readonly delegatedPermissionIds: readonly string[] }[] } }

describe('the app registration of infra/', () => {
  it('has the roles that the app knows, each for people and programs, with an id of its own', () => {
    const roles = json<AppRole[]>('app-roles.json');
    assert.deepEqual(roles.map(({ value }) => value), [...ROLES]);
    assert.equal(new Set(roles.map(({ id }) => id)).size, ROLES.length);
    for (const role of roles) {
      assert.match(role.id, GUID);
      assert.deepEqual([role.allowedMemberTypes, role.isEnabled], [['User', 'Application'], true]);
      assert.ok(role.displayName.length > 0 && role.description.length > 20);
    }
  });

  it('asks for tokens of version 2, and lets the Azure CLI have them for the one scope that there is', () => {
    const { api } = json<Api>('app-api.json');
    const [scope, ...more] = api.oauth2PermissionScopes;
    assert.deepEqual([api.requestedAccessTokenVersion, scope?.value, scope?.isEnabled, more.length], [2, 'user_impersonation', true, 0]);
    assert.deepEqual(json<Clients>('app-clients.json').api.preAuthorizedApplications, [{ appId: '04b07795-8ddb-461a-bbee-02f9e1bf7b46', delegatedPermissionIds: [scope?.id] }]);
  });
});

describe('the authentication of the platform, as deployed', () => {
  const settingsOf = (estate: 'main' | 'main.large' | 'main.premium') => ofType(readSnapshot(estate), 'Microsoft.Web/sites/config').find(({ name }) => name.endsWith('/authsettingsV2'))?.properties;

  it('asks everybody for a sign-in to this very app, leaves no path out, and takes https alone', () => {
    const settings = settingsOf('main.large');
    assert.deepEqual(settings?.['platform'], { enabled: true });
    assert.deepEqual(settings?.['globalValidation'], { requireAuthentication: true, unauthenticatedClientAction: 'RedirectToLoginPage', redirectToProvider: 'azureactivedirectory', excludedPaths: [] });
    assert.deepEqual(settings?.['httpSettings'], { requireHttps: true });
    const { azureActiveDirectory } = settings?.['identityProviders'] as { azureActiveDirectory: { registration: object; validation: object } };
    const clientId = '44444444-4444-4444-4444-444444444444';
    assert.deepEqual(azureActiveDirectory.validation, { allowedAudiences: [clientId, `api://${clientId}`] });
    assert.deepEqual(azureActiveDirectory.registration, { clientId, openIdIssuer: "[format('{0}{1}/v2.0', environment().authentication.loginEndpoint, '55555555-5555-5555-5555-555555555555')]" });
  });

  it('is off where there is no app registration, and then the app lets nobody in', () => {
    for (const estate of ['main', 'main.premium'] as const) assert.deepEqual([settingsOf(estate)?.['platform'], settingsOf(estate)?.['identityProviders']], [{ enabled: false }, {}]);
  });
});
