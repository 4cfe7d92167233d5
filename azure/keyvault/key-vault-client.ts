import { createDefaultHttpClient, createEmptyPipeline, createHttpHeaders, createPipelineRequest, type PipelineResponse, proxyPolicy, tlsPolicy, userAgentPolicy } from '@azure/core-rest-pipeline';
import type { TokenCredential } from '@azure/identity';
import type { Duty } from '../../activities/deps';
import { HoldfastError } from '../../errors/holdfast-error';
import { type Patience, pauseMs, retryAfterMs, type Waiting } from '../disk/backoff';
import { userAgentOf } from '../user-agent';
import { audienceOf } from './key-id';
import { answerError, transportError } from './key-vault-errors';

/** Key Vault allows thousands of these requests in 10 seconds (Key Vault service limits); half a minute of patience, then whoever asked decides. */
export const keyVaultPatience: Patience = { attempts: 5, baseMs: 500, capMs: 10_000, longestPauseMs: 30_000 };
const API_VERSION = '7.4';
const REQUEST_TIMEOUT_MS = 20_000;
const transientStatuses = new Set([408, 429, 500, 502, 503, 504]);

export interface KeyVaultClientOptions {
  readonly origin: string;
  readonly credential: TokenCredential;
  readonly waiting: Waiting;
  readonly patience?: Patience;
  readonly ca?: string;
  readonly duty?: Duty;
}

export interface KeyVaultClient {
  /** Posts JSON and answers JSON. `key` and `doing` are for messages. Throws KEY_VAULT_ errors and KEY_REFUSED. Wrapping and unwrapping change nothing, so any lost answer is asked for again. */
  post(path: string, body: object, key: string, doing: string): Promise<unknown>;
}

/**
 * The two requests of Key Vault that Holdfast needs, over the pipeline that the other Azure clients use (proxies, TLS). Not @azure/keyvault-keys: its
 * CryptographyClient reads the key first, which takes another permission, and then refuses by itself to unwrap with an expired key, which the
 * service allows, because what was wrapped must stay readable. Redirects are not followed, and nothing is logged.
 */
export function createKeyVaultClient(options: KeyVaultClientOptions): KeyVaultClient {
  const { credential, waiting } = options;
  const patience = options.patience ?? keyVaultPatience;
  const audience = audienceOf(new URL(options.origin));
  if (audience === undefined) throw new HoldfastError('KEY_VAULT_ID', `${options.origin} is not a Key Vault`);
  const http = createDefaultHttpClient();
  const pipeline = createEmptyPipeline();
  pipeline.addPolicy(proxyPolicy());
  pipeline.addPolicy(userAgentPolicy({ userAgentPrefix: userAgentOf(options.duty) }));
  if (options.ca !== undefined) pipeline.addPolicy(tlsPolicy({ ca: options.ca }));

  const send = async (path: string, body: object, challenge: Challenge): Promise<PipelineResponse> => {
    const token = await credential.getToken(`${audience}/.default`, { ...challenge });
    if (token === null) throw new HoldfastError('KEY_VAULT_DENIED', `The identity has no token for ${audience}`, { data: { status: 0, serviceCode: '' } });
    const headers = createHttpHeaders({ authorization: `Bearer ${token.token}`, 'content-type': 'application/json', accept: 'application/json' });
    const request = createPipelineRequest({ url: `${options.origin}${path}?api-version=${API_VERSION}`, method: 'POST', headers, body: JSON.stringify(body), timeout: REQUEST_TIMEOUT_MS });
    return pipeline.sendRequest(http, request);
  };
  /** The vault of another tenant, or a policy that wants more claims, says so in its 401; then once more with a token as it wants it. */
  const sendSignedIn = async (path: string, body: object): Promise<PipelineResponse> => {
    const first = await send(path, body, {});
    const challenge = first.status === 401 ? parseChallenge(first.headers.get('www-authenticate') ?? '', audience) : undefined;
    return challenge === undefined ? first : send(path, body, challenge);
  };
  return {
    post: async (path, body, key, doing) => {
      for (let attempt = 1; ; attempt += 1) {
        const outcome = await sendSignedIn(path, body).catch((error: unknown) => transportError(error, key, doing));
        const isAnswer = !(outcome instanceof HoldfastError);
        if (isAnswer && outcome.status === 200) return parseBody(outcome, key);
        const failure = isAnswer ? answerError(outcome.status, outcome.bodyAsText ?? '', key, doing) : outcome;
        const askedMs = isAnswer ? retryAfterMs(outcome.headers.get('retry-after'), waiting.now()) : undefined;
        const isTransient = isAnswer ? transientStatuses.has(outcome.status) : failure.code === 'KEY_VAULT_UNREACHABLE';
        if (!isTransient || attempt >= patience.attempts || (askedMs ?? 0) > patience.longestPauseMs) throw failure;
        await waiting.wait(pauseMs(patience, attempt, askedMs, waiting.random));
      }
    },
  };
}

function parseBody(answer: PipelineResponse, key: string): unknown {
  try {
    return JSON.parse(answer.bodyAsText ?? '');
  } catch (cause) {
    throw new HoldfastError('KEY_VAULT_UNREACHABLE', `The answer for ${key} is not JSON`, { cause, data: { key, status: answer.status, serviceCode: '' } });
  }
}

interface Challenge { readonly tenantId?: string; readonly claims?: string }

/**
 * What a 401 asks for: `Bearer authorization="https://login…/TENANT", resource="https://vault.azure.net"`, or claims of continuous access evaluation.
 * Undefined when it asks for a token of another audience than the vault's own: such a token is not for this host.
 */
export function parseChallenge(header: string, audience: string): Challenge | undefined {
  const fields = new Map([...header.slice(0, 4000).matchAll(/([a-z_]+)="([^"]*)"/gi)].map(([, name = '', value = '']): [string, string] => [name.toLowerCase(), value]));
  const resource = (fields.get('resource') ?? fields.get('scope') ?? audience).replace(/\/(\.default)?$/, '').replace(/\/$/, '');
  if (!/^bearer\b/i.test(header.trim()) || resource !== audience) return undefined;
  const tenantId = URL.parse(fields.get('authorization') ?? fields.get('authorization_uri') ?? '')?.pathname.split('/')[1];
  const claims = fields.get('claims');
  return { ...(tenantId ? { tenantId } : {}), ...(claims ? { claims: Buffer.from(claims, 'base64').toString('utf8') } : {}) };
}
