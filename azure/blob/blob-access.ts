import { HoldfastError } from '../../errors/holdfast-error';
import { emulatorAccount, parseContainerUrl } from '../../vault/store/store-spec';

/** Settings by name, as in process.env. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How to reach a container: the address to use, and a key where the address has no access signature. */
export interface BlobAccess {
  readonly containerUrl: string;
  readonly sharedKey?: { readonly accountName: string; readonly accountKey: string };
}

/** Not a secret: Microsoft publishes it for every Azurite alike (Use the Azurite emulator, "Well-known storage account and key"). */
export const emulatorKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/**
 * Finds what opens a container: an access signature in its address, then AZURE_STORAGE_CONNECTION_STRING when it is
 * of the same account, then AZURE_STORAGE_KEY, then the published key for an emulator on this machine. Undefined
 * when there is none of these, so that a token credential is needed.
 */
export function findBlobAccess(containerUrl: string, env: Environment): BlobAccess | undefined {
  const { account, hasSignature, isLoopback } = parseContainerUrl(containerUrl);
  if (hasSignature) return { containerUrl };
  const fromConnection = accessOfConnection(containerUrl, account, env['AZURE_STORAGE_CONNECTION_STRING']);
  if (fromConnection !== undefined) return fromConnection;
  const key = env['AZURE_STORAGE_KEY'];
  const keyIsForAccount = (env['AZURE_STORAGE_ACCOUNT'] || account) === account;
  if (key !== undefined && key !== '' && keyIsForAccount) return { containerUrl, sharedKey: { accountName: account, accountKey: assertKey(key, 'AZURE_STORAGE_KEY') } };
  if (isLoopback && account === emulatorAccount) return { containerUrl, sharedKey: { accountName: account, accountKey: emulatorKey } };
  return undefined;
}

function accessOfConnection(containerUrl: string, account: string, text: string | undefined): BlobAccess | undefined {
  if (text === undefined || text === '') return undefined;
  const settings = new Map(text.split(';').filter((part) => part.trim() !== '').map((part): [string, string] => {
    const at = part.indexOf('=');
    return [part.slice(0, Math.max(0, at)).trim().toLowerCase(), part.slice(at + 1).trim()];
  }));
  const isEmulator = settings.get('usedevelopmentstorage')?.toLowerCase() === 'true';
  const named = isEmulator ? emulatorAccount : (settings.get('accountname') ?? accountOfEndpoint(settings.get('blobendpoint')));
  if (named !== account) return undefined;
  const key = isEmulator ? emulatorKey : settings.get('accountkey');
  if (key !== undefined) return { containerUrl, sharedKey: { accountName: account, accountKey: assertKey(key, 'AZURE_STORAGE_CONNECTION_STRING') } };
  const signature = settings.get('sharedaccesssignature');
  return signature === undefined ? undefined : { containerUrl: `${containerUrl}?${signature.replace(/^\?/, '')}` };
}

function accountOfEndpoint(endpoint: string | undefined): string | undefined {
  return endpoint === undefined ? undefined : URL.parse(endpoint)?.hostname.split('.')[0];
}

/** A key that is not base64 would be signed with all the same, and the service would only say that the signature is wrong. */
function assertKey(key: string, where: string): string {
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(key) && key.length % 4 === 0) return key;
  throw new HoldfastError('STORE_ACCESS_DENIED', `The account key in ${where} is not base64: it is cut off or has quotes around it`, { data: { setting: where } });
}
