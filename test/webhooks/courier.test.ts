import assert from 'node:assert/strict';
import { Webhook } from 'standardwebhooks';
import type { Parcel } from '../../activities/courier';
import { isHoldfastError } from '../../errors/holdfast-error';
import { compose } from '../../functions/compose';
import { createCourier, type CourierOptions } from '../../webhooks/courier';
import { isPublic, type Resolve } from '../../webhooks/addresses';
import { parseWebhookSecrets } from '../../webhooks/secrets';
import { type Received, Receiver, SECRET } from '../support/receiver';

const OTHER = `whsec_${Buffer.alloc(24, 9).toString('base64')}`;
const secrets = parseWebhookSecrets(JSON.stringify({ ops: { sign: [SECRET] }, two: { sign: [SECRET, OTHER], query: 'api-version=1&sig=TopSecret' } }));
const courier = (more: Partial<CourierOptions> = {}) => createCourier({ secrets, allowLoopback: true, origin: 'holdfast.example.com', ...more });
const parcel = (url: string, more: Partial<Parcel> = {}): Parcel => ({ target: 'ops', url, id: 'a'.repeat(32), body: '{"specversion":"1.0","text":"ü"}', handshake: false, nowMs: Date.now(), ...more });

describe('the courier of notifications', () => {
  let receiver: Receiver;
  afterEach(() => receiver?.stop());

  it('signs as Standard Webhooks does, by its reference library, and with each key while keys are exchanged', async () => {
    receiver = await Receiver.start('https');
    assert.deepEqual(await courier().send(parcel(receiver.url)), { outcome: 'delivered', status: 204, reason: 'delivered', retryAfterMs: null });
    assert.equal((await courier().send(parcel(receiver.url, { target: 'two' }))).outcome, 'delivered');
    const [one, two] = receiver.received;
    assert.equal(one?.headers['content-type'], 'application/cloudevents+json; charset=utf-8');
    const headers = (of: Received | undefined): Record<string, string> => of?.headers as Record<string, string>;
    new Webhook(SECRET).verify(one?.body ?? '', headers(one));
    for (const key of [SECRET, OTHER]) new Webhook(key).verify(two?.body ?? '', headers(two));
    assert.throws(() => new Webhook(OTHER).verify(one?.body ?? '', headers(one)), /signature/i);
    assert.throws(() => new Webhook(SECRET).verify(`${one?.body ?? ''} `, headers(one)), /signature/i);
    assert.throws(() => new Webhook(SECRET).verify(one?.body ?? '', { ...headers(one), 'webhook-id': 'b'.repeat(32) }), /signature/i);
    assert.equal(two?.url, '/hook?api-version=1&sig=TopSecret', 'the query comes from the secrets');
  });

  it('says what became of a try, and follows nothing', async () => {
    receiver = await Receiver.start();
    const answers: Record<number, Record<string, string>> = { 301: { location: 'http://localhost:1/elsewhere' }, 307: { location: receiver.url }, 410: {}, 429: { 'retry-after': '120' }, 500: {}, 503: { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' } };
    const outcomes: unknown[] = [];
    for (const [status, headers] of Object.entries(answers)) {
      receiver.reply = () => ({ status: Number(status), headers });
      const { outcome, retryAfterMs, reason } = await courier().send(parcel(receiver.url));
      outcomes.push([status, outcome, retryAfterMs]);
      assert.ok(reason.length > 5 && !reason.includes('TopSecret'), reason);
    }
    assert.deepEqual(outcomes, [['301', 'retry', null], ['307', 'retry', null], ['410', 'dead', null], ['429', 'retry', 120_000], ['500', 'retry', null], ['503', 'retry', null]]);
    assert.equal(receiver.received.length, 6, 'each asked once');
    const unknown = await courier().send(parcel(receiver.url, { target: 'nobody' }));
    assert.deepEqual([unknown.outcome, unknown.reason], ['retry', 'HOLDFAST_WEBHOOK_SECRETS has no secret for this target']);
  });

  it('gives a receiver up that does not answer in time, and one that cannot be reached', async () => {
    receiver = await Receiver.start();
    receiver.reply = () => 'silence';
    const slow = await courier({ timeoutMs: 300 }).send(parcel(receiver.url));
    assert.deepEqual([slow.outcome, slow.reason], ['retry', 'no answer within 0.3 s']);
    const hung = await courier({ timeoutMs: 300, resolve: () => new Promise(() => undefined) }).send(parcel('https://hooks.example.com/x'));
    assert.deepEqual([hung.outcome, hung.reason], ['retry', 'no answer within 0.3 s'], 'a name that is never resolved');
    await receiver.stop();
    assert.equal((await courier().send(parcel(receiver.url))).outcome, 'retry');
  });

  it('takes an answer of any length without holding it', async () => {
    receiver = await Receiver.start();
    receiver.reply = () => ({ status: 200, body: 'x'.repeat(2 ** 20) });
    assert.equal((await courier().send(parcel(receiver.url))).outcome, 'delivered');
  });

  it('asks for consent where the target wants that, once a day, and sends nothing without', async () => {
    receiver = await Receiver.start();
    let allowed = 'other.example.com';
    receiver.reply = ({ method }) => (method === 'OPTIONS' ? { status: 200, headers: { 'webhook-allowed-origin': allowed } } : { status: 200 });
    const one = courier();
    const nowMs = Date.now();
    assert.equal((await one.send(parcel(receiver.url, { handshake: true }))).outcome, 'retry');
    allowed = 'HOLDFAST.example.com';
    assert.equal((await one.send(parcel(receiver.url, { handshake: true, nowMs }))).outcome, 'delivered');
    assert.equal((await one.send(parcel(receiver.url, { handshake: true, nowMs: nowMs + 3_600_000 }))).outcome, 'delivered');
    assert.equal((await one.send(parcel(receiver.url, { handshake: true, nowMs: nowMs + 25 * 3_600_000 }))).outcome, 'delivered');
    assert.deepEqual(receiver.received.map(({ method }) => method), ['OPTIONS', 'OPTIONS', 'POST', 'POST', 'OPTIONS', 'POST']);
    assert.equal(receiver.received[0]?.headers['webhook-request-origin'], 'holdfast.example.com');
  });

  const inAzure = (resolve?: Resolve) => courier({ allowLoopback: false, ...(resolve ? { resolve } : {}) });

  it('threat 13: takes no address but https ones of the internet', () => {
    for (const wrong of [
      'http://hooks.example.com/x', 'ftp://hooks.example.com/', 'file:///etc/passwd', 'https://user:pw@hooks.example.com/', 'https://hooks.example.com/?sig=TopSecret', 'https://hooks.example.com/#x', 'hooks', '',
      'https://127.0.0.1/', 'https://localhost/', 'https://[::1]/', 'https://10.1.2.3/', 'https://169.254.169.254/metadata/identity', 'https://168.63.129.16/', 'https://2130706433/', 'https://0x7f.1/', 'https://[::ffff:10.0.0.1]/', 'https://[fd00::1]/', 'https://0/',
    ]) {
      assert.throws(() => inAzure().requireAddress(wrong), (error) => isHoldfastError(error, 'NOTIFICATIONS_INVALID') && !/TopSecret|pw@/.test(error.message), wrong);
    }
    for (const right of ['https://hooks.example.com/a/b', 'https://hooks.example.com:8443/', 'https://93.184.215.14/']) inAzure().requireAddress(right);
    for (const here of ['http://localhost:8080/x', 'http://127.0.0.1/', 'https://[::1]:1/']) courier().requireAddress(here);
    assert.throws(() => courier().requireAddress('http://192.168.1.5/'), /expects an https address/);
  });

  it('threat 13: connects to nothing that a name stands for within a network, whatever else it stands for', async () => {
    for (const address of ['10.0.0.5', '127.0.0.1', '169.254.169.254', '168.63.129.16', '100.64.0.1', '192.168.0.9', '0.0.0.0', '::1', 'fe80::1', 'fd00::5', '::ffff:10.0.0.5', '64:ff9b::a00:5', '2002:a00:5::1']) {
      const resolve: Resolve = () => Promise.resolve([{ address: '93.184.215.14', family: 4 }, { address, family: address.includes(':') ? 6 : 4 }]);
      const { outcome, reason } = await inAzure(resolve).send(parcel('https://hooks.example.com/x'));
      assert.equal(outcome, 'dead', address);
      assert.match(reason, /no address of the internet/);
    }
    for (const address of ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c', '1.1.1.1']) assert.ok(isPublic(address), address);
  });

  it('threat 13: connects to what was looked at, though the name stands for something else a moment later', async () => {
    receiver = await Receiver.start();
    let asked = 0;
    const resolve: Resolve = () => Promise.resolve([asked++ === 0 ? { address: '127.0.0.1', family: 4 } : { address: '10.0.0.5', family: 4 }]);
    assert.equal((await courier({ resolve }).send(parcel(receiver.url))).outcome, 'delivered');
    assert.equal(asked, 1);
  });
});

describe('the secrets of webhooks', () => {
  it('are none where there are none, or where the platform could not follow a reference: backups do not stop for that', () => {
    for (const text of ['', '@Microsoft.KeyVault(SecretUri=https://acme.vault.azure.net/secrets/webhooks)']) {
      assert.equal(parseWebhookSecrets(text).size, 0);
      const { notifications } = compose({ HOLDFAST_VAULT: '/vault', AZURE_SUBSCRIPTION_IDS: '0f0e0d0c-1111-2222-3333-444455556666', HOLDFAST_WEBHOOK_SECRETS: text });
      assert.equal(notifications.courier.hasSecret('ops'), false);
    }
  });

  it('are refused in words that say what is wrong and nothing of what they hold', () => {
    const wrong = ['TopSecret', '[]', '{"ops":"TopSecret"}', '{"ops":{"sign":["whsec_TopSecret"]}}', '{"ops":{"sign":[]}}', `{"OPS":{"sign":["${SECRET}"]}}`, `{"ops":{"sign":["${SECRET}"],"key":"TopSecret"}}`, `{"ops":{"sign":["${SECRET}"],"query":"?TopSecret"}}`];
    for (const text of wrong) assert.throws(() => parseWebhookSecrets(text), (error: Error) => /expects/.test(error.message) && !/TopSecret/.test(error.message), text);
  });
});
