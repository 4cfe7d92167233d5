import type { TokenCredential } from '@azure/identity';
import type { Duty } from '../../activities/deps';
import type { PageBlobRef, PageBlobRequest, PageBlobStatus, RestoreCloud } from '../../activities/restore-cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import { parseContainerUrl } from '../../vault/store/store-spec';
import type { Environment } from '../blob/blob-access';
import type { PageBlob } from '../blob/page-blob';
import { userAgentOf } from '../user-agent';

export interface PageBlobSettings {
  readonly credential: TokenCredential | { readonly key: string };
  /** Addresses of the containers that restores may write to. */
  readonly restoreContainers?: readonly string[];
  readonly env?: Environment;
  readonly duty?: Duty;
}

type PageBlobOperations = Pick<RestoreCloud, 'createPageBlob' | 'getPageBlob' | 'deletePageBlob' | 'locatePageBlob'>;

/** Page blobs by account, container and name. Only containers of the settings are ever reached: no address of a user's is (threat 13). */
export function pageBlobOperations(settings: PageBlobSettings): PageBlobOperations {
  const containers = (settings.restoreContainers ?? []).map((containerUrl) => ({ containerUrl, ...parseContainerUrl(containerUrl) }));
  const containerOf = ({ account, container }: PageBlobRef): string => {
    const found = containers.find((one) => one.account === account && one.container === container);
    if (found === undefined) {
      const allowed = containers.length === 0 ? 'none is allowed' : `allowed are ${containers.map((one) => `${one.account}/${one.container}`).join(', ')}`;
      throw new HoldfastError('TARGET_NOT_ALLOWED', `Restores may not write to the container ${JSON.stringify(`${account}/${container}`.slice(0, 200))}: ${allowed}`);
    }
    return found.containerUrl;
  };
  const open = async (ref: PageBlobRef): Promise<PageBlob> => {
    const place = { containerUrl: containerOf(ref), blob: ref.blob };
    // Loaded here: the storage client takes most of a cold start, and few runs restore to a blob.
    const { PageBlob } = await import('../blob/page-blob.js');
    return new PageBlob(place, { env: settings.env ?? process.env, credential: tokensOf(settings), userAgent: userAgentOf(settings.duty) });
  };
  const existing = async (blob: PageBlob, request: PageBlobRequest): Promise<'exists'> => {
    const found = await blob.status();
    const isSame = found?.isPageBlob === true && found.sizeBytes === request.sizeBytes && Object.entries(request.metadata).every(([name, value]) => found.metadata[name] === value);
    if (isSame) return 'exists';
    throw new HoldfastError('TARGET_EXISTS', `There is a blob ${request.blob} in ${request.account}/${request.container} already, of ${String(found?.sizeBytes ?? 0)} bytes, and this restore did not make it`);
  };
  return {
    async createPageBlob(request: PageBlobRequest): Promise<'created' | 'exists'> {
      const blob = await open(request);
      return (await blob.create(request.sizeBytes, request.metadata)) === 'created' ? 'created' : existing(blob, request);
    },
    async getPageBlob(ref: PageBlobRef): Promise<PageBlobStatus | undefined> {
      const found = await (await open(ref)).status();
      return found?.isPageBlob === true ? { sizeBytes: found.sizeBytes, metadata: found.metadata } : undefined;
    },
    deletePageBlob: async (ref) => (await open(ref)).delete(),
    locatePageBlob: (ref, sizeBytes) => ({ kind: 'pageBlob', containerUrl: containerOf(ref), blob: ref.blob, sizeBytes }),
  };
}

function tokensOf({ credential }: PageBlobSettings): TokenCredential {
  if ('getToken' in credential) return credential;
  throw new HoldfastError('CLOUD_SETTING_INVALID', 'A key for Azure Resource Manager opens no storage');
}
