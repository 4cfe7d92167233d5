import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CliHome } from './cli-home';

interface Asked { readonly method: string; readonly url: string; readonly body: unknown; readonly key: string | undefined }

const POINT = 'web01-3f9a2c1d.20261123T010000Z';
const job = (more: object): object => ({
  id: 'restore.r1', kind: 'restore', state: 'running', phase: 'transfer', endedAt: null, recoveryPoint: POINT, progress: { percent: 10, bytesDone: 10, bytesTotal: 100 },
  restored: null, writtenBytes: null, warnings: [], left: [], error: null, ...more,
});
const ended = { state: 'succeeded', phase: 'done', endedAt: '2026-11-23T01:10:00.000Z', writtenBytes: 4096, copiedBytes: 8192, restored: { made: ['/subscriptions/s/disks/back'], oldDisks: ['/subscriptions/s/disks/old'] }, warnings: ['something to know'] };

describe('holdfast restore into Azure, against an app of answers', () => {
  let home: CliHome;
  let server: Server;
  let url: string;
  let asked: Asked[];
  let answers: Record<string, readonly [status: number, body: object][]>;

  beforeEach(async () => {
    home = await CliHome.make();
    home.defaults = { HOLDFAST_TOKEN: 'any' };
    asked = [];
    answers = {};
    server = createServer((request, response) => {
      let text = '';
      request.on('data', (part: Buffer) => { text += part.toString(); });
      request.on('end', () => {
        const key = `${request.method} ${request.url}`;
        asked.push({ method: request.method ?? '', url: request.url ?? '', body: text === '' ? undefined : JSON.parse(text) as unknown, key: request.headers.authorization });
        const list = answers[key] ?? [[404, { code: 'JOB_NOT_FOUND', detail: `nothing at ${key}` }] as const];
        const [status, body] = (list.length > 1 ? (list as [number, object][]).shift() : list[0]) ?? [500, {}];
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    await new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
    await home.remove();
  });

  const start = `POST /api/recovery-points/${POINT}/restores`;
  const accepted: [number, object][] = [[202, { id: 'restore.r1' }]];

  it('asks for each kind of target as it is typed', async () => {
    answers = { [start]: accepted, 'GET /api/jobs/restore.r1': [[200, job(ended)]] };
    const kinds: [string[], object][] = [
      [['--to-disk', 'back', '--disk', 'os', '--resource-group', 'rg', '--location', 'westeurope', '--zone', '2', '--sku', 'Premium_LRS', '--generation', 'V2'], { kind: 'disk', name: 'back', disk: 'os', sku: 'Premium_LRS', hyperVGeneration: 'V2', resourceGroup: 'rg', location: 'westeurope', zone: '2' }],
      [['--to-vm', 'web02', '--subnet', '/s', '--size', 'Standard_B2s', '--disks', 'os, data', '--zone', 'none', '--standard-security'], { kind: 'vm', name: 'web02', network: { subnetId: '/s' }, size: 'Standard_B2s', disks: ['os', 'data'], security: 'standard', zone: null }],
      [['--to-vm', 'web02', '--nic', '/n1', '/n2'], { kind: 'vm', name: 'web02', network: { nicIds: ['/n1', '/n2'] } }],
      [['--in-place'], { kind: 'in-place', keepOldDisks: true }],
      [['--in-place', '--differential'], { kind: 'in-place', keepOldDisks: true, differential: true }],
      [['--in-place', '/vm', '--disk', 'os', '--discard-old-disks'], { kind: 'in-place', vmId: '/vm', disks: ['os'], keepOldDisks: false }],
      [['--to-blob', 'acme/vhds/a/b.vhd', '--disk', '0', '--differential'], { kind: 'page-blob', account: 'acme', container: 'vhds', blob: 'a/b.vhd', disk: '0', differential: true }],
    ];
    for (const [args, target] of kinds) {
      const { code, stderr } = await home.run(['restore', POINT, '--url', url, '--id', 'r1', ...args], { HOLDFAST_TOKEN: 'the-token' });
      assert.equal(code, 0, stderr);
      const request = asked.filter(({ method }) => method === 'POST').at(-1);
      assert.deepEqual([request?.body, request?.key], [{ id: 'r1', target }, 'Bearer the-token']);
    }
  });

  it('follows the job, tells its warnings, and says what was made and kept', async () => {
    answers = { [start]: accepted, 'GET /api/jobs/restore.r1': [[200, job({})], [503, {}], [200, job({ progress: { percent: 60, bytesDone: 60, bytesTotal: 100 } })], [200, job(ended)]] };
    const { code, stdout, stderr } = await home.run(['restore', POINT, '--to-disk', 'back'], { HOLDFAST_URL: url });
    assert.equal(code, 0, stderr);
    assert.match(stdout.toString(), /4.0 KiB written, 8.0 KiB copied by Azure out of the disks that were there, read back and compared\n {2}\/subscriptions\/s\/disks\/back\n {2}kept: \/subscriptions\/s\/disks\/old/);
    assert.match(stderr, /something to know/);
  });

  it('fails as the job failed, with its code, and names what was left behind', async () => {
    const error = { code: 'PACK_DAMAGED', cause: '', message: 'Pack x: broken', remedy: '' };
    answers = { [start]: accepted, 'GET /api/jobs/restore.r1': [[200, job({ ...ended, state: 'failed', restored: null, error, left: ['the blob b is half-written'] })]] };
    const failed = await home.fails(['restore', POINT, '--url', url, '--to-disk', 'back'], 'PACK_DAMAGED', 4);
    assert.match(failed.stderr, /left behind: the blob b is half-written/);
    answers = { [start]: [[409, { code: 'TARGET_EXISTS', detail: 'There is a disk back already' }]] };
    assert.match((await home.fails(['restore', POINT, '--url', url, '--to-disk', 'back'], 'TARGET_EXISTS', 2)).message, /back already/);
  });

  it('is left running by Ctrl-C, and says how to follow and to cancel it', async () => {
    answers = { [start]: accepted, 'GET /api/jobs/restore.r1': [[200, job({})]] };
    const running = home.start(['restore', POINT, '--url', url, '--to-disk', 'back']);
    await running.until('the job was looked at', () => asked.some(({ method }) => method === 'GET'));
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    assert.equal(code, 130);
    assert.match(stderr, /goes on in the app.*--id r1; cancel it with `holdfast restore restore\.r1 --cancel/);
    assert.ok(!asked.some(({ url: path }) => path.endsWith('/cancel')));
    answers = { 'POST /api/jobs/restore.r1/cancel': [[202, { id: 'restore.r1', state: 'cancelling' }]] };
    assert.deepEqual(await home.json(['restore', 'r1', '--cancel', '--url', url]), { id: 'restore.r1', state: 'cancelling' });
  });

  it('takes latest from the app, and shows a plan without starting anything', async () => {
    const plan = { dryRun: true, recoveryPoint: POINT, kind: 'in-place', warnings: ['w'], vm: null, swap: { vm: '/vm', keepOldDisks: true, oldDisks: ['/old'] }, disks: [{ name: 'os', sizeBytes: 1048576, target: { id: '/new', sku: 'Premium_LRS' } }] };
    answers = { 'GET /api/items/web01/recovery-points?limit=1': [[200, { value: [{ id: POINT }], nextLink: '/api/items/web01/recovery-points?limit=1&cursor=eA' }]], [start]: [[200, plan]] };
    const { code, stdout, stderr } = await home.run(['restore', 'latest', '--item', 'web01', '--url', url, '--in-place', '--dry-run']);
    assert.equal(code, 0, stderr);
    assert.match(stdout.toString(), /Would restore .*nothing was made\n {2}os, 1.0 MiB, to \/new \(Premium_LRS\)\n {2}in place in \/vm; kept: \/old/);
    assert.deepEqual(asked.at(-1)?.body, { target: { kind: 'in-place', keepOldDisks: true }, dryRun: true });
    const estimate = { dataBytes: 8 * 1024 ** 3, fromVaultBytes: 1024 ** 2, copiedBytes: 8 * 1024 ** 3 - 1024 ** 2, goingBy: POINT };
    for (const [told, words] of [[estimate, /8.0 GiB of data: about 1.0 MiB from the vault and what changed since web01-3f9a2c1d.20261123T010000Z, about 8.0 GiB copied by Azure/], [{ ...estimate, goingBy: null }, /8.0 GiB of data: 1.0 MiB at most from the vault/]] as const) {
      answers = { [start]: [[200, { ...plan, estimate: told }]] };
      assert.match((await home.run(['restore', POINT, '--url', url, '--in-place', '--differential', '--dry-run'])).stdout.toString(), words);
    }
  });

  it('refuses what makes no sense before it asks anyone', async () => {
    const wrong = [
      ['--to-disk', 'x'], ['--to-disk', 'x', '--to-vm', 'y', '--url', url], ['--to-disk', 'x', '--to', 'file', '--url', url], ['--to-vm', 'x', '--url', url], ['--to-blob', 'x', '--url', url], ['--to-disk', 'x', '--differential', '--url', url],
      ['--to-disk', 'x', '--url', 'http://app.example'], ['--to-disk', 'x', '--url', 'nonsense'], [], ['--to', 'x', '--dry-run'],
    ];
    for (const args of wrong) await home.fails(['restore', POINT, ...args], 'USAGE', 2);
    assert.deepEqual(asked, []);
    await home.fails(['restore', POINT, '--to-disk', 'x', '--url', 'http://127.0.0.1:1'], 'APP_UNREACHABLE', 1);
  });

  it('says of what needs a second person that nothing was done, and who it waits for', async () => {
    answers = { [`DELETE /api/recovery-points/${POINT}`]: [[202, { approval: 'a1', state: 'waiting', expiresAt: '2026-11-26T00:00:00.000Z', location: '/api/approvals/a1' }]] };
    const { message } = await home.fails(['delete', POINT, '--url', url], 'APPROVAL_NEEDED', 1);
    assert.equal(message, 'Nothing was done yet: it waits for another Admin, as the approval a1, until 2026-11-26T00:00:00.000Z');
  });

  it('asks again when the app has enough, and goes to no other address for the next page', async () => {
    answers = { 'GET /api/jobs': [[429, { code: 'REQUEST_LIMIT', detail: 'slowly' }], [200, { value: [], nextLink: null }]] };
    assert.deepEqual(await home.json(['jobs', '--url', url]), []);
    assert.equal(asked.filter((one) => one.url === '/api/jobs').length, 2);
    answers = { 'GET /api/jobs': [[200, { value: [], nextLink: 'https://evil.example/api/jobs' }]] };
    assert.match((await home.fails(['jobs', '--url', url], 'APP_UNREACHABLE', 1)).message, /answered with an address of https:\/\/evil\.example/);
  });
});
