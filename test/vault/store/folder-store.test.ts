import { openFolderStore } from '../../../vault/store/folder-store';
import { storeContract } from '../../support/store-contract';
import { makeTempFolder } from '../../support/temp-folder';

storeContract('folder', async () => {
  const folder = await makeTempFolder();
  const store = await openFolderStore(folder.path, { create: true });
  return { store, reopen: () => openFolderStore(folder.path), dispose: folder.remove };
}, { manyNames: 1500 });
