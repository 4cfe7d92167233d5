import { openBlobStore } from '../../../azure/blob/blob-store';
import { startAzurite } from '../../support/azurite';
import { storeContract } from '../../support/store-contract';

storeContract('blob', async () => {
  const { accountName, accountKey, newContainerUrl } = await startAzurite();
  const options = { containerUrl: newContainerUrl(), sharedKey: { accountName, accountKey } };
  const store = await openBlobStore({ ...options, createContainer: true, pageSize: 150 });
  return { store, reopen: () => openBlobStore(options), dispose: () => store.close() };
}, { manyNames: 400 });
