import type { Credential } from './compute/arm-client';
import { HoldfastError } from '../errors/holdfast-error';

type TokenSource = Extract<Credential, { getToken: unknown }>;

const guidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * The identity that the app shows to Azure: 'default' tries the environment, the workload's identity, the managed
 * identity and a developer's sign-in in the SDK's order; 'managed-identity' takes the system-assigned one and
 * 'managed-identity:<clientId>' a user-assigned one. Throws CLOUD_SETTING_INVALID for anything else.
 * @azure/identity is loaded with the first token, because loading it takes most of a cold start.
 */
export function createCredential(setting: string): TokenSource {
  const make = makerFor(setting);
  let made: Promise<TokenSource> | undefined;
  return {
    getToken: async (scopes, options) => {
      made ??= make();
      return (await made).getToken(scopes, options);
    },
  };
}

function makerFor(setting: string): () => Promise<TokenSource> {
  if (setting === 'default') return async () => new (await import('@azure/identity')).DefaultAzureCredential();
  if (setting === 'managed-identity') return async () => new (await import('@azure/identity')).ManagedIdentityCredential();
  const clientId = /^managed-identity:(.+)$/.exec(setting)?.[1];
  if (clientId !== undefined && guidPattern.test(clientId)) {
    return async () => new (await import('@azure/identity')).ManagedIdentityCredential({ clientId });
  }
  throw new HoldfastError('CLOUD_SETTING_INVALID', `The credential setting must be "default", "managed-identity" or "managed-identity:<client id>", not ${JSON.stringify(setting.slice(0, 100))}`);
}
