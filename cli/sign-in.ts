import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { TokenCredential } from '@azure/identity';
import { HoldfastError, messageOf } from '../errors/holdfast-error';

/** Answers what a request to the app carries, as often as one is sent: tokens end, and are renewed. */
export type TokenSource = () => Promise<string>;

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
export const LOOPBACK_NAMES: readonly string[] = ['127.0.0.1', 'localhost', '[::1]'];

/**
 * How this person proves to the app at `base` who they are: the token in HOLDFAST_TOKEN; for an app on this machine the one in its state folder; otherwise a sign-in with Entra ID.
 * Which app registration tokens are asked for is never taken from the app's own answer: whoever has somebody call a wrong address would be handed a token for whatever they name.
 * Throws UNAUTHENTICATED, which says what is missing.
 */
export function tokenSourceFor(base: URL, env: NodeJS.ProcessEnv, stateFolder: string | undefined): TokenSource {
  const given = env['HOLDFAST_TOKEN'] ?? '';
  if (given !== '') return () => Promise.resolve(given);
  if (LOOPBACK_NAMES.includes(base.hostname)) {
    const folder = stateFolder ?? nonEmpty(env['HOLDFAST_STATE']) ?? '.holdfast';
    // Behind a tunnel a deployment is at this machine's address, too.
    if (stateFolder === undefined && nonEmpty(env['HOLDFAST_AUTH_CLIENT_ID']) !== undefined && !existsSync(path.resolve(folder, 'access'))) return entraTokens(base, env);
    localTokenFor(base, folder);
    // Read each time: a home that was started anew has another.
    return async () => localTokenFor(base, folder);
  }
  return entraTokens(base, env);
}

/** Throws UNAUTHENTICATED where the folder has no token for this very address: another program may listen there, and must not be shown it. */
function localTokenFor(base: URL, stateFolder: string): string {
  const folder = path.resolve(stateFolder, 'access');
  const elsewhere = 'Name the state folder of the home with --state or HOLDFAST_STATE, or set HOLDFAST_TOKEN to the token that `npm start` printed';
  let served: URL;
  let token: string;
  try {
    served = new URL(readFileSync(path.join(folder, 'url'), 'utf8').trim());
    token = readFileSync(path.join(folder, 'token'), 'utf8').trim();
  } catch (cause) {
    throw new HoldfastError('UNAUTHENTICATED', `There is no token for ${base.origin} in ${folder} (${messageOf(cause)}). ${elsewhere}`, { cause });
  }
  if (served.port !== base.port || !LOOPBACK_NAMES.includes(served.hostname)) throw new HoldfastError('UNAUTHENTICATED', `The token in ${folder} is for ${served.origin}, and not for ${base.origin}. ${elsewhere}`);
  return token;
}

/** With the identity that HOLDFAST_SIGN_IN names; `default` is the environment's, the machine's, or whoever signed in with `az login`, in the SDK's order. */
function entraTokens(base: URL, env: NodeJS.ProcessEnv): TokenSource {
  const clientId = env['HOLDFAST_AUTH_CLIENT_ID'] ?? '';
  const tenantId = nonEmpty(env['HOLDFAST_AUTH_TENANT']);
  const missing = (what: string): HoldfastError => new HoldfastError('UNAUTHENTICATED', `${base.origin} takes people of Entra ID, and ${what}: set HOLDFAST_AUTH_CLIENT_ID (and HOLDFAST_AUTH_TENANT) as \`azd env get-values\` says them, or HOLDFAST_TOKEN to an access token`);
  if (!GUID.test(clientId)) throw missing(clientId === '' ? 'it is not known which app registration it has' : `HOLDFAST_AUTH_CLIENT_ID is no client id: ${JSON.stringify(clientId.slice(0, 60))}`);
  if (tenantId !== undefined && !GUID.test(tenantId)) throw missing(`HOLDFAST_AUTH_TENANT is no tenant id: ${JSON.stringify(tenantId.slice(0, 60))}`);
  const how = nonEmpty(env['HOLDFAST_SIGN_IN']) ?? 'default';
  if (how !== 'default' && how !== 'device-code') throw new HoldfastError('USAGE', `HOLDFAST_SIGN_IN reads default or device-code, not ${JSON.stringify(how.slice(0, 60))}`);
  let credential: Promise<TokenCredential> | undefined;
  return async () => {
    credential ??= credentialOf(how, tenantId);
    try {
      const token = await (await credential).getToken(`api://${clientId}/.default`, tenantId === undefined ? {} : { tenantId });
      return token?.token ?? '';
    } catch (cause) {
      throw new HoldfastError('UNAUTHENTICATED', `Entra ID gave no token for api://${clientId}: ${messageOf(cause).split('\n')[0] ?? ''}`, { cause });
    }
  };
}

/** Loaded only here: it takes longer than most commands. */
async function credentialOf(how: 'default' | 'device-code', tenantId: string | undefined): Promise<TokenCredential> {
  const { DefaultAzureCredential, DeviceCodeCredential } = await import('@azure/identity');
  if (how === 'default') return new DefaultAzureCredential(tenantId === undefined ? {} : { tenantId });
  return new DeviceCodeCredential({ ...(tenantId === undefined ? {} : { tenantId }), userPromptCallback: ({ message }) => { process.stderr.write(`${message}\n`); } });
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);
