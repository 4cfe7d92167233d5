import type { TokenCredential } from '@azure/identity';
import type { Duty } from '../activities/deps';
import { openFolderStore } from '../vault/store/folder-store';
import type { Store } from '../vault/store/store';
import type { StoreSpec } from '../vault/store/store-spec';
import type { RetryPolicy } from './blob/retry';
import { type Environment, findBlobAccess } from './blob/blob-access';
import { userAgentOf } from './user-agent';

export interface OpenStoreOptions {
  /** Make the folder or the container when it is not there: for a new vault alone. */
  readonly create?: boolean;
  /** A folder is then left exactly as it is; a container's credential decides for itself. */
  readonly readOnly?: boolean;
  /** Used for a container where neither its address nor the environment has a signature or key; by default what the machine or the signed-in person has (DefaultAzureCredential). */
  readonly credential?: TokenCredential;
  readonly retry?: Partial<RetryPolicy>;
  readonly duty?: Duty;
}

/** Opens the store of a spec, in the main thread or in a worker. The Azure clients are loaded only for a container: a folder never waits for them. */
export async function openStore(spec: StoreSpec, env: Environment, options: OpenStoreOptions = {}): Promise<Store> {
  if (spec.kind === 'folder') return openFolderStore(spec.path, { create: options.create ?? false, readOnly: options.readOnly ?? false });
  const access = findBlobAccess(spec.containerUrl, env);
  const { openBlobStore } = await import('./blob/blob-store.js');
  return openBlobStore({
    ...(access ?? { containerUrl: spec.containerUrl, credential: options.credential ?? (await defaultCredential()) }),
    createContainer: options.create ?? false,
    retry: options.retry ?? {},
    userAgent: userAgentOf(options.duty),
  });
}

async function defaultCredential(): Promise<TokenCredential> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential();
}
