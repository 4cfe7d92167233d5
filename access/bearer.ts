import type { errors as Errors, JWTPayload } from 'jose';
import { HoldfastError, isHoldfastError, messageOf } from '../errors/holdfast-error';
import { audiencesOf, type EntraSettings, issuersOf, keysAddressOf } from './entra';
import { type Caller, ROLES, unauthenticated } from './roles';

/** How far the clocks of Entra ID and of this machine may be apart. */
const CLOCK_SKEW_SECONDS = 60;
const MAX_TOKEN_CHARACTERS = 16 * 1024;
/** Keys are asked for again after an hour, and at most once in half a minute when a token names one that is not there: Entra ID exchanges them now and then, and announces it days before. */
const KEYS_MAX_AGE_MS = 60 * 60 * 1000;
const KEYS_COOLDOWN_MS = 30_000;
const KEYS_TIMEOUT_MS = 5_000;
const MAX_KEYS_BYTES = 256 * 1024;
/** After a failure nobody is asked again for this long: a flood of requests must not become one towards Entra ID. */
const KEYS_PAUSE_MS = 5_000;

export interface Bearer {
  /** Whom an access token is of. Throws UNAUTHENTICATED, and IDENTITY_UNREACHABLE where the keys cannot be had. */
  callerOf(token: string): Promise<Omit<Caller, 'from'>>;
}

/** Takes access tokens of Entra ID for this app: signature (RS256, by the tenant's keys), issuer, audience, tenant, times, and that it is an access token at all. */
export function createBearer(entra: EntraSettings, nowMs: () => number): Bearer {
  const open = async () => {
    const jose = await import('jose');
    return { jose, keys: jose.createRemoteJWKSet(keysAddressOf(entra), { cacheMaxAge: KEYS_MAX_AGE_MS, cooldownDuration: KEYS_COOLDOWN_MS, timeoutDuration: KEYS_TIMEOUT_MS, [jose.customFetch]: keysFetcher() }) };
  };
  // Loaded with the first token: it takes a share of every cold start.
  let opened: ReturnType<typeof open> | undefined;
  return {
    async callerOf(token) {
      if (token.length > MAX_TOKEN_CHARACTERS) throw unauthenticated('The access token is too long to be one');
      const { jose, keys } = await (opened ??= open());
      try {
        const { payload } = await jose.jwtVerify(token, keys, {
          algorithms: ['RS256'], issuer: issuersOf(entra), audience: audiencesOf(entra), requiredClaims: ['exp', 'nbf', 'iat', 'sub', 'oid', 'tid'],
          clockTolerance: CLOCK_SKEW_SECONDS, currentDate: new Date(nowMs()),
        });
        return callerOfClaims(payload, entra);
      } catch (error) {
        throw isHoldfastError(error) ? error : unauthenticated(`The access token is not accepted: ${reasonOf(error, jose.errors)}`);
      }
    },
  };
}

function callerOfClaims(claims: JWTPayload, { tenantId }: EntraSettings): Omit<Caller, 'from'> {
  if (claims.tid !== tenantId) throw unauthenticated('The access token is of another tenant');
  const id = textOf(claims.oid);
  if (id === null) throw unauthenticated('The access token does not name an object of Entra ID');
  // Of a program that signs in as itself subject and object are the same; a person's token says what was consented to (`scp`). An ID token has neither, and is no access token.
  const isApp = claims.idtyp === 'app' || (claims.scp === undefined && claims.sub === id);
  if (!isApp && textOf(claims.scp) === null) throw unauthenticated('The token is not an access token (it has no "scp")');
  const roles = Array.isArray(claims.roles) ? claims.roles : [];
  const name = isApp ? textOf(claims.app_displayname) ?? textOf(claims.azp) ?? textOf(claims.appid) : textOf(claims.preferred_username) ?? textOf(claims.upn) ?? textOf(claims.unique_name) ?? textOf(claims.name);
  return { id, name: name ?? id, kind: isApp ? 'app' : 'user', roles: ROLES.filter((role) => roles.includes(role)) };
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value.slice(0, 200) : null);

/** Holds nothing of the token. */
function reasonOf(error: unknown, errors: typeof Errors): string {
  if (error instanceof errors.JWTExpired) return 'its time is over; sign in again';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason === 'missing') return `its claim "${error.claim}" is missing`;
    return ({ aud: 'it is for another app (audience)', iss: 'another tenant or service issued it (issuer)', nbf: 'its time has not come: compare the clocks' } as Record<string, string>)[error.claim] ?? `its claim "${error.claim}" is wrong`;
  }
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) return 'it is not signed with a key of the tenant';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'it is not signed with RS256';
  return 'it is not a token that can be read';
}

/** Fetches a set of keys within bounds: no redirect, a time limit (the caller's signal), a size limit, and a pause after each failure. */
function keysFetcher(): (url: string, options: RequestInit) => Promise<Response> {
  let failedAtMs = -Infinity;
  return async (url, options) => {
    if (performance.now() - failedAtMs < KEYS_PAUSE_MS) throw unreachable(url, 'it failed a moment ago');
    try {
      const response = await fetch(url, options);
      if (response.status !== 200) throw new Error(`it answered ${response.status}`);
      const parts: Uint8Array[] = [];
      let bytes = 0;
      for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        bytes += part.length;
        if (bytes > MAX_KEYS_BYTES) throw new Error('its answer is too large');
        parts.push(part);
      }
      const text = Buffer.concat(parts).toString('utf8');
      if (!Array.isArray((JSON.parse(text) as { keys?: unknown }).keys)) throw new Error('its answer is no set of keys');
      return new Response(text, { status: 200 });
    } catch (error) {
      failedAtMs = performance.now();
      throw unreachable(url, messageOf(error), error);
    }
  };
}

const unreachable = (url: string, why: string, cause?: unknown): HoldfastError =>
  new HoldfastError('IDENTITY_UNREACHABLE', `The keys that access tokens are signed with cannot be had from ${url}: ${why}`, { data: { url }, cause });
