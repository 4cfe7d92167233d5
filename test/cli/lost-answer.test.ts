import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AppClient } from '../../cli/app-client';
import { isHoldfastError } from '../../errors/holdfast-error';

describe('a request of the command line whose answer is lost', () => {
  let server: Server;
  let asked: IncomingHttpHeaders[];
  /** What the app does with each request: loses its answer, or gives one. */
  let answers: ('lost' | [status: number, body: object])[];
  const token = process.env['HOLDFAST_TOKEN'];
  const client = (): AppClient => new AppClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, undefined);

  beforeEach(async () => {
    [asked, answers] = [[], []];
    process.env['HOLDFAST_TOKEN'] = 'token-of-a-test-0123456789';
    server = createServer((request, response) => {
      asked.push(request.headers);
      const answer = answers.shift() ?? 'lost';
      if (answer === 'lost') request.socket.destroy();
      else response.writeHead(answer[0], { 'content-type': 'application/json' }).end(JSON.stringify(answer[1]));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    if (token === undefined) delete process.env['HOLDFAST_TOKEN'];
    else process.env['HOLDFAST_TOKEN'] = token;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('is repeated with the same key where it starts something, also while the first one is still being carried out; another request has another key', async () => {
    answers = ['lost', [409, { code: 'REQUEST_IN_PROGRESS', detail: '' }], [202, { id: 'job' }], [202, { id: 'other' }]];
    assert.deepEqual(await client().send('POST', '/api/items/web/backups'), { id: 'job' });
    assert.deepEqual(await client().send('POST', '/api/items/web/backups'), { id: 'other' });
    const keys = asked.map((headers) => headers['idempotency-key']);
    assert.equal(keys.length, 4);
    assert.match(String(keys[0]), /^[A-Za-z0-9_-]{1,64}$/);
    assert.deepEqual([new Set(keys.slice(0, 3)).size, new Set(keys).size], [1, 2]);
  });

  it('is not repeated where that could do something twice, nor where the answer was another', async () => {
    await assert.rejects(client().send('PUT', '/api/prices', {}), (error) => isHoldfastError(error, 'APP_UNREACHABLE'));
    answers = [[409, { code: 'MAINTENANCE_RUNNING', detail: 'x' }]];
    await assert.rejects(client().send('POST', '/api/vault/maintenance', {}), (error) => isHoldfastError(error, 'MAINTENANCE_RUNNING'));
    assert.deepEqual(asked.map((headers) => headers['idempotency-key'] === undefined), [true, false]);
  });
});
