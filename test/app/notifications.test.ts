import assert from 'node:assert/strict';
import { type CloudEvent, HTTP } from 'cloudevents';
import { Webhook } from 'standardwebhooks';
import { type Attributes, silentTelemetry, type Telemetry } from '../../activities/telemetry';
import { rulesSchema, saveRules } from '../../activities/approval-rules';
import { savePolicy } from '../../activities/policy-store';
import { parsePolicy } from '../../policy/schema';
import { openRun } from '../../vault/run';
import { keyFileProvider } from '../../vault/keys/key-providers';
import { createCourier } from '../../webhooks/courier';
import { parseWebhookSecrets } from '../../webhooks/secrets';
import { MAINTAIN_INSTANCE_ID } from '../../orchestrations/names';
import { addVm, halfDisk, type Home, type HomeOptions, startHome } from '../support/home';
import { createFaultStore, type FaultStore } from '../support/fault-store';
import { Receiver, SECRET } from '../support/receiver';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NEVER = '0 0 0 1 1 *';

interface DeliveryView { readonly id: string; readonly type: string; readonly state: string; readonly nextAt: string | null; readonly targets: readonly { readonly target: string; readonly state: string; readonly attempts: number; readonly status: number | null }[] }

describe('notifications', () => {
  let home: Home;
  let receiver: Receiver;
  let told: Attributes[];
  afterEach(async () => {
    await home?.dispose();
    await receiver?.stop();
  });

  async function start(options: HomeOptions = {}, targets: object[] = [{}]): Promise<void> {
    told = [];
    receiver = await Receiver.start();
    const telemetry: Telemetry = { ...silentTelemetry, event: (name, attributes) => { if (name === 'holdfast.notification') told.push(attributes); } };
    const secrets = parseWebhookSecrets(JSON.stringify({ ops: { sign: [SECRET], query: 'sig=TopSecret' }, second: { sign: [SECRET] } }));
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), {
      schedulerCron: NEVER, telemetry, notifications: { courier: createCourier({ secrets, allowLoopback: true, origin: 'home.test' }) }, ...options,
    });
    if (targets.length > 0) await put({ targets: targets.map((target) => ({ name: 'ops', url: receiver.url, ...target })) });
  }
  async function put(document: object, headers: Record<string, string> = {}): Promise<{ status: number; code: string | undefined; text: string }> {
    const { status, body, text } = await home.json('/api/notifications', { method: 'PUT', body: JSON.stringify(document), headers });
    return { status, code: (body as { code?: string }).code, text };
  }
  const idle = (): Promise<unknown> => home.host.runUntilIdle();
  const deliveries = async (query = ''): Promise<readonly DeliveryView[]> => ((await home.json(`/api/notifications/deliveries${query}`)).body as { value: DeliveryView[] }).value;
  const types = (): string[] => receiver.events.map(({ type }) => type);
  const failNext = (): void => {
    home.standIn.faults.add({ kind: 'failOperation', code: 'VMAgentNotReady', message: 'The VM agent does not answer.\r\nBcc: all@example.com', path: '/restorePoints/' });
  };

  it('tell of a failed backup and of the first one that succeeds after it, as CloudEvents that a mail can be made of', async () => {
    await start();
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    await idle();
    assert.deepEqual(types(), [], 'nothing to tell of the first one');
    failNext();
    const failed = await home.backUp('web01');
    await idle();
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    await idle();
    assert.deepEqual(types(), ['holdfast.backup.failed', 'holdfast.backup.recovered']);
    const [first] = receiver.received;
    const event = HTTP.toEvent<Record<string, string>>({ headers: { ...first?.headers }, body: first?.body }) as CloudEvent<Record<string, string>>;
    assert.ok(event.validate(), 'by the reference library');
    assert.deepEqual([event.specversion, event.source, event.subject, event.datacontenttype], ['1.0', `urn:holdfast:vault:${home.vault.keys.vaultId.toString('hex')}`, failed.itemId, 'application/json']);
    assert.deepEqual([event.data?.['code'], event.data?.['severity'], event.data?.['job']], ['SNAPSHOT_FAILED', 'error', failed.id]);
    assert.match(event.data?.['subject'] ?? '', /^\[Holdfast\] The backup of web01-\w+ failed: SNAPSHOT_FAILED$/);
    assert.match(event.data?.['text'] ?? '', /What happened: .*VM agent does not answer\. Bcc: all@example\.com.*\nCode: SNAPSHOT_FAILED\nWhat to do: .+\nMore: docs\/troubleshooting\.md#snapshot_failed\n/, 'a message of others begins no line of its own');
    const headers = first?.headers as Record<string, string>;
    assert.equal(headers['webhook-id'], event.id);
    assert.equal(headers['webhook-signature'], new Webhook(SECRET).sign(event.id, new Date(Number(headers['webhook-timestamp']) * 1000), first?.body ?? ''));
    assert.deepEqual((await deliveries()).map(({ type, state }) => [type, state]), [['holdfast.backup.recovered', 'delivered'], ['holdfast.backup.failed', 'delivered']]);
    assert.equal(told.filter(({ outcome }) => outcome === 'delivered').length, 2);
  });

  it('are tried again over hours, with the same id each time, and not at a target that has them', async () => {
    await start({}, [{}, { name: 'second', events: ['holdfast.backup.failed'] }, { name: 'second-off', enabled: false }].slice(0, 2));
    let refusals = 0;
    receiver.reply = ({ headers }, index) => (index === 0 || (refusals < 3 && headers['webhook-signature'] !== undefined && ++refusals <= 3) ? { status: 503 } : { status: 200 });
    failNext();
    await home.backUp('web01');
    await home.host.advanceTo(home.clock.now() + 2 * 60_000);
    const [open] = await deliveries('?state=open');
    assert.ok(open && open.nextAt !== null, JSON.stringify(open));
    assert.deepEqual(open.targets.map(({ state }) => state), ['open', 'open']);
    await home.host.advanceTo(home.clock.now() + DAY_MS);
    assert.equal(new Set(receiver.events.map(({ id }) => id)).size, 1, 'a receiver can drop what it has');
    const [done] = await deliveries();
    assert.equal(done?.state, 'delivered');
    assert.equal(receiver.received.length, done?.targets.reduce((sum, { attempts }) => sum + attempts, 0));
    const seconds = receiver.received.map(({ headers }) => Number(headers['webhook-timestamp']));
    assert.ok((seconds.at(-1) ?? 0) - (seconds[0] ?? 0) >= 300, 'minutes lie between');
  });

  it('are given up when a receiver is gone, or after most of a day, and that is seen', async () => {
    await start();
    receiver.reply = () => ({ status: 410 });
    failNext();
    await home.backUp('web01');
    await idle();
    assert.equal(receiver.received.length, 1);
    receiver.reply = () => ({ status: 500 });
    failNext();
    await home.backUp('web01');
    await home.host.advanceTo(home.clock.now() + DAY_MS);
    assert.equal(receiver.received.length, 1 + 7);
    const dead = await deliveries('?state=dead');
    assert.deepEqual(dead.map(({ targets }) => targets.map(({ target, state, attempts, status }) => [target, state, attempts, status])), [[['ops', 'dead', 7, 500]], [['ops', 'dead', 1, 410]]]);
    assert.deepEqual(told.map(({ outcome, dead: at }) => [outcome, at]), [['dead', 'ops'], ['dead', 'ops']]);
    const one = await home.json(`/api/notifications/deliveries/${dead[0]?.id ?? ''}`);
    assert.equal((one.body as { event: { type: string } }).event.type, 'holdfast.backup.failed');
    assert.equal(receiver.received[0]?.url, '/hook?sig=TopSecret');
    const said = [one.text, ...home.logs, JSON.stringify(told), JSON.stringify(home.host.client.find(`tell.${dead[0]?.id ?? ''}`))].join();
    assert.ok(said.includes('500') && !said.includes('TopSecret') && !said.includes(SECRET.slice(6)), 'no secret is anywhere but in what is sent');
    assert.deepEqual((await home.json('/api/notifications/deliveries/nothing')).status, 404);
  });

  it('wait for a receiver as long as it asks', async () => {
    await start();
    receiver.reply = (_request, index) => (index === 0 ? { status: 429, headers: { 'retry-after': '7200' } } : { status: 200 });
    failNext();
    await home.backUp('web01');
    await home.host.advanceTo(home.clock.now() + HOUR_MS);
    assert.equal(receiver.received.length, 1);
    await home.host.advanceTo(home.clock.now() + 2 * HOUR_MS);
    assert.equal(receiver.received.length, 2);
  });

  it('tell of an overdue item at once and then each day, however often it is looked at', async () => {
    await start();
    await savePolicy(home.vault.store, parsePolicy({ name: 'daily', schedule: { daily: { at: ['01:00'] } }, items: { all: true } }), 0);
    await home.backUp('web01');
    await home.host.advanceTo(home.clock.now() + 2.5 * DAY_MS);
    for (let hour = 0; hour < 30; hour++) {
      await home.host.runTimer('watcher');
      await home.host.runTimer('notifier');
      await home.host.advanceTo(home.clock.now() + HOUR_MS);
    }
    assert.deepEqual(types(), ['holdfast.item.overdue', 'holdfast.item.overdue']);
    assert.match(receiver.events[0]?.data.subject ?? '', /web01 is overdue: its newest recovery point is [\d.]+ h old/);
  });

  it('tell of a key that failed its test and of a refused collection apart, and of a restore', async () => {
    await start();
    const job = await home.backUp('web01');
    const restored = await home.json(`/api/recovery-points/${job.recoveryPoint ?? ''}/restores`, { method: 'POST', body: JSON.stringify({ id: 'r1', target: { kind: 'disk', disk: 'web01_os', name: 'back' } }) });
    assert.equal(restored.status, 202, restored.text);
    await home.host.advanceTo(home.clock.now() + HOUR_MS);
    assert.deepEqual(types(), ['holdfast.restore.succeeded']);
    Object.assign(home.services.others.maintenance, { keys: () => Promise.resolve([{ provider: keyFileProvider(Buffer.alloc(32, 9)), identityOf: ['maintenance'] }]) });
    await home.vault.store.delete(`recovery-points/${job.itemId}/${job.recoveryPoint?.slice(job.itemId.length + 1) ?? ''}`);
    assert.equal((await home.json('/api/vault/maintenance', { method: 'POST', body: '{"dryRun":false}' })).status, 202);
    await home.host.waitFor(MAINTAIN_INSTANCE_ID, { until: 'finished' });
    await idle();
    assert.deepEqual(receiver.events.slice(1).map(({ type, data }) => [type, data['severity'], data['code']]), [['holdfast.key.failed', 'critical', 'KEY_TEST_FAILED'], ['holdfast.collection.refused', 'warning', 'COLLECTION_REFUSED']]);
  });

  it('fault 35: tell of a run whose workflow was lost with its task hub', async () => {
    await start();
    const { itemId } = await home.backUp('web01');
    await openRun(home.vault, { itemId, stamp: '20270101T000000Z', slot: null, owner: `backup.${itemId}.20270101T000000Z`, app: 'home', policy: null, nowMs: home.clock.now(), maxRunMs: DAY_MS });
    await home.host.advanceTo(home.clock.now() + HOUR_MS);
    for (const timer of ['reconciler', 'notifier']) {
      await home.host.runTimer(timer);
      await idle();
    }
    assert.deepEqual(receiver.events.map(({ type, data }) => [type, data['code'], data['item']]), [['holdfast.backup.failed', 'RUN_ABANDONED', itemId]]);
  });

  it('tell of an approval that is needed, also when whoever asked for it could not write that down', async () => {
    let faults: FaultStore | undefined;
    await start({ wrapStore: (store) => (faults ??= createFaultStore(store)) });
    await saveRules(home.vault.store, rulesSchema.parse({ actions: ['recovery-point.delete'] }), 0);
    const points = [await home.backUp('web01'), await home.backUp('web01')].map(({ recoveryPoint }) => recoveryPoint ?? '');
    for (const point of points) {
      if (point === points[1]) faults?.plan({ operation: 'create', matching: /^notices\/events\//, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
      const asked = await home.json(`/api/recovery-points/${point}`, { method: 'DELETE' });
      assert.equal(asked.status, 202, asked.text);
      for (let minute = 0; minute < 2; minute++) {
        await home.host.runTimer('notifier');
        await home.host.settle();
      }
    }
    faults?.assertAllFired();
    assert.deepEqual(types(), ['holdfast.approval.needed', 'holdfast.approval.needed']);
    assert.match(receiver.events[0]?.data.text ?? '', /What: .+\nAction: recovery-point\.delete\nUntil: 20/);
  });

  it('are begun by the timer where nobody else did, once', async () => {
    await start();
    receiver.reply = () => ({ status: 500 });
    failNext();
    await home.backUp('web01');
    await home.host.advanceTo(home.clock.now() + 60_000);
    const [open] = await deliveries();
    home.host.client.terminate(`tell.${open?.id ?? ''}`, 'lost');
    await idle();
    receiver.reply = () => ({ status: 200 });
    for (let minute = 0; minute < 3; minute++) {
      await home.host.runTimer('notifier');
      await idle();
    }
    assert.equal((await deliveries())[0]?.state, 'delivered');
    assert.equal(receiver.received.filter(({ body }) => body.includes('backup.failed')).length, receiver.received.length);
    assert.equal(told.length, 1);
  });

  it('are written down through an outage of the vault, which the job does not wait for', async () => {
    let faults: FaultStore | undefined;
    await start({ wrapStore: (store) => (faults ??= createFaultStore(store)) });
    faults?.plan({ operation: 'create', matching: /^notices\/events\//, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' }, times: 8 });
    failNext();
    assert.equal((await home.backUp('web01')).state, 'failed');
    assert.deepEqual(types(), []);
    await home.host.advanceTo(home.clock.now() + 3 * HOUR_MS);
    assert.deepEqual(types(), ['holdfast.backup.failed']);
    faults?.assertAllFired();
  });

  it('cost nothing where nobody is to be told', async () => {
    await start({}, []);
    failNext();
    await home.backUp('web01');
    await home.host.runTimer('notifier');
    await idle();
    assert.deepEqual([receiver.received.length, (await deliveries()).length], [0, 0]);
    const names: string[] = [];
    for await (const { name } of home.vault.store.list('notices/')) names.push(name);
    assert.deepEqual(names, []);
  });

  it('go only where an Admin put them: wrong documents are refused, field by field', async () => {
    await start();
    const wrong: [object, RegExp][] = [
      [{ targets: [{ name: 'ops', url: 'https://10.0.0.5/x' }] }, /ops: .*10\.0\.0\.5 is no address of the internet/], [{ targets: [{ name: 'ops', url: 'http://example.com/x' }] }, /expects an https address/],
      [{ targets: [{ name: 'ops', url: 'https://example.com/x?sig=TopSecret' }] }, /HOLDFAST_WEBHOOK_SECRETS/], [{ targets: [{ name: 'other', url: 'https://example.com/' }] }, /other: the setting HOLDFAST_WEBHOOK_SECRETS has no secret/],
      [{ targets: [{ name: 'ops', url: receiver.url }, { name: 'ops', url: receiver.url }] }, /each name once/], [{ targets: [{ name: 'ops', url: receiver.url, events: ['all'] }] }, /events/], [{ target: [] }, /targets/],
    ];
    for (const [document, message] of wrong) {
      const { status, code, text } = await put(document);
      assert.deepEqual([status, code], [400, 'NOTIFICATIONS_INVALID'], text);
      assert.match(text, message);
      assert.doesNotMatch(text, /TopSecret/);
    }
    assert.equal((await put({ targets: [] }, { 'if-match': '"7"' })).code, 'NOTIFICATIONS_CHANGED');
    const { headers, body } = await home.json('/api/notifications');
    assert.deepEqual([headers.get('etag'), (body as { targets: { secret: boolean }[] }).targets[0]?.secret], ['"1"', true]);
    assert.equal((await put({ targets: [] }, { 'if-match': '"1"' })).status, 200);
  });

  it('can be tried out, and say what came of it', async () => {
    await start();
    const test = async (target: string) => (await home.json('/api/notifications/test', { method: 'POST', body: JSON.stringify({ target }) })).body as { delivered?: boolean; status?: number; reason?: string; code?: string };
    assert.equal((await test('ops')).delivered, true);
    assert.deepEqual(types(), ['holdfast.test']);
    receiver.reply = () => ({ status: 302, headers: { location: 'http://169.254.169.254/' } });
    assert.deepEqual({ ...await test('ops'), id: '' }, { target: 'ops', id: '', delivered: false, status: 302, reason: 'the receiver points elsewhere, which is not followed' });
    assert.equal((await test('nobody')).code, 'NOTIFICATION_NOT_FOUND');
  });
});
