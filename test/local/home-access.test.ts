import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { request as ask } from 'node:http';
import path from 'node:path';
import { fresh, MIB } from '../cli/cli-home';
import { LocalHome } from '../support/local-home';

/** Status of a request with these headers, Host included, which `fetch` does not let one choose. */
function statusOf(url: string, address: string, headers: Readonly<Record<string, string>>, method = 'GET'): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    ask({ hostname, port, path: address, method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).on('error', reject).end();
  });
}

describe('who may use the app on this machine', function () {
  this.timeout(120_000);
  let home: LocalHome;
  beforeEach(async () => { home = await LocalHome.make(); });
  afterEach(() => home.dispose());

  it('is whoever has the token of this start: it is for the owner\'s eyes, another at each start, and gone with the app', async () => {
    await home.addDisk('web', 'os.img', fresh(MIB));
    await home.quietVault();
    const app = await home.startApp();
    const folder = path.join(home.state, 'access');
    const mode = (file: string): number => statSync(file).mode & 0o777;
    assert.deepEqual([mode(folder), mode(path.join(folder, 'token')), mode(path.join(folder, 'url'))], [0o700, 0o600, 0o600]);
    assert.equal((await readFile(path.join(folder, 'token'), 'utf8')).trim(), app.token);
    assert.equal(Buffer.from(app.token, 'base64url').length, 32);
    assert.match(app.output, new RegExp(`open +http://127\\.0\\.0\\.1:\\d+/#token=${app.token}\n`), 'behind a #, where no browser sends it on');

    const port = new URL(app.url).port;
    const [host, authorization] = [`127.0.0.1:${port}`, `Bearer ${app.token}`];
    assert.equal(await statusOf(app.url, '/api/items', { host, authorization }), 200);
    assert.equal(await statusOf(app.url, '/metrics', { host, authorization }), 200);
    for (const address of ['/api/items', '/metrics', '/api/jobs', '/api/items?token=x']) {
      assert.equal(await statusOf(app.url, address, { host }), 401, address);
      assert.equal(await statusOf(app.url, address, { host, authorization: `Bearer ${'A'.repeat(43)}` }), 401, address);
    }
    const foreign: readonly Readonly<Record<string, string>>[] = [{ host: `evil.example:${port}`, authorization }, { host, authorization, origin: 'http://evil.example' }, { host, authorization, origin: 'null' }];
    for (const headers of foreign) {
      for (const method of ['GET', 'POST']) assert.equal(await statusOf(app.url, '/api/items/web/backups', headers, method), 403, JSON.stringify(headers.host));
    }
    assert.equal((await app.json<{ value: unknown[] }>('/api/jobs')).body.value.length, 0, 'nothing was started');

    // A second one that is refused leaves the first one's token alone.
    await home.refused([], 6, /./, /./);
    assert.equal((await readFile(path.join(folder, 'token'), 'utf8')).trim(), app.token);
    assert.equal((await app.json('/api/items')).status, 200);

    assert.equal((await app.interrupt()).code, 0);
    assert.ok(!existsSync(folder));
    const again = await home.startApp();
    assert.notEqual(again.token, app.token);
    assert.equal(await statusOf(again.url, '/api/items', { host: new URL(again.url).host, authorization }), 401, 'the token of the start before');
    for (const file of ['state.json']) assert.ok(!(await readFile(path.join(home.state, 'azure', file), 'utf8')).includes(again.token));
  });
});
