import { HoldfastError } from '../../errors/holdfast-error';
import { isLoopback } from '../compute/arm-client';

/** The address of a page blob or of a snapshot of it, taken apart. */
export interface BlobAddress {
  /** The account's blob service, without a slash at its end. */
  readonly serviceUrl: string;
  readonly account: string;
  readonly container: string;
  /** Decoded. */
  readonly blob: string;
  /** The blob's address without a query. */
  readonly url: string;
  /** The time that names the snapshot. */
  readonly snapshot: string | null;
}

export interface BlobAddresses {
  /** Throws CLOUD_ID_INVALID. */
  parse(text: string): BlobAddress;
  /** One that must name a snapshot. */
  parseSnapshot(text: string): BlobAddress & { readonly snapshot: string };
}

const accountPattern = /^[a-z0-9]{3,24}$/;
const containerPattern = /^[a-z0-9](-?[a-z0-9]){2,62}$/;
/** A snapshot's time as the service spells it, in ticks (REST reference, Snapshot Blob). */
const snapshotPattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{7}Z$/;
const maxBlobNameChars = 1024;

/**
 * Addresses of disks come from the machine's description and go into requests that carry the backup's identity. So they are
 * parsed by what is allowed: the blob service of a storage account (with the zone of its DNS name where it has one), a container, a
 * blob, and no query but a snapshot's time. Plain http, with the account in the path, is for a stand-in on this machine only.
 */
export function createBlobAddresses(armEndpoint: URL, moreHosts: readonly string[]): BlobAddresses {
  const parse = (text: string): BlobAddress => {
    const url = text.length <= 4096 && URL.canParse(text) ? new URL(text) : undefined;
    const place = url && (isLoopback(url) ? loopbackPlace(url, armEndpoint) : accountPlace(url, moreHosts));
    const snapshot = url?.searchParams.get('snapshot') ?? null;
    const isPlain = url && url.username === '' && url.password === '' && url.hash === '' && url.search === (snapshot === null ? '' : `?snapshot=${snapshot}`);
    if (!url || !place || !isPlain || (snapshot !== null && !snapshotPattern.test(snapshot))) throw invalid(text);
    const [container = '', ...rest] = place.path;
    const blob = decoded(rest.join('/'));
    if (!containerPattern.test(container) || blob === undefined || blob === '' || blob.length > maxBlobNameChars) throw invalid(text);
    return { serviceUrl: place.serviceUrl, account: place.account, container, blob, url: `${url.origin}${url.pathname}`, snapshot };
  };
  return {
    parse,
    parseSnapshot: (text) => {
      const { snapshot, ...address } = parse(text);
      if (snapshot === null) throw invalid(text);
      return { ...address, snapshot };
    },
  };
}

interface Place { readonly account: string; readonly serviceUrl: string; readonly path: readonly string[] }

function accountPlace(url: URL, moreHosts: readonly string[]): Place | undefined {
  const [account = '', ...rest] = url.hostname.toLowerCase().split('.');
  const host = rest.join('.');
  const isAzure = /^blob\.core\.windows\.net$|^z\d{1,2}\.blob\.storage\.azure\.net$/.test(host) || moreHosts.some((allowed) => host === `blob.${allowed.toLowerCase()}`);
  if (url.protocol !== 'https:' || url.port !== '' || !isAzure || !accountPattern.test(account)) return undefined;
  return { account, serviceUrl: url.origin, path: url.pathname.split('/').slice(1) };
}

function loopbackPlace(url: URL, armEndpoint: URL): Place | undefined {
  const [, account = '', ...path] = url.pathname.split('/');
  if (!isLoopback(armEndpoint) || !accountPattern.test(account)) return undefined;
  return { account, serviceUrl: `${url.origin}/${account}`, path };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

const invalid = (text: string): HoldfastError =>
  new HoldfastError('CLOUD_ID_INVALID', `${JSON.stringify(text.split('?')[0]?.slice(0, 300))} is not the address of a disk's page blob in a storage account`, { data: { serviceCode: '' } });
