import assert from 'node:assert/strict';
import { PRINCIPAL_HEADER } from '../../access/principal';
import { type Role, ROLES } from '../../access/roles';
import type { Route } from '../../functions/route';
import { routes } from '../../functions/routes';
import { addVm, HOME_START_MS, type Home, noise, type Reply, startHome } from '../support/home';
import { CLIENT, Issuer, OBJECT_IDS, TENANT } from '../support/issuer';

/**
 * Every route, and who gets through: R Reader, O Operator, S RestoreOperator, A Admin, and '*' anybody at all. Written out by hand, so that whoever changes what a route asks for changes it here, too, and sees what that
 * means. A route that is not here fails the test.
 */
const MATRIX: Readonly<Record<string, string>> = {
  // What is said of the API itself, and of no vault
  getOpenApi: '*', listErrors: '*', getError: '*',
  // What is there
  getCaller: 'ROSA', listItems: 'ROSA', getItem: 'ROSA', listItemRecoveryPoints: 'ROSA', listRecoveryPoints: 'ROSA', getRecoveryPoint: 'ROSA', getRetention: 'ROSA',
  listJobs: 'ROSA', getJob: 'ROSA', listPolicies: 'ROSA', getPolicy: 'ROSA', getCost: 'ROSA', listAudit: 'ROSA', getPrices: 'ROSA', getHealth: 'ROSA', getMaintenance: 'ROSA', getScrub: 'ROSA', getSweep: 'ROSA',
  getOverview: 'ROSA', getVault: 'ROSA', getVaultHistory: 'ROSA', getItemHistory: 'ROSA', listServers: 'ROSA',
  listRestores: 'ROSA', getRestore: 'ROSA', listKeys: 'ROSA', getManifest: 'ROSA',
  // Who is told
  getNotifications: 'ROSA', listDeliveries: 'ROSA', getDelivery: 'ROSA', putNotifications: 'A', testNotification: 'A',
  // What would be, if
  previewPolicy: 'ROSA', forecastPolicy: 'ROSA',
  // The daily work
  startBackup: 'OA', cancelJob: 'OSA', undeleteRecoveryPoint: 'OA', holdRecoveryPoint: 'OA', startScrub: 'OA', cancelScrub: 'OA', testVaultKeys: 'OA',
  // Whoever restores a disk can read what was on it
  startRestore: 'SA', cancelRestore: 'SA', startExport: 'SA', readExport: 'SA',
  // What needs a second person: whoever asked for something may take it back, whatever they are
  listApprovals: 'ROSA', getApproval: 'ROSA', getApprovalRules: 'ROSA', cancelApproval: 'ROSA', approveApproval: 'A', rejectApproval: 'A', putApprovalRules: 'A',
  // What takes protection away, or decides about it
  deleteRecoveryPoint: 'A', releaseRecoveryPoint: 'A', applyRetention: 'A', putPolicy: 'A', deletePolicy: 'A', protectItem: 'A', unprotectItem: 'A', putPrices: 'A', startMaintenance: 'A', startSweep: 'A',
};

const LETTERS: Readonly<Record<string, Role>> = { R: 'Reader', O: 'Operator', S: 'RestoreOperator', A: 'Admin' };

