import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packName } from '../../vault/format/pack-names';
import { PackKind } from '../../vault/format/format';
import { MARGINS } from '../../vault/points/margins';
import { infraFolder, ofType, type Predicted, readSnapshot } from './bicep-snapshot';

interface Role { readonly id: string; readonly properties: { readonly roleName: string; readonly assignableScopes: readonly string[]; readonly permissions: readonly Rights[] } }
interface Rights { readonly actions: readonly string[]; readonly notActions: readonly string[]; readonly dataActions: readonly string[]; readonly notDataActions: readonly string[] }
interface Assignment { readonly properties: { readonly principalId: string; readonly roleDefinitionId: string } }

const DAY_MS = 86_400_000;
const BLOBS = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';
const estates = { main: readSnapshot('main'), 'main.large': readSnapshot('main.large'), 'main.premium': readSnapshot('main.premium') };
const rolesOf = (resources: readonly Predicted[]) => ofType(resources, 'Microsoft.Authorization/roleDefinitions') as unknown as readonly Role[];

/** Whose it is, from the expression that gives its object id once it is made. */
const ownerOf = ({ properties: { principalId } }: Assignment): string => /outputs\.(\w+)\.value\.principalId/.exec(principalId)?.[1] ?? principalId;

/** Everything that each identity may do by roles of ours, by identity. */
function rightsByOwner(resources: readonly Predicted[]): Map<string, string[]> {
  const roles = new Map(rolesOf(resources).map((role) => [role.id, role]));
  const found = new Map<string, string[]>();
  for (const assignment of ofType(resources, 'Microsoft.Authorization/roleAssignments') as unknown as readonly Assignment[]) {
    const owner = ownerOf(assignment);
    const rights = roles.get(assignment.properties.roleDefinitionId)?.properties.permissions.flatMap(({ actions, dataActions }) => [...actions, ...dataActions]);
    found.set(owner, [...found.get(owner) ?? [], ...(rights ?? [`built-in ${assignment.properties.roleDefinitionId.split('/').at(-1) ?? ''}`])]);
  }
  return found;
}

