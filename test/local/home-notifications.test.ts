import assert from 'node:assert/strict';
import { MIB, noise } from '../cli/cli-home';
import { LocalHome } from '../support/local-home';
import { Receiver, SECRET } from '../support/receiver';

describe('notifications of the app on this machine', function () {
  this.timeout(120_000); // Real processes on a machine that may be busy with other things.

  it('fault 45: are told after kill -9 in the middle of a try, under the same id', async () => {
    const home = await LocalHome.make();
    const receiver = await Receiver.start();
    try {
      await home.addDisk('web', 'os.img', noise(MIB, 3));
      await home.quietVault();
      const env = { HOLDFAST_WEBHOOK_SECRETS: JSON.stringify({ ops: { sign: [SECRET] } }) };
      let app = await home.startApp([], env);
      const put = await app.json('/api/notifications', { method: 'PUT', body: JSON.stringify({ targets: [{ name: 'ops', url: receiver.url }] }) });
      assert.equal(put.status, 201, JSON.stringify(put.body));
      const { recoveryPoint } = await app.succeeds((await app.backUp('web')).job);
      receiver.reply = () => 'silence';
      const restore = await app.json(`/api/recovery-points/${recoveryPoint}/restores`, { method: 'POST', body: JSON.stringify({ id: 'back', target: { kind: 'disk', disk: 'web_os', name: 'back' } }) });
      assert.equal(restore.status, 202, JSON.stringify(restore.body));
      await app.until('the receiver was asked', () => receiver.received.length > 0);
      await app.kill();
      receiver.reply = () => ({ status: 200 });
      app = await home.startApp([], env);
      await app.until('it was told again', () => receiver.received.length > 1);
      const [first, second] = receiver.events;
      assert.deepEqual([second?.type, second?.id], ['holdfast.restore.succeeded', first?.id]);
      await app.until('that is written down', async () => (await app.json<{ value: { state: string }[] }>('/api/notifications/deliveries')).body.value[0]?.state === 'delivered');
    } finally {
      await home.dispose();
      await receiver.stop();
    }
  });
});