describe('who gets through each route of the API (threats 10, 11 and 14)', function () {
  this.timeout(120_000);
  let home: Home;
  let issuer: Issuer;
  const tokens = new Map<string, string>();
  const forever = { exp: Math.floor(HOME_START_MS / 1000) + 10 * 365 * 86_400 };

  before(async () => {
    issuer = await Issuer.start(() => HOME_START_MS);
    home = await startHome((disks) => addVm(disks, 'web', { os: noise(1024 * 1024, 1) }), { access: { kind: 'platform', entra: issuer.settings, platformIsOn: false, ownHost: null } });
    for (const role of ROLES) tokens.set(role, await issuer.token([role], { claims: forever }));
    tokens.set('without a role', await issuer.token([], { claims: forever }));
  });
  after(async () => {
    await home.dispose();
    await issuer.close();
  });

  /** With an address of things that are not there, and no body: whoever gets through is told that, and nothing comes of it but what needs neither. */
  const addressOf = ({ id, path }: Route): string => `/api/${path.replace(/\{\w+\}/g, id === 'cancelJob' ? 'restore.nothing' : 'nothing')}`;
  const call = (declared: Route, headers: Readonly<Record<string, string>>): Promise<Reply> => home.json(addressOf(declared), { method: declared.method, headers });
  const bearing = (token: string | undefined): Record<string, string> => ({ authorization: `Bearer ${token ?? ''}` });
  const codeOf = ({ body }: Reply): unknown => (body as { code?: unknown } | undefined)?.code;

  it('is written out for each, and for no other', () => {
    assert.deepEqual(routes.map(({ id }) => id).sort(), Object.keys(MATRIX).sort(), 'a route came or went: say in MATRIX who may call it');
  });

  for (const declared of routes) {
    it(`${declared.method} /api/${declared.path}`, async () => {
      const allowed = MATRIX[declared.id] ?? '';
      if (allowed !== '*') {
        const principal = Buffer.from(JSON.stringify({ auth_typ: 'aad', claims: [['oid', OBJECT_IDS.Admin], ['tid', TENANT], ['aud', CLIENT], ['roles', 'Admin']].map(([typ, val]) => ({ typ, val })) })).toString('base64');
        const unproved: Readonly<Record<string, Record<string, string>>> = {
          'a forged principal': { authorization: '', [PRINCIPAL_HEADER]: principal, 'X-MS-CLIENT-PRINCIPAL-ID': OBJECT_IDS.Admin, 'X-MS-CLIENT-PRINCIPAL-NAME': 'admin@example.com', origin: 'http://localhost' },
          'a token of another key': bearing(await issuer.token(['Admin'], { claims: forever, foreignKey: true })),
          'a token that is over': bearing(await issuer.token(['Admin'], { claims: { exp: HOME_START_MS / 1000 - 3600 } })),
          'a function key': { 'x-functions-key': home.host.keys.function, authorization: '' },
          nobody: { authorization: '' },
        };
        for (const [who, headers] of Object.entries(unproved)) {
          if (headers.authorization === '') delete headers.authorization;
          const reply = await home.host.fetch(addressOf(declared), { method: declared.method, headers });
          const text = await reply.text();
          assert.deepEqual([reply.status, (JSON.parse(text) as { code: string }).code], [401, 'UNAUTHENTICATED'], `${who}: ${text}`);
          assert.equal(reply.headers.get('www-authenticate'), 'Bearer realm="holdfast"');
        }
        const reply = await call(declared, bearing(tokens.get('without a role')));
        assert.deepEqual([reply.status, codeOf(reply)], [403, 'FORBIDDEN'], 'somebody without a role');
      }
      else {
        assert.ok((await home.host.fetch(addressOf(declared), { method: declared.method })).status < 500);
      }
      for (const [letter, role] of Object.entries(LETTERS)) {
        const reply = await call(declared, bearing(tokens.get(role)));
        if (allowed === '*' || allowed.includes(letter)) assert.notEqual(codeOf(reply), 'FORBIDDEN', `${role}: ${reply.text}`);
        else assert.deepEqual([reply.status, codeOf(reply)], [403, 'FORBIDDEN'], `${role}: ${reply.text}`);
        assert.notEqual(reply.status, 401);
        assert.ok(reply.status < 500, reply.text);
        assert.doesNotMatch(`${reply.text}${JSON.stringify([...reply.headers])}`, /runtime\/webhooks|[?&]code=|[?&]sig=/, 'an address with a key in it');
        assert.deepEqual(['cache-control', 'x-content-type-options', 'access-control-allow-origin'].map((name) => reply.headers.get(name)), ['no-store', 'nosniff', null]);
        assert.match(reply.headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/);
      }
    });
  }

  it('leaves who was refused a change in the audit trail, and who only looked is in none', async () => {
    const refused = await home.json('/api/audit?action=recovery-point.delete', { headers: bearing(tokens.get('Reader')) });
    const records = (refused.body as { value: { who: { name: string }; outcome: string; code?: string }[] }).value;
    assert.deepEqual([...new Set(records.filter(({ code }) => code === 'FORBIDDEN').map(({ who, outcome }) => `${who.name} ${outcome}`))].sort(),
      ['nobody@example.com refused', 'operator@example.com refused', 'reader@example.com refused', 'restoreoperator@example.com refused']);
  });

  it('tells callers who they are, and counts each for itself', async () => {
    const me = await home.json('/api/me', { headers: bearing(tokens.get('Operator')) });
    assert.deepEqual(me.body, { id: OBJECT_IDS.Operator, name: 'operator@example.com', kind: 'user', roles: ['Operator'] });
  });

  it('lets who may restore cancel restores, and nothing else', async () => {
    const cancel = (id: string): Promise<Reply> => home.json(`/api/jobs/${id}/cancel`, { method: 'POST', headers: bearing(tokens.get('RestoreOperator')) });
    assert.equal(codeOf(await cancel('restore.r1')), 'JOB_NOT_FOUND');
    for (const id of ['backup.web.20261123T103000000Z', 'scrub.all.1', 'nothing']) assert.equal(codeOf(await cancel(id)), 'FORBIDDEN', id);
  });

  it('answers nothing to pages of other sites: no CORS, not even to a question beforehand', async () => {
    const asked = await home.host.fetch('/api/items', { method: 'OPTIONS', headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' } });
    assert.equal(asked.status, 404);
    assert.deepEqual([...asked.headers.keys()].filter((name) => name.startsWith('access-control')), []);
  });
});

describe('limits of a caller (threat 18)', () => {
  it('are told with the time to wait', async () => {
    const home = await startHome((disks) => addVm(disks, 'web', { os: noise(4096, 1) }), { requestsPerMinute: 10 });
    try {
      assert.equal((await home.json('/api/policies/nothing', { method: 'DELETE' })).status, 404);
      const refused = await home.json('/api/policies');
      assert.deepEqual([refused.status, (refused.body as { code: string }).code, refused.headers.get('retry-after')], [429, 'REQUEST_LIMIT', '6']);
    } finally {
      await home.dispose();
    }
  });
});
