import assert from 'node:assert/strict';
import fc from 'fast-check';
import { openApiDocument } from '../../functions/openapi';
import { routes } from '../../functions/routes';
import { assertAsDescribed } from '../support/api-contract';
import { addVm, halfDisk, type Home, HOME_KEY, HOME_START_MS, HOME_TOKEN, startHome } from '../support/home';
import { type JsonSchema, nearly, NONSENSE } from '../support/json-schema-values';
import { everyDay, storePoints } from '../support/retention-kit';

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: 'path' | 'query' | 'header'; readonly schema: JsonSchema }[];
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: JsonSchema } } };
}
const document = openApiDocument(routes) as JsonSchema & { readonly paths: Record<string, Record<string, Operation>> };
/** Of each operation; FUZZ_RUNS for a longer look. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 24);
const POLICY = { schedule: { daily: { at: ['02:00'] } }, items: { all: true }, retention: { keepLast: 3 } };
/** Bodies by operation, for rules that its schema cannot say. */
const EXAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  putPolicy: [POLICY], previewPolicy: [POLICY], forecastPolicy: [POLICY], startBackup: [{}, { policy: 'nightly' }], startMaintenance: [{ dryRun: false }],
  startRestore: [{ target: { kind: 'disk', name: 'back' } }, { dryRun: true, target: { kind: 'in-place' } }, { id: 'one', target: { kind: 'page-blob', account: 'acct', container: 'con', blob: 'b.vhd' } }],
};
/** Half a character cannot be sent. */
const encoded = (text: string): string => encodeURIComponent(Buffer.from(text, 'utf8').toString('utf8'));
const MARKUP = '<img src=x onerror=alert(1)>';

