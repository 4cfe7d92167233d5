import type { ClientRequest } from 'node:http';
import type { Duty } from '../../activities/deps';
import type { Traffic } from '../../local/azure/calls';
import type { StoreUse } from '../support/traffic';
import { merged, type Shape, shapeOf } from './shape';

/** One kind of request, whoever and however often. */
export interface Call {
  /** `METHOD Namespace/type/{}`, `keyvault OPERATION`, `blob OPERATION`, `access OPERATION` (behind a disk's access URL, where no identity is shown) or `vault OPERATION`. */
  readonly call: string;
  /** api-version or x-ms-version; absent for what the vault's store is asked, which is not the wire. */
  readonly version?: string;
  /** Duties that were seen to make it; absent where only tests of a single adapter do. */
  readonly by?: readonly Duty[];
  readonly body?: Shape;
}

/** A request as the client sends it, without its body. */
export interface Sent {
  readonly method: string;
  readonly target: string;
  header(name: string): string | undefined;
}

/** Node tells each request of its client here when it is sent. */
export const sentChannel = 'http.client.request.start';
export function sentOf(message: unknown): Sent {
  const { request } = message as { readonly request: ClientRequest };
  return { method: request.method, target: request.path, header: (name) => request.getHeader(name)?.toString() };
}

/** The name by which the app's own requests are told from those of a test's client. */
const own = /^holdfast(?:-(backup|maintenance|restore))?(?=\s|$)/;

/** The list of what was asked of Azure, one entry a kind. */
export class CallList {
  private readonly calls = new Map<string, { call: Call; duties: Set<Duty> }>();

  /** A request that Resource Manager was sent. */
  addArm({ method, target, userAgent, body }: Traffic): void {
    const sender = own.exec(userAgent ?? '');
    if (!sender) return;
    const url = new URL(target, 'http://arm');
    this.add({ call: `${method} ${armTemplate(url)}`, version: url.searchParams.get('api-version') ?? '', ...(Object.keys(body).length === 0 ? {} : { body: shapeOf(body) }) }, sender[1] as Duty | undefined);
  }

  /** Any other request that a client of this process sends; those of Resource Manager are known with their bodies from where they arrive. */
  addSent(sent: Sent): void {
    const url = new URL(sent.target, 'http://data');
    if (/^\/subscriptions(\/|$)/i.test(url.pathname)) return;
    const userAgent = sent.header('user-agent');
    const version = { version: sent.header('x-ms-version') ?? '' };
    if (userAgent === undefined && url.searchParams.has('sig')) {
      // The client that moves the bytes of disks names itself not at all: what it shows is a signature, of a managed disk or (skoid) one that the app made itself.
      const signed = url.searchParams.has('skoid') ? `, signed ${url.searchParams.get('sp') ?? ''}` : '';
      this.add({ call: `${signed === '' ? 'access' : 'blob'} ${blobOperation(sent, url)}${signed}`, ...version }, undefined);
    }
    const sender = own.exec(userAgent ?? '');
    if (!sender) return;
    const duty = sender[1] as Duty | undefined;
    const keyOperation = /^\/keys\/[^/]+\/[^/]*\/(\w+)$/.exec(url.pathname)?.[1];
    if (keyOperation !== undefined) return this.add({ call: `keyvault ${keyOperation}`, version: url.searchParams.get('api-version') ?? '' }, duty);
    if (version.version !== '') this.add({ call: `blob ${blobOperation(sent, url)}`, ...version }, duty);
  }

  addStoreUse({ duty, operation }: StoreUse): void {
    this.add({ call: `vault ${operation}` }, duty);
  }

  /** Adds what a list has already. */
  addAll(calls: readonly Call[]): void {
    for (const call of calls) {
      if (call.by === undefined) this.add(call, undefined);
      for (const duty of call.by ?? []) this.add(call, duty);
    }
  }

  /** Sorted by call and version. */
  all(): readonly Call[] {
    return [...this.calls.entries()].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, { call, duties }]) => ({
      call: call.call, ...(call.version === undefined ? {} : { version: call.version }), ...(duties.size === 0 ? {} : { by: [...duties].sort() }), ...(call.body === undefined ? {} : { body: call.body }),
    }));
  }

  private add(call: Call, duty: Duty | undefined): void {
    const key = `${call.call} ${call.version ?? ''}`;
    const known = this.calls.get(key) ?? { call, duties: new Set<Duty>() };
    if (duty !== undefined) known.duties.add(duty);
    const body = known.call.body === undefined || call.body === undefined ? known.call.body ?? call.body : merged(known.call.body, call.body);
    this.calls.set(key, { call: body === undefined ? call : { ...call, body }, duties: known.duties });
  }
}

/** What is asked, without whose: names become {}. `$expand` stays, since it makes another answer. */
function armTemplate(url: URL): string {
  const segments = decodeURIComponent(url.pathname).split('/').filter((segment) => segment !== '');
  const at = segments.findIndex((segment) => segment.toLowerCase() === 'providers');
  const rest = at < 0 ? segments : segments.slice(at + 2);
  const isAction = rest.length % 2 === 1 && rest.length > 1;
  const parts = rest.map((part, index) => (index % 2 === 1 ? '{}' : part));
  const expand = url.searchParams.get('$expand');
  return `${[...(at < 0 ? [] : [segments[at + 1] ?? '']), ...(isAction ? [...parts.slice(0, -1), rest.at(-1) ?? ''] : parts)].join('/')}${expand === null ? '' : `?$expand=${expand}`}`;
}

/** The operation of the blob service, by the name that its reference gives it. */
export function blobOperation({ method, header }: Sent, { searchParams }: URL): string {
  const [comp, restype] = [searchParams.get('comp'), searchParams.get('restype')];
  const what = `${method} ${[restype, comp].filter(Boolean).join(' ')}`.trim();
  if (what === 'PUT page') return header('x-ms-copy-source') !== undefined ? 'Put Page From URL' : header('x-ms-page-write') === 'clear' ? 'Put Page, clear' : 'Put Page';
  if (what === 'GET pagelist') return searchParams.has('prevsnapshot') || header('x-ms-previous-snapshot-url') !== undefined ? 'Get Page Ranges, diff' : 'Get Page Ranges';
  if (what === 'PUT') return header('if-none-match') === '*' ? 'Put Blob, create only' : 'Put Blob';
  const names: Readonly<Record<string, string>> = {
    'PUT container': 'Create Container', 'GET container list': 'List Blobs', 'POST service userdelegationkey': 'Get User Delegation Key', 'PUT snapshot': 'Snapshot Blob',
    'PUT immutabilityPolicies': 'Set Blob Immutability Policy', GET: 'Get Blob', HEAD: 'Get Blob Properties', DELETE: 'Delete Blob',
  };
  return names[what] ?? what;
}
