import assert from 'node:assert/strict';
import { BlockBlobClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { openBlobStore } from '../../../azure/blob/blob-store';
import { startAzurite } from '../../support/azurite';
import { storeContract } from '../../support/store-contract';

storeContract('blob', async () => {
  const { accountName, accountKey, newContainerUrl } = await startAzurite();
  const options = { containerUrl: newContainerUrl(), sharedKey: { accountName, accountKey } };
  const store = await openBlobStore({ ...options, createContainer: true, pageSize: 150 });
  return { store, reopen: () => openBlobStore(options), dispose: () => store.close() };
}, { manyNames: 400 });

describe('access tiers', () => {
  it('are told by a list, for what is paid differs; what was never moved is in the account\'s own', async () => {
    const { accountName, accountKey, newContainerUrl } = await startAzurite();
    const containerUrl = newContainerUrl();
    const store = await openBlobStore({ containerUrl, sharedKey: { accountName, accountKey }, createContainer: true });
    try {
      for (const name of ['packs/a', 'packs/b']) await store.create(name, Buffer.from(name));
      await new BlockBlobClient(`${containerUrl}/packs/b`, new StorageSharedKeyCredential(accountName, accountKey)).setAccessTier('Cool');
      const tiers: (string | undefined)[] = [];
      for await (const { tier } of store.list('packs/')) tiers.push(tier);
      assert.deepEqual(tiers, ['hot', 'cool']);
    } finally {
      await store.close();
    }
  });
});
