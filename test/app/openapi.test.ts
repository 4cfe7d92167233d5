import assert from 'node:assert/strict';
import { Validator } from '@seriousme/openapi-schema-validator';
import { type Document, OpenAPIClientAxios } from 'openapi-client-axios';
import { ROLES } from '../../access/roles';
import { openApiDocument } from '../../functions/openapi';
import { routes } from '../../functions/routes';
import { assertAsDescribed } from '../support/api-contract';
import { addVm, halfDisk, type Home, HOME_TOKEN, startHome } from '../support/home';

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1, says which role each operation takes, and describes every answer', async () => {
    const document = openApiDocument(routes);
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone(document));
    assert.ok(valid, JSON.stringify(errors));
    assert.equal(validator.version, '3.1');
    const operations = Object.values(document['paths'] as Record<string, Record<string, { operationId: string; security?: unknown[]; 'x-holdfast-role'?: string | string[]; responses: Record<string, { content?: Record<string, { schema: object }> }> }>>).flatMap((path) => Object.values(path));
    assert.deepEqual(operations.map(({ operationId }) => operationId).sort(), routes.map(({ id }) => id).sort());
    for (const { operationId, responses, security, 'x-holdfast-role': role } of operations) {
      assert.ok(security?.length === 0 || (role !== undefined && [role].flat().every((one) => ROLES.some((known) => known === one))), operationId);
      for (const { content } of Object.values(responses)) assert.notDeepEqual(content?.['application/json']?.schema, {}, `${operationId} describes nothing`);
    }
  });

  it('has a parameter for each name in a path, and a name of its own for each route', () => {
    for (const { id, path, params, role, method, action } of routes) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
      assert.equal(params?.safeParse(Object.fromEntries(names.map((name) => [name, 'x']))).success ?? names.length === 0, true, id);
      if (names.length > 0) assert.equal(params?.safeParse({}).success, false, id);
      assert.ok(method === 'GET' || method === 'POST' || action !== undefined, `${id} changes something and has no name for the audit trail`);
      assert.ok(role !== 'public' || method === 'GET', id);
    }
    assert.equal(new Set(routes.map(({ id }) => id)).size, routes.length);
  });

  it('tells an answer that it does not describe', () => {
    const headers = new Headers({ 'content-type': 'application/json', 'x-content-type-options': 'nosniff' });
    const refuses = (body: unknown, told: RegExp, status = 200): void => assert.throws(() => assertAsDescribed('GET', '/api/errors/INTERNAL', { status, headers }, JSON.stringify(body)), told);
    refuses({ code: 'INTERNAL' }, /required property/);
    refuses({ code: 'INTERNAL', title: '', remedy: '', status: 500, exitCode: 1, help: '', secret: 1 }, /additional properties/);
    refuses({}, /no such answer is described/, 204);
    refuses({}, /another type is described/, 404);
    refuses({ help: '/runtime/webhooks/durabletask/instances/x?code=key' }, /an address of the engine is handed out/);
  });
});

describe('a client that is made of the OpenAPI document', () => {
  let home: Home;
  before(async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { host: { port: 0 } });
  });
  after(() => home.dispose());

  it('backs a machine up, follows the job, sees the recovery point, edits a policy by its ETag, and is told an error with the address of its page', async () => {
    const document = await (await fetch(new URL('/api/openapi.json', home.host.url))).json() as Document;
    const api = new OpenAPIClientAxios({ definition: document, axiosConfigDefaults: { baseURL: home.host.url, headers: { authorization: `Bearer ${HOME_TOKEN}` }, validateStatus: () => true } });
    const client = await api.init();
    const call = async (operation: string, parameters: object = {}, body?: unknown, config?: { headers: Record<string, string> }): Promise<{ status: number; data: Record<string, unknown>; headers: Record<string, string> }> =>
      (client as unknown as Record<string, (...all: unknown[]) => Promise<never>>)[operation]?.(parameters, body, config) ?? assert.fail(`the document has no operation ${operation}`);

    const items = (await call('listItems')).data['value'] as { id: string }[];
    const started = await call('startBackup', { item: items[0]?.id });
    assert.equal(started.status, 202);
    await home.host.waitFor(started.data['id'] as string, { until: 'finished' });
    const job = await call('getJob', { id: started.data['id'] });
    assert.equal(job.data['state'], 'succeeded');
    const points = (await call('listRecoveryPoints', { limit: 1, state: 'live' })).data['value'] as { id: string }[];
    assert.deepEqual(points.map(({ id }) => id), [job.data['recoveryPoint']]);

    const policy = { schedule: { daily: { at: ['02:00'] } }, items: { all: true } };
    const created = await call('putPolicy', { name: 'nightly', 'If-None-Match': '*' }, policy);
    assert.deepEqual([created.status, created.headers['etag']], [201, '"1"']);
    assert.equal((await call('putPolicy', { name: 'nightly', 'If-Match': '"1"' }, { ...policy, enabled: false })).status, 200);
    const stale = await call('putPolicy', { name: 'nightly', 'If-Match': '"1"' }, policy);
    assert.deepEqual([stale.status, stale.data['code'], stale.data['type']], [412, 'POLICY_CHANGED', '/api/errors/POLICY_CHANGED']);
    const page = await fetch(new URL(stale.data['type'] as string, home.host.url));
    assert.deepEqual([page.status, (await page.json() as { code: string }).code], [200, 'POLICY_CHANGED']);
    assert.equal((await call('getError', { code: 'toString' })).status, 404);
  });
});
