import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createCourier } from '../../webhooks/courier';
import { parseWebhookSecrets } from '../../webhooks/secrets';
import { addVm, halfDisk, HOME_TOKEN, type Home, startHome } from '../support/home';
import { Receiver, SECRET } from '../support/receiver';
import { CliHome } from './cli-home';

describe('holdfast notification', function () {
  this.timeout(120_000); // Ten commands, each a process of its own.
  let home: Home;
  let cli: CliHome;
  let receiver: Receiver;

  before(async () => {
    receiver = await Receiver.start();
    const courier = createCourier({ secrets: parseWebhookSecrets(JSON.stringify({ ops: { sign: [SECRET] } })), allowLoopback: true, origin: 'home.test' });
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { schedulerCron: '0 0 0 1 1 *', host: { port: 0 }, notifications: { courier } });
    cli = await CliHome.make();
  });
  after(async () => {
    await cli.remove();
    await home.dispose();
    await receiver.stop();
  });

  const env = { HOLDFAST_TOKEN: HOME_TOKEN, HOLDFAST_VAULT: '' };
  const run = async (expected: number, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cli.run(['notification', ...args, '--url', home.host.url], env);
    assert.equal(code, expected, stderr);
    return stdout.toString() + stderr;
  };

  it('stores targets, tries them, and lists what was given up', async () => {
    assert.match(await run(0, 'targets'), /^There are no targets/);
    const file = cli.file('targets.json');
    await writeFile(file, JSON.stringify({ targets: [{ name: 'ops', url: receiver.url }] }));
    assert.match(await run(0, 'put', file), /^Stored 1 target, revision 1\./);
    assert.match(await run(0, 'targets'), /ops +yes +yes +http:\/\/localhost:\d+\/hook +all/);
    assert.match(await run(0, 'test', 'ops'), /^ops has it\./);
    receiver.reply = () => ({ status: 410 });
    assert.match(await run(1, 'test', 'ops'), /ops has it not: the receiver says that it is gone/);
    assert.match(await run(0, 'list'), /^Nobody was told of anything/);
    home.standIn.faults.add({ kind: 'failOperation', code: 'VMAgentNotReady', message: 'no', path: '/restorePoints/' });
    await home.backUp('web01');
    await home.host.runUntilIdle();
    assert.match(await run(4, 'list', '--dead'), /dead +\[Holdfast\] The backup of web01-\w+ failed: SNAPSHOT_FAILED +ops: the receiver says that it is gone/);
    assert.equal((await cli.fails(['notification', 'test', 'nobody', '--url', home.host.url], 'NOTIFICATION_NOT_FOUND', 3, env)).code, 'NOTIFICATION_NOT_FOUND');
    await writeFile(file, '{');
    await cli.fails(['notification', 'put', file, '--url', home.host.url], 'USAGE', 2, env);
    await writeFile(file, JSON.stringify({ targets: [{ name: 'ops', url: 'https://10.0.0.1/' }] }));
    await cli.fails(['notification', 'put', file, '--url', home.host.url], 'NOTIFICATIONS_INVALID', 2, env);
  });
});
