import assert from 'node:assert/strict';
import { emulatorKey } from '../../../azure/blob/blob-access';
import { openBlobStore } from '../../../azure/blob/blob-store';
import type { ErrorCode } from '../../../errors/catalogue';
import { isHoldfastError } from '../../../errors/holdfast-error';
import type { Store } from '../../../vault/store/store';
import { type FakeWormBlobs, startFakeWormBlobs } from '../../support/fake-worm-blobs';
import { storeContract } from '../../support/store-contract';

const DAY_MS = 86_400_000;
const hasCode = (code: ErrorCode) => (error: unknown): boolean => isHoldfastError(error, code);

const openOn = (service: FakeWormBlobs, tries = 2): Promise<Store> => openBlobStore({
  containerUrl: service.containerUrl, sharedKey: { accountName: 'devstoreaccount1', accountKey: emulatorKey }, pageSize: 150, retry: { tries, sleep: () => Promise.resolve() },
});

// The real adapter over a socket, against the rules of version-level immutability, which Azurite does not have.
storeContract('blob under version-level immutability', async () => {
  const service = await startFakeWormBlobs(30 * DAY_MS);
  return { store: await openOn(service), reopen: () => openOn(service), expire: () => service.advance(500 * DAY_MS), dispose: () => service.close() };
}, { worm: true, manyNames: 400 });

describe('immutability of blobs', () => {
  let service: FakeWormBlobs;
  let store: Store;
  const retention = () => store.retention ?? assert.fail('no retention');

  beforeEach(async () => {
    service = await startFakeWormBlobs(30 * DAY_MS);
    store = await openOn(service);
  });
  afterEach(() => service.close());

  it('fault 39: asks once for a delete that is refused, and never again by itself', async () => {
    await store.create('a', Buffer.from('x'));
    await assert.rejects(store.delete('a'), hasCode('STORE_IMMUTABLE'));
    assert.equal(service.log.filter((line) => line.startsWith('DELETE')).length, 1);
  });

  it('says that an object is held even when it cannot say until when', async () => {
    await store.create('a', Buffer.from('x'));
    const blind = await openOn({ ...service, containerUrl: service.containerUrl }, 1);
    service.hideProperties(true);
    await assert.rejects(blind.delete('a'), (error) => isHoldfastError(error, 'STORE_IMMUTABLE') && error.data['untilMs'] === null);
  });

  it('keeps the mode of the policy, locked or not, and asks for whole seconds, rounded up', async () => {
    await store.create('locked', Buffer.from('x'));
    service.setDefault({ holdMs: DAY_MS, mode: 'Unlocked' });
    await store.create('unlocked', Buffer.from('x'));
    service.setDefault(null);
    await store.create('none', Buffer.from('x'));
    assert.equal(await retention().until('none'), null);
    const untilMs = (await store.serverTimeMs()) + 90 * DAY_MS;
    for (const name of ['locked', 'unlocked', 'none']) assert.equal(await retention().extend(name, untilMs - 500), untilMs, name);
    assert.deepEqual(service.requests.filter(({ query }) => query.get('comp') === 'immutabilityPolicies').map(({ headers }) => String(headers['x-ms-immutability-policy-mode']).toLowerCase()), ['locked', 'unlocked', 'unlocked']);
    await assert.rejects(store.delete('none'), hasCode('STORE_IMMUTABLE'));
  });

  it('sends nothing when the object is held for long enough', async () => {
    await store.create('a', Buffer.from('x'));
    await retention().extend('a', (await store.serverTimeMs()) + DAY_MS);
    assert.ok(!service.requests.some(({ query }) => query.get('comp') === 'immutabilityPolicies'));
  });

  it('tells an identity that may not hold objects apart', async () => {
    await store.create('a', Buffer.from('x'));
    service.denyExtending(true);
    await assert.rejects(retention().extend('a', (await store.serverTimeMs()) + 90 * DAY_MS), hasCode('STORE_ACCESS_DENIED'));
  });

  it('asks for policies only in the list that needs them: another service may not know the word', async () => {
    await store.create('a', Buffer.from('x'));
    for await (const { name } of store.list('')) assert.equal(name, 'a');
    assert.ok(service.requests.every(({ query }) => !(query.get('include') ?? '').includes('immutability')));
  });
});