for (const [estate, resources] of Object.entries(estates)) {
  const isLarge = estate === 'main.large';
  const rights = rightsByOwner(resources);
  const of = (owner: string): readonly string[] => rights.get(owner) ?? [];

  describe(`what ${estate}.bicepparam deploys: who may do what`, () => {
    it('has no wildcard in a role, no exception to one, and no role beyond its subscription', () => {
      assert.ok(rolesOf(resources).length >= 7);
      for (const { properties: { roleName, permissions, assignableScopes } } of rolesOf(resources)) {
        for (const { actions, notActions, dataActions, notDataActions } of permissions) {
          assert.ok(actions.length + dataActions.length > 0, roleName);
          for (const action of [...actions, ...dataActions]) assert.match(action, /^Microsoft\.\w+(\/\w+)+$/, roleName);
          assert.deepEqual([...notActions, ...notDataActions], [], roleName);
        }
        for (const scope of assignableScopes) assert.match(scope, /^\/subscriptions\/[0-9-]{36}(\/resourceGroups\/[\w-]+)?$/, roleName);
      }
    });

    it('keeps the identities apart: host, backup, maintenance and restore, all of them the app\'s', () => {
      assert.deepEqual([...rights.keys()].filter((owner) => !/^\d/.test(owner)).sort(), ['backup', 'host', 'maintenance', 'restore']);
      const [site] = ofType(resources, 'Microsoft.Web/sites');
      const attached = Object.keys((site?.identity as { userAssignedIdentities: object }).userAssignedIdentities).map((key) => /outputs\.(\w+)\.value\.id/.exec(key)?.[1]);
      assert.deepEqual(attached.sort(), ['backup', 'host', 'maintenance', 'restore']);
    });

    it('threat 1: lets nobody but maintenance delete in the vault, and nobody replace anything there', () => {
      const inVault = ofType(resources, 'Microsoft.Authorization/roleAssignments').filter(({ id }) => id.includes('/containers/vault/')) as unknown as readonly Assignment[];
      const roles = new Map(rolesOf(resources).map((role) => [role.id, role.properties.permissions.flatMap(({ dataActions }) => dataActions)]));
      const may = Object.fromEntries(inVault.map((one) => [ownerOf(one), roles.get(one.properties.roleDefinitionId)]));
      const create = [`${BLOBS}/read`, `${BLOBS}/add/action`];
      const hold = isLarge ? [`${BLOBS}/immutableStorage/runAsSuperUser/action`] : [];
      assert.deepEqual(may, {
        backup: [...create, ...hold], maintenance: [...create, ...hold, `${BLOBS}/delete`], restore: create,
        ...(isLarge ? { '11111111-1111-1111-1111-111111111111': create } : {}),
      });
    });

    it('lets the three unwrap with the key and no more, and the host see neither vault nor key nor machine', () => {
      for (const owner of ['backup', 'maintenance', 'restore']) assert.deepEqual(of(owner).filter((action) => action.startsWith('Microsoft.KeyVault/')), ['Microsoft.KeyVault/vaults/keys/unwrap/action'], owner);
      assert.ok(of('host').every((action) => action.startsWith('built-in ')), of('host').join(', '));
      const ofHost = ofType(resources, 'Microsoft.Authorization/roleAssignments').filter((one) => ownerOf(one as unknown as Assignment) === 'host');
      for (const { id } of ofHost) assert.match(id, /storageAccounts\/\w+hub\w+|Microsoft\.Insights\/components|Microsoft\.DurableTask\/schedulers/);
    });

    it('lets maintenance see no machine, backup make no disk, and restore touch no restore point and no guest', () => {
      const compute = (owner: string, pattern: RegExp) => of(owner).filter((action) => /^Microsoft\.(Compute|Network)\//.test(action) && pattern.test(action));
      assert.deepEqual(compute('maintenance', /./), []);
      assert.deepEqual(compute('backup', /disks\/(write|delete)|virtualMachines\/(write|delete|start|deallocate)|Microsoft\.Network/), []);
      assert.deepEqual(compute('restore', /restorePoint|runCommands|extensions/i), []);
      assert.equal(compute('backup', /runCommands|extensions/).length > 0, isLarge);
    });
  });

  describe(`what ${estate}.bicepparam deploys: the storage accounts, the key, the app`, () => {
    const wanted = isLarge ? 'Disabled' : 'Enabled';
    const accounts = ofType(resources, 'Microsoft.Storage/storageAccounts');
    const [vault] = accounts.filter(({ name }) => name.includes('vault'));

    it('threats 1, 12: has shared keys off, TLS 1.2 at least, nothing public, in both accounts, which are two', () => {
      assert.equal(accounts.length, 2);
      for (const { name, properties } of accounts) {
        const { allowSharedKeyAccess, minimumTlsVersion, supportsHttpsTrafficOnly, allowBlobPublicAccess, allowCrossTenantReplication, publicNetworkAccess, networkAcls } = properties;
        assert.deepEqual([allowSharedKeyAccess, minimumTlsVersion, supportsHttpsTrafficOnly, allowBlobPublicAccess, allowCrossTenantReplication], [false, 'TLS1_2', true, false, false], name);
        assert.deepEqual([publicNetworkAccess, (networkAcls as { defaultAction: string }).defaultAction], [wanted, isLarge ? 'Deny' : 'Allow'], name);
      }
      for (const { properties } of ofType(resources, 'Microsoft.Storage/storageAccounts/blobServices/containers')) assert.equal(properties.publicAccess, 'None');
    });

    it('threat 4: has purge protection, roles instead of access policies, and a key that only wraps', () => {
      const [keyVault] = ofType(resources, 'Microsoft.KeyVault/vaults');
      const { enablePurgeProtection, enableSoftDelete, enableRbacAuthorization, publicNetworkAccess } = keyVault?.properties ?? {};
      assert.deepEqual([enablePurgeProtection, enableSoftDelete, enableRbacAuthorization, publicNetworkAccess], [true, true, true, wanted]);
      const [key] = ofType(resources, 'Microsoft.KeyVault/vaults/keys');
      assert.deepEqual([key?.properties.keyOps, key?.properties.kty, key?.properties.keySize], [['wrapKey', 'unwrapKey'], isLarge ? 'RSA-HSM' : 'RSA', isLarge ? 4096 : 3072]);
    });

    it('has an app that speaks TLS 1.2 at least, takes no password, and is open to the internet as the parameter says', () => {
      const [site] = ofType(resources, 'Microsoft.Web/sites');
      const { httpsOnly, publicNetworkAccess, siteConfig } = site?.properties ?? {};
      const { minTlsVersion, scmMinTlsVersion } = siteConfig as Record<string, string>;
      assert.deepEqual([httpsOnly, publicNetworkAccess, minTlsVersion, scmMinTlsVersion], [true, wanted, '1.2', '1.2']);
      const policies = ofType(resources, 'Microsoft.Web/sites/basicPublishingCredentialsPolicies');
      assert.deepEqual(policies.map(({ properties }) => properties.allow), [false, false]);
    });

    it('reaches everything that is closed through an endpoint of its own', () => {
      const connections = ofType(resources, 'Microsoft.Network/privateEndpoints').map(({ name, properties }) => `${name.split('-').slice(3).join('-')}: ${(properties.privateLinkServiceConnections as { properties: { groupIds: string[] } }[])[0]?.properties.groupIds.join() ?? ''}`);
      assert.deepEqual(connections.sort(), isLarge ? ['app: sites', 'disks: disks', 'hub-blob: blob', 'hub-queue: queue', 'hub-table: table', 'key: vault', 'vault: blob'] : []);
    });

    it('keeps what was deleted in the vault, and locks the account and the key vault', () => {
      const [service] = ofType(resources, 'Microsoft.Storage/storageAccounts/blobServices').filter(({ name }) => name.startsWith(vault?.name ?? '?'));
      const days = isLarge ? 30 : 14;
      assert.deepEqual(service?.properties, { isVersioningEnabled: true, deleteRetentionPolicy: { enabled: true, days }, containerDeleteRetentionPolicy: { enabled: true, days } });
      const locks = ofType(resources, 'Microsoft.Authorization/locks');
      assert.deepEqual(locks.map(({ properties }) => properties.level), ['CanNotDelete', 'CanNotDelete']);
    });

    it('holds objects for the margin of the app\'s locks beyond HOLDFAST_LOCK_DAYS, where the vault is immutable', () => {
      const policy = vault?.properties.immutableStorageWithVersioning as { enabled: boolean; immutabilityPolicy: Record<string, unknown> } | null;
      const wantedPolicy = { immutabilityPeriodSinceCreationInDays: 30 + MARGINS.lockMarginMs / DAY_MS, state: 'Unlocked', allowProtectedAppendWrites: false };
      assert.deepEqual(policy, isLarge ? { enabled: true, immutabilityPolicy: wantedPolicy } : null);
    });

    it('moves data packs, never anything else, to cooler tiers, and only when they have outlived what goes soon', () => {
      interface Rule { readonly name: string; readonly definition: { readonly filters: { readonly prefixMatch: readonly string[] }; readonly actions: Record<string, Record<string, { readonly daysAfterCreationGreaterThan: number }>> } }
      const rules = (ofType(resources, 'Microsoft.Storage/storageAccounts/managementPolicies')[0]?.properties.policy as { rules: Rule[] }).rules;
      const tiers = rules.filter(({ definition }) => definition.actions.baseBlob !== undefined);
      assert.equal(tiers.length, isLarge ? 1 : 0);
      const pack = (kind: PackKind) => `vault/${packName(kind, '07'.repeat(16))}`;
      for (const { definition: { filters, actions } } of tiers) {
        for (const prefix of filters.prefixMatch) assert.deepEqual([PackKind.data, PackKind.meta].map((kind) => pack(kind).startsWith(prefix)), [true, false]);
        const { tierToCool, tierToCold, ...others } = actions.baseBlob ?? {};
        assert.deepEqual(others, {});
        const goesSoonDays = 35 + (MARGINS.binMs + MARGINS.longestRunMs + MARGINS.afterRunMs + MARGINS.lockMarginMs) / DAY_MS + 30;
        assert.equal(tierToCool?.daysAfterCreationGreaterThan, goesSoonDays);
        assert.ok((tierToCold?.daysAfterCreationGreaterThan ?? 0) - goesSoonDays >= 30, 'Azure charges for 30 days of cool at least');
      }
      const others = rules.filter((rule) => !tiers.includes(rule)).map(({ definition }) => definition.actions);
      assert.deepEqual(others, [{ version: { delete: { daysAfterCreationGreaterThan: 1 } } }], 'nothing that is current is ever deleted by a rule');
    });

    it('has names that fit', () => {
      const most: Record<string, number> = { 'Microsoft.Storage/storageAccounts': 24, 'Microsoft.KeyVault/vaults': 24, 'Microsoft.Web/sites': 60, 'Microsoft.DurableTask/schedulers': 64, 'Microsoft.Insights/components': 255 };
      for (const [type, length] of Object.entries(most)) for (const { name } of ofType(resources, type)) assert.ok(name.length >= 3 && name.length <= length, `${name} has ${name.length} characters`);
    });
  });
}

describe('the plan of the app', () => {
  const planOf = (resources: readonly Predicted[]) => ofType(resources, 'Microsoft.Web/serverfarms')[0]?.sku;
  const siteOf = (resources: readonly Predicted[]) => ofType(resources, 'Microsoft.Web/sites')[0]?.properties ?? {};

  it('is Flex Consumption, with what that takes, unless Premium is asked for', () => {
    assert.deepEqual(planOf(estates.main), { name: 'FC1', tier: 'FlexConsumption' });
    const { runtime, scaleAndConcurrency } = siteOf(estates.main).functionAppConfig as Record<string, unknown>;
    assert.deepEqual([runtime, scaleAndConcurrency], [{ name: 'node', version: '22' }, { instanceMemoryMB: 2048, maximumInstanceCount: 40 }]);
    assert.deepEqual(planOf(estates['main.premium']), { name: 'EP2', tier: 'ElasticPremium', capacity: 1 });
    const { functionAppConfig, siteConfig } = siteOf(estates['main.premium']);
    assert.equal(functionAppConfig, null);
    assert.deepEqual([(siteConfig as Record<string, unknown>).linuxFxVersion, (siteConfig as Record<string, unknown>).ftpsState], ['NODE|22', 'Disabled']);
  });
});

describe('the budget', () => {
  it('is there where an amount is given, and tells whoever gets the alerts', () => {
    assert.equal(ofType(estates.main, 'Microsoft.Consumption/budgets').length, 0);
    const [budget] = ofType(estates['main.large'], 'Microsoft.Consumption/budgets');
    assert.equal(budget?.properties.amount, 2000);
    for (const told of Object.values(budget?.properties.notifications ?? {})) assert.deepEqual((told as { contactEmails: string[] }).contactEmails, ['oncall@example.com']);
  });
});

describe('azure.yaml', () => {
  const root = join(infraFolder, '..');
  const text = readFileSync(join(root, 'azure.yaml'), 'utf8');

  it('names a module that is there, the service by the tag that the app carries, and scripts that there are', () => {
    const module = /^ {2}module: (\S+)$/m.exec(text)?.[1] ?? '';
    assert.ok(existsSync(join(infraFolder, `${module}.bicep`)) && existsSync(join(infraFolder, `${module}.bicepparam`)), module);
    const service = /^services:\n {2}(\w+):$/m.exec(text)?.[1];
    const { tags } = ofType(estates.main, 'Microsoft.Web/sites')[0] as unknown as { readonly tags: Record<string, string> };
    assert.deepEqual([service, tags['azd-env-name']], [tags['azd-service-name'], 'holdfast']);
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly scripts: Record<string, string> };
    const asked = [...text.matchAll(/npm run (\S+)/g)].map(([, name = '']) => name);
    assert.ok(asked.length > 0 && asked.every((name) => scripts[name] !== undefined), asked.join(', '));
  });
});

describe('the Bicep files', () => {
  const files = globSync('**/*.bicep', { cwd: infraFolder }).sort();

  for (const file of files) {
    it(`${file}: every parameter, output, type and property is described`, () => {
      const lines = readFileSync(join(infraFolder, file), 'utf8').split('\n');
      const undescribed: string[] = [];
      let decorated = false;
      let typeDepth = 0;
      for (const line of lines) {
        if (/^\s*@description\('/.test(line)) decorated = true;
        const declares = /^(param|output|type) \w+/.test(line) || (typeDepth > 0 && /^ {2}\w+\??: /.test(line));
        if (declares && !decorated) undescribed.push(line.trim());
        if (declares || line.trim() === '') decorated = false;
        if (/^type \w+ = \{$/.test(line)) typeDepth = 1;
        if (/^\}/.test(line)) typeDepth = 0;
      }
      assert.deepEqual(undescribed, []);
    });
  }
});
