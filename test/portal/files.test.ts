import assert from 'node:assert/strict';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { PORTAL_HEADERS } from '../../functions/portal';
import { type Home, startHome } from '../support/home';

/** The rules of a Content-Security-Policy by name. */
const directives = (policy: string): Map<string, readonly string[]> => new Map(policy.split(';').map((part) => {
  const [name = '', ...sources] = part.trim().split(/\s+/);
  return [name, sources];
}));

describe('the files of the portal', () => {
  let home: Home;
  before(async () => { home = await startHome(() => Promise.resolve()); });
  after(() => home.dispose());

  const get = (address: string, headers: Record<string, string> = {}): Promise<Response> => home.host.fetch(address, { headers });
  const bytesOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer());

  /** Addresses of the files that the page names. */
  async function named(): Promise<readonly string[]> {
    return [...(await (await get('/')).text()).matchAll(/(?:href|src)="([^"]+)"/g)].map(([, address = '']) => address);
  }

  it('are served at the root, the page without a stay in any cache, the others for ever under a name of their content', async () => {
    const page = await get('/');
    assert.equal(page.status, 200);
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.equal(page.headers.get('cache-control'), 'no-cache');
    const addresses = await named();
    assert.equal(addresses.length, 3, addresses.join(' '));
    for (const address of addresses) {
      assert.match(address, /^\/portal\/[a-z]+-[0-9a-f]{12}\.(js|css|svg)$/);
      const file = await get(address);
      assert.equal(file.status, 200);
      assert.equal(file.headers.get('cache-control'), 'public, max-age=31536000, immutable');
      assert.ok((await bytesOf(file)).length > 0);
    }
  });

  it('are not sent again to who has them', async () => {
    const etag = (await get('/')).headers.get('etag') ?? '';
    assert.match(etag, /^W\/"[0-9a-f]{24}"$/);
    for (const asked of [etag, etag.slice(2), `"other", ${etag}`, '*']) {
      const again = await get('/', { 'if-none-match': asked });
      assert.equal(again.status, 304, asked);
      assert.equal(again.headers.get('etag'), etag);
      assert.equal((await bytesOf(again)).length, 0);
    }
    assert.equal((await get('/', { 'if-none-match': 'W/"other"' })).status, 200);
  });

  it('come compressed as the browser takes it, and are the same either way', async () => {
    for (const address of ['/', ...await named()]) {
      const plain = await get(address);
      const [br, gzip] = [await get(address, { 'accept-encoding': 'gzip, deflate, br' }), await get(address, { 'accept-encoding': 'gzip, br;q=0' })];
      assert.deepEqual([plain, br, gzip].map(({ headers }) => headers.get('content-encoding')), [null, 'br', 'gzip']);
      assert.ok([plain, br, gzip].every(({ headers }) => headers.get('vary') === 'accept-encoding'));
      const whole = await bytesOf(plain);
      const [small, medium] = [await bytesOf(br), await bytesOf(gzip)];
      assert.ok(brotliDecompressSync(small).equals(whole) && gunzipSync(medium).equals(whole), address);
      assert.ok(small.length < whole.length, `${address}: ${small.length} of ${whole.length} bytes`);
    }
  });

  it('let nothing run or load but themselves (threat 15)', async () => {
    for (const address of ['/', ...await named(), '/portal/licences.txt']) {
      const { headers } = await get(address);
      for (const [name, value] of Object.entries(PORTAL_HEADERS)) assert.equal(headers.get(name), value, `${name} of ${address}`);
    }
    const rules = directives(PORTAL_HEADERS['content-security-policy'] ?? '');
    assert.deepEqual(rules.get('default-src'), ["'none'"]);
    assert.deepEqual(rules.get('frame-ancestors'), ["'none'"]);
    assert.deepEqual(rules.get('base-uri'), ["'none'"]);
    assert.deepEqual(rules.get('form-action'), ["'none'"]);
    assert.deepEqual(rules.get('require-trusted-types-for'), ["'script'"]);
    for (const [name, sources] of rules) for (const source of sources) assert.ok(["'none'", "'self'", "'script'"].includes(source), `${name} ${source}`);
    const page = await (await get('/')).text();
    assert.doesNotMatch(page, /<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)/i, 'nothing stands in the page itself');
    assert.doesNotMatch(page, /https?:/, 'nothing comes from elsewhere');
    assert.equal((await get('/', { origin: 'https://elsewhere.example' })).headers.get('access-control-allow-origin'), null);
  });

  it('are these and no others: no path leads out of them', async () => {
    for (const address of ['/portal/none.js', '/portal/..%2f..%2fhost.json', '/portal/%2e%2e%2fapp.js', '/portal/index.html.br', '/portal/', '/index.html', '/x']) {
      const refused = await get(address);
      assert.equal(refused.status, 404, address);
      const text = await refused.text();
      if (text !== '') assert.equal((JSON.parse(text) as { code: string }).code, 'PORTAL_FILE_NOT_FOUND', address);
    }
  });

  it('say whose code is in them', async () => {
    assert.match(await (await get('/portal/licences.txt')).text(), /^preact \d[\s\S]+MIT[\s\S]+uplot \d/);
  });
});
