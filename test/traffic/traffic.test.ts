import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { openBlobStore } from '../../azure/blob/blob-store';
import { startFakeWormBlobs } from '../support/fake-worm-blobs';
import { findings } from './azure-type';
import { blobOperation, CallList, sentChannel, sentOf } from './calls';
import { textOf } from './compare';
import { callsPath, readCalls, readRights, readTypes, rightsPath, rightsText } from './fixtures';
import { resourceOf } from './resource';
import { type RightsByDuty, rightsOf, storeRequests } from './rights';

/** Resources that Bicep has no types of, because nobody deploys them. Their versions are the SDK's, or stand in the address that the service gave. */
const notPublished = ['Microsoft.Compute/skus', 'Microsoft.Compute/locations/DiskOperations'];

const calls = readCalls();
const armCalls = calls.flatMap((call) => {
  const resource = resourceOf(call.call);
  return resource ? [{ ...call, ...resource, key: `${resource.type}@${call.version ?? ''}` }] : [];
});

describe('the recorded traffic', () => {
  it('is a list in order, as it is written', () => {
    const list = new CallList();
    list.addAll(calls);
    assert.ok(calls.length > 60, `only ${calls.length} calls`);
    assert.equal(readFileSync(callsPath, 'utf8'), textOf(list.all()));
  });

  it('asks for resources in versions that Azure has published', () => {
    const types = readTypes();
    assert.deepEqual(armCalls.filter(({ type, key }) => !notPublished.includes(type) && !types.resources.includes(key)).map(({ call, version }) => `${call} ${version ?? ''}`), []);
    assert.deepEqual(notPublished.filter((type) => !armCalls.some((call) => call.type === type)), [], 'exceptions that nothing needs any more');
  });

  it('sends bodies that Azure\'s published types take', () => {
    const types = readTypes();
    const wrong: string[] = [];
    let checked = 0;
    for (const { call, method, body, action, key } of armCalls) {
      if (body === undefined) continue;
      const type = types.bodies[`${method} ${key}${action === '' ? '' : `/${action}`}`];
      if (!type) {
        wrong.push(`${call}: no type in the extract (npm run arm:types)`);
        continue;
      }
      checked++;
      wrong.push(...findings(body, type, method === 'PATCH').map((line) => `${call} ${line}`));
    }
    assert.deepEqual(wrong, []);
    assert.ok(checked >= 10, `only ${checked} bodies`);
  });

  it('sends nothing to an address of Azure\'s that no rule has a right for, and each duty has the rights that follow from its calls', () => {
    assert.equal(readFileSync(rightsPath, 'utf8'), rightsText(rightsOf(calls)), 'test/fixtures/arm-actions.json is stale: npm run arm:record');
  });
});

describe('the rights of the duties', () => {
  let { backup, maintenance, restore } = { backup: {}, maintenance: {}, restore: {} } as RightsByDuty;
  before(() => { ({ backup, maintenance, restore } = readRights()); });
  const blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';

  it('threat 1: let only the maintenance delete in the vault, and nobody replace what is there', () => {
    const inVault = [backup, maintenance, restore].map(({ vault }) => vault?.dataActions ?? []);
    assert.deepEqual(inVault.map((actions) => actions.includes(`${blobs}/delete`)), [false, true, false]);
    for (const actions of inVault) {
      assert.ok(actions.includes(`${blobs}/read`) && actions.includes(`${blobs}/add/action`));
      assert.ok(!actions.includes(`${blobs}/write`));
    }
  });

  it('let the maintenance near no machine, and the backup change none', () => {
    assert.equal(maintenance.machines, undefined);
    const changes = (backup.machines?.actions ?? []).filter((action) => /\/(virtualMachines|disks)\/(write|delete|\w+\/action)$/.test(action));
    assert.deepEqual(changes, ['Microsoft.Compute/disks/beginGetAccess/action'], 'which a snapshot takes');
  });

  it('let the app unwrap with the key and never wrap', () => {
    for (const duty of [backup, maintenance, restore]) assert.deepEqual(duty.key?.dataActions, ['Microsoft.KeyVault/vaults/keys/unwrap/action']);
  });

  it('have no wildcard', () => assert.ok(!readFileSync(rightsPath, 'utf8').includes('*')));
});

describe('the operations of the store', () => {
  it('are these requests to a container', async () => {
    const server = await startFakeWormBlobs(60_000);
    const store = await openBlobStore({ containerUrl: server.containerUrl, retry: { tries: 1 } });
    const requests: string[] = [];
    const listen = (message: unknown): void => {
      const sent = sentOf(message);
      requests.push(blobOperation(sent, new URL(sent.target, 'http://x')));
    };
    subscribe(sentChannel, listen);
    const requestsOf = async (work: () => Promise<unknown>): Promise<string[]> => {
      requests.length = 0;
      await work();
      return [...new Set(requests)].sort();
    };
    const drain = async (objects: AsyncIterable<unknown>): Promise<void> => { for await (const object of objects) assert.ok(object); };
    const { retention } = store;
    assert.ok(retention);
    try {
      const seen = {
        // Twice: the second finds the name taken, and looks whose write that was.
        create: await requestsOf(async () => { await store.create('a', Buffer.from('1')); await store.create('a', Buffer.from('1')); }),
        read: await requestsOf(() => store.read('a')),
        stat: await requestsOf(() => store.stat('a')),
        list: await requestsOf(async () => { await drain(store.list('')); await drain(retention.list('')); }),
        serverTimeMs: await requestsOf(() => store.serverTimeMs()),
        until: await requestsOf(() => retention.until('a')),
        extend: await requestsOf(() => retention.extend('a', Date.now() + 3_600_000)),
        delete: await requestsOf(async () => { server.advance(7_200_000); await store.delete('a'); }),
      };
      assert.deepEqual(seen, Object.fromEntries(Object.entries(storeRequests).map(([operation, wanted]) => [operation, [...wanted].sort()])));
    } finally {
      unsubscribe(sentChannel, listen);
      await store.close();
      await server.close();
    }
  });
});
