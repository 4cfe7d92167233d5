import assert from 'node:assert/strict';
import type { ApprovalView } from '../../functions/http-approvals';
import { approvalInstanceId } from '../../orchestrations/names';
import { addVm, halfDisk, HOME_START_MS, type Home, startHome } from '../support/home';
import { Issuer } from '../support/issuer';
import { CliHome } from './cli-home';

describe('holdfast approval', () => {
  let issuer: Issuer;
  let home: Home;
  let cli: CliHome;
  const tokens = new Map<string, string>();

  before(async () => {
    issuer = await Issuer.start(() => HOME_START_MS);
    const exp = Math.floor(HOME_START_MS / 1000) + 86_400 * 365;
    for (const [name, oid] of [['ada', '1'], ['bob', '2']] as const) tokens.set(name, await issuer.token(['Admin'], { claims: { exp, oid: `00000000-0000-4000-8000-00000000000${oid}`, preferred_username: `${name}@example.com` } }));
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { access: { kind: 'bearer', entra: issuer.settings }, token: tokens.get('ada') ?? '', schedulerCron: '0 0 0 1 1 *', host: { port: 0 } });
    cli = await CliHome.make();
  });
  after(async () => {
    await cli.remove();
    await home.dispose();
    await issuer.close();
  });

  const env = (who: string): NodeJS.ProcessEnv => ({ HOLDFAST_TOKEN: tokens.get(who) });
  const said = async (who: string, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cli.run([...args, '--url', home.host.url], env(who));
    assert.equal(code, 0, stderr);
    return stdout.toString();
  };

  it('lists what waits, agrees to it as a second person, and shows what came of it', async () => {
    const put = (path: string, body: object) => home.json(path, { method: 'PUT', body: JSON.stringify(body) });
    assert.equal((await put('/api/policies/p', { schedule: { daily: { at: ['02:00'] } }, items: { all: true }, retention: { keepLast: 3 } })).status, 201);
    assert.equal((await put('/api/approval-rules', { actions: ['policy.disable'], delayMinutes: 30 })).status, 201);
    assert.match(await said('bob', 'approval', 'list'), /^Nothing waits for a second person/);
    const refused = await cli.fails(['policy', 'delete', 'p', '--url', home.host.url], 'APPROVAL_NEEDED', 1, env('ada'));
    const id = String(refused.data['approval']);
    assert.match(await said('bob', 'approval', 'list'), new RegExp(`${id} +waiting +ada@example\\.com +\\S+ +The policy "p" would be gone`));
    await cli.fails(['approval', 'approve', id, '--url', home.host.url], 'APPROVAL_OWN', 1, env('ada'));
    assert.match(await said('bob', 'approval', 'approve', id), /approved by +bob@example\.com, .*\n {2}carried out +not before /);
    await home.host.advanceTo(home.clock.now() + 31 * 60_000);
    await home.host.waitFor(approvalInstanceId(id, 'due'), { until: 'finished' });
    const shown = await cli.json<ApprovalView>(['approval', 'show', id, '--url', home.host.url], env('ada'));
    assert.deepEqual([shown.state, shown.approvedBy?.name], ['done', 'bob@example.com']);
    assert.match(await said('ada', 'approval', 'list'), /^Nothing waits/);
    assert.deepEqual((await cli.json<ApprovalView[]>(['approval', 'list', '--all', '--url', home.host.url], env('ada'))).map(({ state }) => state), ['done']);
    assert.equal((await home.json('/api/policies/p')).status, 404);
    await cli.fails(['approval', 'reject', id, '--url', home.host.url], 'APPROVAL_ENDED', 1, env('bob'));
    await cli.fails(['approval', 'cancel', 'nothing', '--url', home.host.url], 'APPROVAL_NOT_FOUND', 3, env('bob'));
    await cli.fails(['approval', 'list'], 'USAGE', 2);
  });
});
