import { createHash } from 'node:crypto';
import { startWireServer, type WireAnswer, type WireRequest, type WireServer } from './wire-server';

interface Blob { readonly data: Buffer; readonly at: number; readonly metadata: Record<string, string>; until: number | null; mode: 'Locked' | 'Unlocked' }

/** A container of Azure Blob Storage with version-level immutability and a locked default policy: the part of the protocol that the store speaks. */
export interface FakeWormBlobs extends WireServer {
  readonly containerUrl: string;
  /** Moves the server's clock. */
  advance(ms: number): void;
  /** What new blobs get from now on. */
  setDefault(policy: { readonly holdMs: number; readonly mode: 'Locked' | 'Unlocked' } | null): void;
  denyExtending(deny: boolean): void;
  /** Answers questions about blobs with 500. */
  hideProperties(hide: boolean): void;
}

export async function startFakeWormBlobs(holdMs: number): Promise<FakeWormBlobs> {
  const blobs = new Map<string, Blob>();
  const state = { nowMs: Math.floor(Date.now() / 1000) * 1000, policy: { holdMs, mode: 'Locked' } as { holdMs: number; mode: 'Locked' | 'Unlocked' } | null, deny: false, hide: false };
  const server = await startWireServer((request) => withTime(answer(request), state.nowMs));

  function answer(request: WireRequest): WireAnswer {
    const name = request.path.split('/').slice(3).join('/');
    if (name === '' && request.query.get('restype') === 'container' && request.method === 'PUT') return { status: 201 };
    if (name === '') return request.method === 'GET' ? list(request) : refuse(405, 'UnsupportedHttpVerb');
    if (request.method === 'PUT' && request.query.get('comp') === 'immutabilityPolicies') return extend(name, request);
    if (request.method === 'PUT') return put(name, request);
    if (request.method === 'HEAD' && state.hide) return refuse(500, 'InternalError');
    const blob = blobs.get(name);
    if (!blob) return refuse(404, 'BlobNotFound');
    if (request.method === 'DELETE') return remove(name, blob);
    return get(blob, request);
  }

  function put(name: string, request: WireRequest): WireAnswer {
    if (blobs.has(name)) return refuse(409, 'BlobAlreadyExists');
    const metadata = Object.fromEntries(Object.entries(request.headers).flatMap(([key, value]) => (key.startsWith('x-ms-meta-') ? [[key, String(value)]] : [])));
    blobs.set(name, { data: Buffer.from(request.raw), at: state.nowMs, metadata, until: state.policy && state.nowMs + state.policy.holdMs, mode: state.policy?.mode ?? 'Unlocked' });
    return { status: 201 };
  }

  function extend(name: string, { headers }: WireRequest): WireAnswer {
    const blob = blobs.get(name);
    const until = Date.parse(String(headers['x-ms-immutability-policy-until-date']));
    const mode = String(headers['x-ms-immutability-policy-mode'] ?? 'Unlocked');
    if (state.deny) return refuse(403, 'AuthorizationPermissionMismatch');
    if (!blob) return refuse(404, 'BlobNotFound');
    const wasLocked = blob.until !== null && blob.mode === 'Locked';
    if (Number.isNaN(until) || until <= state.nowMs || (wasLocked && (until < (blob.until ?? 0) || !/^locked$/i.test(mode)))) return refuse(409, 'BlobImmutableDueToPolicy');
    blob.until = until;
    blob.mode = /^locked$/i.test(mode) ? 'Locked' : 'Unlocked';
    return { status: 200, headers: policyHeaders(blob) };
  }

  function remove(name: string, blob: Blob): WireAnswer {
    if (blob.until !== null && state.nowMs < blob.until) return refuse(409, 'BlobImmutableDueToPolicy');
    blobs.delete(name);
    return { status: 202 };
  }

  function get(blob: Blob, { headers, method }: WireRequest): WireAnswer {
    const range = /^bytes=(\d+)-(\d*)$/.exec(String(headers['x-ms-range'] ?? headers['range'] ?? ''));
    const first = Number(range?.[1] ?? 0);
    if (range && first >= blob.data.length) return { ...refuse(416, 'InvalidRange'), headers: { 'x-ms-error-code': 'InvalidRange', 'content-range': `bytes */${String(blob.data.length)}` } };
    const end = Math.min(blob.data.length, range?.[2] ? Number(range[2]) + 1 : blob.data.length);
    return {
      status: range ? 206 : 200, body: blob.data.subarray(first, end),
      headers: {
        ...blob.metadata, ...policyHeaders(blob), etag: '"0x1"', 'last-modified': new Date(blob.at).toUTCString(), 'content-md5': createHash('md5').update(blob.data).digest('base64'),
        ...(range ? { 'content-range': `bytes ${String(first)}-${String(end - 1)}/${String(blob.data.length)}` } : {}), ...(method === 'HEAD' ? { 'content-length': String(blob.data.length) } : {}),
      },
    };
  }

  function list({ query }: WireRequest): WireAnswer {
    const after = query.get('marker') ?? '';
    const names = [...blobs.keys()].filter((name) => name.startsWith(query.get('prefix') ?? '') && name > after).sort((a, b) => (a < b ? -1 : 1));
    const page = names.slice(0, Number(query.get('maxresults') ?? 5000));
    const include = (query.get('include') ?? '').split(',').includes('immutabilitypolicy');
    const rows = page.map((name) => {
      const blob = blobs.get(name) as Blob;
      const policy = include && blob.until !== null ? `<ImmutabilityPolicyUntilDate>${new Date(blob.until).toUTCString()}</ImmutabilityPolicyUntilDate><ImmutabilityPolicyMode>${blob.mode.toLowerCase()}</ImmutabilityPolicyMode>` : '';
      return `<Blob><Name>${name}</Name><Properties><Last-Modified>${new Date(blob.at).toUTCString()}</Last-Modified><Content-Length>${String(blob.data.length)}</Content-Length><BlobType>BlockBlob</BlobType>${policy}</Properties></Blob>`;
    });
    const next = page.length < names.length ? page.at(-1) ?? '' : '';
    return { status: 200, headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="" ContainerName="vault"><Blobs>${rows.join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>` };
  }

  return Object.assign(server, {
    containerUrl: `${server.url}/devstoreaccount1/vault`,
    advance: (ms: number) => { state.nowMs += ms; },
    setDefault: (policy: typeof state.policy) => { state.policy = policy; },
    denyExtending: (deny: boolean) => { state.deny = deny; },
    hideProperties: (hide: boolean) => { state.hide = hide; },
  });
}

const policyHeaders = ({ until, mode }: Blob): Record<string, string> => (until === null ? {} : { 'x-ms-immutability-policy-until-date': new Date(until).toUTCString(), 'x-ms-immutability-policy-mode': mode.toLowerCase() });

const refuse = (status: number, code: string): Exclude<WireAnswer, 'reset'> => ({ status, headers: { 'x-ms-error-code': code, 'content-type': 'application/xml' }, body: `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>` });

const withTime = (answer: WireAnswer, nowMs: number): WireAnswer => (answer === 'reset' ? answer : { ...answer, headers: { date: new Date(nowMs).toUTCString(), ...answer.headers } });
