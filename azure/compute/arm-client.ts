import { AsyncLocalStorage } from 'node:async_hooks';
import { ComputeManagementClient } from '@azure/arm-compute';
import { HoldfastError } from '../../errors/holdfast-error';
import { type Patience, pauseMs, retryAfterMs, type Waiting } from '../disk/backoff';

export type Credential = ConstructorParameters<typeof ComputeManagementClient>[0];
type Policy = Parameters<ComputeManagementClient['pipeline']['addPolicy']>[0];
type Request = Parameters<Policy['sendRequest']>[0];
type Response = Awaited<ReturnType<Policy['sendRequest']>>;

export const armPatience: Patience = { attempts: 5, baseMs: 1000, capMs: 20_000, longestPauseMs: 60_000 };

export interface ArmSettings {
  readonly endpoint: URL;
  readonly credential: Credential;
  /** By what the app names itself. */
  readonly userAgent?: string;
  readonly waiting: Waiting;
  readonly patience: Patience;
  readonly requestTimeoutMs: number;
}

const loopbackHosts = new Set(['localhost', '127.0.0.1', '[::1]']);

export function isLoopback(url: URL): boolean {
  return loopbackHosts.has(url.hostname) || /^127\.\d+\.\d+\.\d+$/.test(url.hostname);
}

/** Checks the address of Resource Manager: https, or http to this machine. Throws CLOUD_SETTING_INVALID. */
export function parseArmEndpoint(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || url.username !== '' || url.search !== '' || (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url)))) {
    throw new HoldfastError('CLOUD_SETTING_INVALID', `The address of Azure Resource Manager must be https (or http to this machine), not ${JSON.stringify(endpoint.split('?')[0])}`);
  }
  return url;
}

/**
 * The genuine client with three changes to its pipeline. Its own retries go, because they send a PUT again whose fate
 * is unknown. Redirects go, and so does any request to a host that is not Resource Manager's, because each carries the
 * bearer token. Over http, which is only this machine, the token policy goes: the SDK refuses to send one without TLS.
 */
export function createArmClient(subscriptionId: string, settings: ArmSettings): ComputeManagementClient {
  const isInsecure = settings.endpoint.protocol === 'http:';
  const client = new ComputeManagementClient(settings.credential, subscriptionId, {
    endpoint: settings.endpoint.toString().replace(/\/$/, ''),
    allowInsecureConnection: isInsecure,
    retryOptions: { maxRetries: 0 },
    ...(settings.userAgent === undefined ? {} : { userAgentOptions: { userAgentPrefix: settings.userAgent } }),
    credentials: { scopes: [`${scopeOf(settings.endpoint)}/.default`] },
  });
  if (isInsecure) client.pipeline.removePolicy({ name: 'bearerTokenAuthenticationPolicy' });
  client.pipeline.removePolicy({ name: 'redirectPolicy' });
  client.pipeline.addPolicy(retryKnownOutcomes(settings), { phase: 'Retry' });
  client.pipeline.addPolicy(sameHostOnly(settings.endpoint), { afterPhase: 'Retry' });
  return client;
}

function scopeOf(endpoint: URL): string {
  return isLoopback(endpoint) ? 'https://management.azure.com' : endpoint.origin;
}

/** A long-running operation names the address to poll; it may be a regional host of Resource Manager, and no other. */
function sameHostOnly(endpoint: URL): Policy {
  return {
    name: 'holdfastSameHostOnly',
    sendRequest: (request, next) => {
      const url = new URL(request.url);
      const isArm = url.host === endpoint.host || url.hostname.endsWith(`.${endpoint.hostname}`);
      if (!isArm || url.protocol !== endpoint.protocol) {
        throw new HoldfastError('CLOUD_FAILED', `Azure Resource Manager named an address at ${url.host}, which is not its own`, { data: { serviceCode: '' } });
      }
      return next(request);
    },
  };
}

/** Such a connection never carried the request, so it may be sent again whatever it does. */
const neverSentCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
const transientStatuses = new Set([408, 500, 502, 503, 504]);

/** Where the pause that the last answer asked for is left for whoever polls: the SDK's poller keeps it to itself. */
export const askedPause = new AsyncLocalStorage<{ pauseMs: number | undefined }>();

/**
 * Sends again what may be sent again: anything after a 429 or a connection that never came about; a request that may be
 * repeated also after 5xx and lost answers. A PUT whose fate is unknown goes to the caller, who reads back by name.
 */
function retryKnownOutcomes(settings: ArmSettings): Policy {
  const { patience, waiting } = settings;
  return {
    name: 'holdfastRetryKnownOutcomes',
    sendRequest: async (request, next) => {
      request.timeout = settings.requestTimeoutMs;
      for (let attempt = 1; ; attempt += 1) {
        const outcome = await attemptOnce(request, next);
        const askedMs = outcome.response === undefined ? undefined : retryAfterMs(outcome.response.headers.get('retry-after'), waiting.now());
        const hint = askedPause.getStore();
        if (hint !== undefined) hint.pauseMs = askedMs;
        const isTooLong = askedMs !== undefined && askedMs > patience.longestPauseMs;
        if (!mayRepeat(request, outcome) || attempt >= patience.attempts || isTooLong) {
          if (outcome.response === undefined) throw outcome.error;
          return outcome.response;
        }
        await waiting.wait(pauseMs(patience, attempt, askedMs, waiting.random));
      }
    },
  };
}

type Outcome = { readonly response: Response; readonly error?: undefined } | { readonly response?: undefined; readonly error: unknown };

async function attemptOnce(request: Request, next: (request: Request) => Promise<Response>): Promise<Outcome> {
  try {
    return { response: await next(request) };
  } catch (error) {
    return { error };
  }
}

function mayRepeat(request: Request, outcome: Outcome): boolean {
  // Granting and ending access are idempotent (manage-restore-points in the Azure docs), deleting and reading as well.
  const isRepeatable = ['GET', 'HEAD', 'DELETE'].includes(request.method) || (request.method === 'POST' && /\/(begin|end)GetAccess(\?|$)/.test(request.url));
  if (outcome.response !== undefined) return outcome.response.status === 429 || (isRepeatable && transientStatuses.has(outcome.response.status));
  const { error } = outcome;
  if (error instanceof HoldfastError || !(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return neverSentCodes.has(code) || (isRepeatable && (error.name === 'RestError' || error.name === 'AbortError'));
}
