import assert from 'node:assert/strict';
import { request } from 'node:http';
import { createHost, type EmbeddedHost } from '../../../local/host/host';
import { app } from '@azure/functions';

/** What the public port answers to a request with these headers. */
const ask = (host: EmbeddedHost, headers: Record<string, string>): Promise<number | undefined> => new Promise((resolve, reject) => {
  const sent = request(`${host.url.replace('localhost', '127.0.0.1')}/api/ping`, { method: 'POST', headers }, (response) => {
    response.resume();
    resolve(response.statusCode);
  });
  sent.on('error', reject);
  sent.end();
});

describe('embedded host: pages of other sites', () => {
  let host: EmbeddedHost;
  before(async () => {
    host = await createHost({ stateFolder: ':memory:', port: 0, load: () => app.http('ping', { methods: ['POST'], authLevel: 'anonymous', handler: () => ({ status: 204 }) }) });
    await host.start();
  });
  after(() => host.stop());

  it('do not get through to a port that asks for no key', async () => {
    assert.equal(await ask(host, { origin: 'http://evil.example' }), 403);
    assert.equal(await ask(host, { origin: 'null' }), 403);
    assert.equal(await ask(host, { host: 'evil.example' }), 403);
  });

  it('are told from programs on this machine and from pages of the app itself', async () => {
    const { port } = new URL(host.url);
    assert.equal(await ask(host, {}), 204);
    assert.equal(await ask(host, { host: `localhost:${port}` }), 204);
    assert.equal(await ask(host, { host: `localhost:${port}`, origin: `http://localhost:${port}` }), 204);
  });
});
