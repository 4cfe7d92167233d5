import { createBearer } from './bearer';
import type { EntraSettings } from './entra';
import { RequestLimits } from './limits';
import { isLocalToken } from './local-token';
import { callerOfPrincipal, PRINCIPAL_HEADER } from './principal';
import { type Caller, unauthenticated } from './roles';
import { addressOf, demandLocalSite, demandOwnSite } from './site';

/** What is looked at of a request. */
export interface AccessRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { get(name: string): string | null };
}

/**
 * How callers prove who they are. `platform`: sessions of Azure's own authentication in front of the app, and access tokens of Entra ID. `bearer`: such tokens alone. `local`: the token
 * that the local home printed. `none`: nothing was configured, and nobody is let in.
 */
export type AccessSettings =
  | { readonly kind: 'none' }
  | { readonly kind: 'local'; readonly token: string }
  | { readonly kind: 'bearer'; readonly entra: EntraSettings }
  | {
    readonly kind: 'platform'; readonly entra: EntraSettings;
    /** Whether the platform says that its authentication is on: only then does it take away a principal that a caller made up. */
    readonly platformIsOn: boolean;
    /** Name under which the platform serves the app, beside what a request itself says; null where it is not known. */
    readonly ownHost: string | null;
  };

export interface AccessOptions {
  readonly nowMs: () => number;
  /** What one caller may ask of this instance in a minute; a change counts as ten. */
  readonly requestsPerMinute: number;
}

export interface Access {
  /** What a refusal says of how to prove who one is: the value of WWW-Authenticate. */
  readonly signIn: string;
  /**
   * Who is calling. Throws UNAUTHENTICATED, REQUEST_FOREIGN (a page of another site), REQUEST_LIMIT and IDENTITY_UNREACHABLE. What the caller may do is for `demandRole`.
   */
  admit(request: AccessRequest): Promise<Caller>;
  /** For what anybody may ask: no proof is asked for, but foreign pages and floods are refused all the same. */
  admitAnybody(request: AccessRequest): Caller;
}

/** What one request of each kind counts for. */
const COST = { read: 1, change: 10 } as const;

export function createAccess(settings: AccessSettings, { nowMs, requestsPerMinute }: AccessOptions): Access {
  const bearer = settings.kind === 'bearer' || settings.kind === 'platform' ? createBearer(settings.entra, nowMs) : null;
  const limits = new RequestLimits(requestsPerMinute, nowMs);
  const counted = (caller: Caller, request: AccessRequest): Caller => {
    limits.take(caller.id, caller.name, isRead(request) ? COST.read : COST.change);
    return caller;
  };
  return {
    signIn: 'Bearer realm="holdfast"',
    async admit(request) {
      if (settings.kind === 'none') throw unauthenticated('No way to sign in is configured for this app, so it lets nobody in: HOLDFAST_AUTH says how callers prove who they are (docs/access.md)');
      const token = bearerTokenOf(request);
      if (settings.kind === 'local') {
        demandLocalSite(request);
        if (token === null) throw unauthenticated('The request carries no token: the address that `npm start` printed holds it, and so does the file "access/token" in its state folder');
        if (!isLocalToken(token, settings.token)) throw unauthenticated('The token is not the one of this start of the app');
        return counted({ id: 'local', name: 'local', kind: 'local', roles: ['Admin'], from: '127.0.0.1' }, request);
      }
      const from = addressOf(request);
      if (bearer !== null && token !== null) return counted({ ...await bearer.callerOf(token), from }, request);
      const principal = request.headers.get(PRINCIPAL_HEADER);
      if (principal === null) throw unauthenticated('The request carries no access token and no session');
      if (settings.kind !== 'platform') throw unauthenticated(`The header ${PRINCIPAL_HEADER} proves nothing here: this app takes access tokens alone`);
      if (!settings.platformIsOn) throw unauthenticated(`The header ${PRINCIPAL_HEADER} proves nothing here: the platform's authentication is off (WEBSITE_AUTH_ENABLED), so anybody could have written it`);
      const caller = callerOfPrincipal(principal, settings.entra);
      // A session is a cookie, which a browser also sends along with what pages of other sites ask.
      if (!isRead(request)) demandOwnSite(request, settings.ownHost);
      return counted({ ...caller, from }, request);
    },
    admitAnybody(request) {
      if (settings.kind === 'local') demandLocalSite(request);
      return counted({ id: 'anybody', name: 'anybody', kind: 'user', roles: [], from: settings.kind === 'local' ? '127.0.0.1' : addressOf(request) }, request);
    },
  };
}

const isRead = ({ method }: AccessRequest): boolean => method === 'GET' || method === 'HEAD';

/** The token of the Authorization header; null where there is no such header. */
function bearerTokenOf({ headers }: AccessRequest): string | null {
  const header = headers.get('authorization');
  if (header === null) return null;
  const token = /^Bearer +([\w.~+/=-]+) *$/i.exec(header)?.[1];
  if (token === undefined) throw unauthenticated('The Authorization header is not "Bearer" with a token');
  return token;
}