describe('whatever is sent to the HTTP API', function () {
  this.timeout(240_000);
  let home: Home;
  /** Things that are there, so that what is asked gets beyond "there is no such thing". */
  const known: Record<string, string[]> = {};
  /** What must be in no answer. */
  const secrets: string[] = [];
  before(async () => {
    home = await startHome(async (folder) => {
      await addVm(folder, 'web01', { os: halfDisk(2, 1) }, { tags: { note: MARKUP } });
      await addVm(folder, 'db01', { os: 4096 });
    }, { schedulerCron: '0 0 0 1 1 *' });
    const items = await home.list<{ id: string }>('/api/items');
    const ids = await storePoints(home.vault, items[0]?.id ?? '', everyDay(HOME_START_MS - 86_400_000, 3));
    const job = await home.backUp('web01');
    await home.json('/api/policies/nightly', { method: 'PUT', body: JSON.stringify({ description: MARKUP, schedule: { daily: { at: ['02:00'] } }, items: { all: true } }) });
    Object.assign(known, { item: [...items.map(({ id }) => id), 'web01'], id: [...ids, job.id, job.recoveryPoint], name: ['nightly'], code: ['INTERNAL'] });
    for (const secret of [HOME_KEY, home.vault.keys.masterKey]) secrets.push(secret.toString('hex'), secret.toString('base64'), secret.toString('base64url'));
    secrets.push(HOME_TOKEN);
  });
  after(() => home.dispose());

  async function ask(method: string, address: string, init: { headers?: Record<string, string>; body?: string | Uint8Array } = {}): Promise<number> {
    const response = await home.host.fetch(address, { method, ...init, headers: { authorization: `Bearer ${HOME_TOKEN}`, ...init.headers } } as RequestInit);
    const text = await response.text();
    const what = `${method} ${address} ${String(init.body).slice(0, 500)}: ${response.status} ${text.slice(0, 1500)}`;
    assert.ok(response.status < 500, what);
    assert.doesNotMatch(text, /\n\s+at |node_modules|\.[jt]s:\d+|Error: /, `a stack trace: ${what}`);
    for (const secret of secrets) assert.ok(!text.includes(secret), `a secret: ${what}`);
    const type = response.headers.get('content-type') ?? '';
    if (text !== '') {
      assert.match(type, /^application\/(problem\+)?json|^application\/(jsonl|x-ndjson)/, what);
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff', what);
    }
    if (/json(;|$)/.test(type)) assertAsDescribed(method, address, response, text);
    return response.status;
  }

  const garbled = fc.oneof(fc.constantFrom(...NONSENSE.filter((one) => typeof one === 'string' && one !== '')) as fc.Arbitrary<string>, fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }));
  const segment = (name: string): fc.Arbitrary<string> => fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...known[name] ?? ['nothing']).map(encodeURIComponent) },
    { weight: 2, arbitrary: garbled.map((text) => encoded(text)) },
    { weight: 1, arbitrary: fc.constantFrom('%zz', '%ff', '%', '%c0%af', '%2e%2e', '%2e%2e%2fkeys', '.') },
  );
  const queryOf = (parameters: Operation['parameters']): fc.Arbitrary<string> => {
    const given = parameters.filter((one) => one.in === 'query').map(({ name, schema }) => fc.oneof({ weight: 5, arbitrary: nearly(schema, document) }, { weight: 1, arbitrary: fc.constantFrom(...known['item'] ?? ['']) }).map((value) => `${name}=${encoded(String(value))}`));
    const unknown = garbled.map((name) => `${encoded(name)}=1`);
    const parts = fc.oneof({ weight: 4, arbitrary: fc.constant([] as string[]) }, { weight: 4, arbitrary: fc.array(given.length === 0 ? unknown : fc.oneof(...given), { maxLength: 2 }) }, { weight: 1, arbitrary: fc.array(unknown, { maxLength: 1 }) });
    return parts.map((all) => (all.length === 0 ? '' : `?${all.join('&')}`));
  };
  const headersOf = (parameters: Operation['parameters']): fc.Arbitrary<Record<string, string>> => {
    const names = parameters.filter((one) => one.in === 'header').map(({ name }) => name);
    const value = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('"1"', '*', 'W/"2"', '"99999999999"', 'abc', '') }, { weight: 2, arbitrary: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/) }, { weight: 1, arbitrary: fc.stringMatching(/^[\x20-\x7e]{0,80}$/) });
    return fc.tuple(fc.oneof(fc.constant([] as string[]), fc.subarray(names)), value).map(([some, one]) => Object.fromEntries(some.map((name) => [name, one])));
  };
  const bodyOf = ({ operationId, requestBody }: Operation): fc.Arbitrary<string | undefined> => {
    const schema = requestBody?.content['application/json'].schema;
    const meant = schema ? nearly(schema, document, EXAMPLES[operationId]) : fc.oneof({ weight: 5, arbitrary: fc.constantFrom(undefined, {}) }, { weight: 1, arbitrary: fc.constantFrom(...NONSENSE) });
    return fc.oneof(
      { weight: 8, arbitrary: meant.map((value) => JSON.stringify(value) as string | undefined) },
      { weight: 1, arbitrary: fc.constantFrom(undefined, '', '{', 'null', '[1,', '\u0000', '{"a":1}{"b":2}', `${'['.repeat(9_000)}${']'.repeat(9_000)}`) },
    );
  };

  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      it(`${method.toUpperCase()} ${path} answers with what is described, and never with a failure of its own`, async () => {
        const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
        const request = fc.tuple(fc.tuple(...names.map(segment)), queryOf(operation.parameters), headersOf(operation.parameters), method === 'get' ? fc.constant(undefined) : bodyOf(operation));
        const statuses: number[] = [];
        await fc.assert(fc.asyncProperty(request, async ([segments, query, headers, body]) => {
          let next = 0;
          const address = `${path.replace(/\{\w+\}/g, () => segments[next++] as string)}${query}`;
          statuses.push(await ask(method.toUpperCase(), address, { headers, ...(body === undefined ? {} : { body }) }));
        }), { numRuns: RUNS, seed: Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31) });
        assert.ok(statuses.some((status) => status !== 429), 'all of it was turned away unread');
        // So long somebody who was refused again and again is turned away.
        await home.host.advanceTo(home.clock.now() + 11 * 60_000);
      });
    }
  }

  it('threat 16: bodies that are too large, too deep or no text are refused by every route that takes one', async () => {
    for (const { method, path } of routes.filter((route) => route.method !== 'GET')) {
      const address = `/api/${path.replace(/\{(\w+)\}/g, (_, name: string) => known[name]?.[0] ?? 'nothing')}`;
      assert.equal(await ask(method, address, { body: `"${'x'.repeat(70_000)}"` }), 413, address);
      assert.equal(await ask(method, address, { body: `{"a":${'['.repeat(40)}${']'.repeat(40)}}` }), 400, address);
      const noText = await ask(method, address, { body: Buffer.from([0x7b, 0xff, 0xfe, 0x22]) });
      assert.ok(noText >= 400 && noText < 500, address);
      await home.host.advanceTo(home.clock.now() + 11 * 60_000);
    }
  });

  it('threat 15: names with markup come back as JSON text that no browser takes for a page', async () => {
    for (const path of ['/api/items/web01', '/api/policies/nightly', `/api/items/${encodeURIComponent(MARKUP)}`, `/api/policies/${encodeURIComponent(MARKUP)}`, `/api/jobs?state=${encodeURIComponent(MARKUP)}`]) {
      const { headers, text } = await home.json(path);
      assert.match(headers.get('content-type') ?? '', /json/);
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.ok(text.includes(MARKUP) || !text.includes('<'), text);
    }
  });

  it('threat 13: what lies in other subscriptions is refused, and Azure is not even asked for it', async () => {
    const foreign = '/subscriptions/00000000-0000-4000-8000-000000000009/resourceGroups/other/providers/Microsoft.Compute/virtualMachines/foreign';
    assert.equal(await ask('GET', `/api/items/${encodeURIComponent(foreign)}`), 404);
    assert.equal(await ask('POST', `/api/items/${encodeURIComponent(foreign)}/backups`), 404);
    const point = (await home.list<{ id: string }>('/api/items/web01/recovery-points'))[0]?.id ?? '';
    for (const target of [{ kind: 'in-place', vmId: foreign }, { kind: 'disk', name: 'x', subscriptionId: '00000000-0000-4000-8000-000000000009' }, { kind: 'vm', name: 'x', network: { nicIds: [foreign] }, subscriptionId: '00000000-0000-4000-8000-000000000009' }]) {
      for (const dryRun of [true, false]) assert.ok([400, 403].includes(await ask('POST', `/api/recovery-points/${point}/restores`, { body: JSON.stringify({ target, dryRun }) })), JSON.stringify(target));
    }
    assert.ok(home.standIn.calls.all().length > 0);
    assert.deepEqual(home.standIn.calls.all().filter(({ path }) => path.includes('00000000-0000-4000-8000-000000000009')), []);
  });
});
