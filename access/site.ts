import { isIP } from 'node:net';
import { HoldfastError } from '../errors/holdfast-error';
import type { AccessRequest } from './access';

const LOOPBACK_NAMES: readonly string[] = ['127.0.0.1', 'localhost', '[::1]'];

/**
 * Throws REQUEST_FOREIGN for what another site's page has somebody's browser ask of this machine: its Host is not this machine's (DNS rebinding), or its Origin is not the address that it asks.
 */
export function demandLocalSite(request: AccessRequest): void {
  const host = hostOf(request);
  if (!LOOPBACK_NAMES.includes(nameOf(host))) throw foreign(`It was sent to "${host.slice(0, 100)}", which is not a name of this machine alone`);
  const origin = request.headers.get('origin');
  if (origin !== null && origin !== `http://${host}`) throw foreign(`A page of "${origin.slice(0, 100)}" sent it, and this app is http://${host}`);
}

/**
 * Throws REQUEST_FOREIGN unless the browser says that a page of the app itself asks: by Sec-Fetch-Site, which no page can set, or, from browsers that do not know that, by an Origin that is one of
 * the app's names. With neither it is refused: programs that are no browsers have tokens, and no session.
 */
export function demandOwnSite(request: AccessRequest, ownHost: string | null): void {
  const site = request.headers.get('sec-fetch-site');
  const origin = request.headers.get('origin');
  if (site !== null) {
    if (site === 'same-origin') return;
    throw foreign(`The browser says that it comes from ${site === 'cross-site' || site === 'same-site' ? `a page of another origin (${(origin ?? 'unnamed').slice(0, 100)})` : 'no page of the app'}`);
  }
  if (origin === null) throw foreign('It changes something, comes with a session, and does not say which page sent it (Origin)');
  if (![hostOf(request), ownHost].some((host) => host !== null && origin.toLowerCase() === `https://${host.toLowerCase()}`)) throw foreign(`A page of "${origin.slice(0, 100)}" sent it`);
}

/** The address of the caller as the platform's front end saw it: the last one of X-Forwarded-For, since callers may write those before it themselves. null where there is none. */
export function addressOf({ headers }: AccessRequest): string | null {
  const last = headers.get('x-forwarded-for')?.split(',').at(-1)?.trim() ?? '';
  const address = /^\[([^\]]+)\](?::\d+)?$/.exec(last)?.[1] ?? (isIP(last) !== 0 ? last : last.replace(/:\d+$/, ''));
  return isIP(address) === 0 ? null : address;
}

const hostOf = ({ headers, url }: AccessRequest): string => headers.get('host') ?? new URL(url).host;

const nameOf = (host: string): string => host.toLowerCase().replace(/:\d*$/, '');

const foreign = (why: string): HoldfastError => new HoldfastError('REQUEST_FOREIGN', `The request does not come from a page of this app. ${why}`);
