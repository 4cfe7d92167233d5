import { constants, generateKeyPairSync, type KeyObject, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TokenCredential } from '@azure/identity';

/** Compiled tests lie in dist/test/support. */
const tls = join(__dirname, '..', '..', '..', 'test', 'fixtures', 'tls');
const RESOURCE = 'https://vault.azure.net';
const TENANT = 'aaaaaaaa-0000-4000-8000-000000000001';

type Pair = Pick<Version, 'publicKey' | 'privateKey'>;
/** Made once for all tests of the process: making one takes a good part of a second. */
const pairs: Pair[] = [];

interface Version { readonly privateKey: KeyObject; readonly publicKey: KeyObject; enabled: boolean }
export interface FakeAnswer { readonly status: number; readonly body: string; readonly headers?: Readonly<Record<string, string>> }

/** A Key Vault on this machine, over TLS, with the answers of the real one: challenge, wrapkey, unwrapkey, refusals. RSA keys of 2,048 bits. */
export interface FakeKeyVault {
  readonly origin: string;
  /** The certificate to trust. */
  readonly ca: string;
  readonly caFile: string;
  /** "POST /keys/NAME/VERSION/unwrapkey STATUS", in order. */
  readonly log: readonly string[];
  readonly bodies: readonly string[];
  /** Answers tokens that this vault takes; `tenants` notes the tenant that was asked for each time. */
  readonly credential: TokenCredential;
  readonly tenants: readonly (string | undefined)[];
  /** What the SDK finds as the machine's managed identity, and the certificate: the environment of a process that uses this vault. */
  readonly env: NodeJS.ProcessEnv;
  /** The client ids that the managed identity was asked for, in order; null where none was named. */
  readonly identities: readonly (string | null)[];
  /** Makes a key, or a newer version of it; answers its full id. */
  rotate(name: string): string;
  privateKeyOf(id: string): KeyObject;
  disable(id: string): void;
  enable(id: string): void;
  remove(name: string): void;
  /** Answers the next requests with these, whatever they ask. */
  plan(...answers: FakeAnswer[]): void;
  /** Takes only tokens that were made for this tenant. */
  demandTenant(): void;
  denyAll(deny: boolean): void;
  close(): Promise<void>;
}

export async function startFakeKeyVault(): Promise<FakeKeyVault> {
  const keys = new Map<string, Map<string, Version>>();
  let used = 0;
  const nextPair = (): Pair => (pairs[used++] ??= generateKeyPairSync('rsa', { modulusLength: 2048 }));
  const state = { log: [] as string[], bodies: [] as string[], tenants: [] as (string | undefined)[], identities: [] as (string | null)[], planned: [] as FakeAnswer[], wantedToken: /^token-/, deny: false };
  const server = https.createServer({ key: readFileSync(join(tls, 'localhost.key')), cert: readFileSync(join(tls, 'localhost.crt')) }, (incoming, outgoing) => {
    void readAll(incoming).then((body) => {
      const answer = state.planned.shift() ?? answerTo(incoming, body);
      state.log.push(`${incoming.method ?? ''} ${incoming.url?.split('?')[0] ?? ''} ${String(answer.status)}`);
      state.bodies.push(body);
      send(outgoing, answer);
    });
  });
  const identity = http.createServer((incoming, outgoing) => {
    const { searchParams } = new URL(incoming.url ?? '', 'http://x');
    const resource = searchParams.get('resource');
    state.identities.push(searchParams.get('client_id'));
    const isGood = incoming.headers['x-identity-header'] === 'secret' && resource === RESOURCE;
    send(outgoing, isGood ? json(200, { access_token: 'token-of-managed-identity', expires_on: String(Math.floor(Date.now() / 1000) + 3600), resource, token_type: 'Bearer' }) : json(400, {}));
  });
  await Promise.all([server, identity].map((one) => new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve))));
  const origin = `https://localhost:${String((server.address() as AddressInfo).port)}`;
  const caFile = join(tls, 'localhost.crt');

  function answerTo(incoming: IncomingMessage, body: string): FakeAnswer {
    const url = new URL(incoming.url ?? '', origin);
    const token = /^Bearer (.+)$/.exec(incoming.headers.authorization ?? '')?.[1] ?? '';
    if (!state.wantedToken.test(token)) return { ...json(401, { error: { code: 'Unauthorized', message: 'AKV10032: Invalid issuer.' } }), headers: { 'www-authenticate': `Bearer authorization="https://login.microsoftonline.com/${TENANT}", resource="${RESOURCE}"` } };
    if (state.deny) return forbidden('Caller is not authorized to perform action on resource.', 'ForbiddenByRbac');
    const [, , name = '', asked = '', operation = ''] = url.pathname.split('/');
    if (incoming.method !== 'POST' || url.searchParams.get('api-version') === null || !/^(un)?wrapkey$/.test(operation)) return json(405, { error: { code: 'MethodNotAllowed', message: 'no' } });
    const versions = keys.get(name.toLowerCase());
    const version = asked === '' ? [...versions?.keys() ?? []].at(-1) ?? '' : asked;
    const key = versions?.get(version);
    if (!key) return json(404, { error: { code: 'KeyNotFound', message: `A key with (name/id) ${name}/${version} was not found in this key vault.` } });
    return work(key, `${origin}/keys/${name}/${version}`, operation, JSON.parse(body) as { alg: string; value: string });
  }

  const versionOf = (id: string): Version => {
    const [, , name = '', version = ''] = new URL(id).pathname.split('/');
    const found = keys.get(name.toLowerCase())?.get(version);
    if (!found) throw new Error(`no key ${id}`);
    return found;
  };
  return {
    origin, caFile, ca: readFileSync(caFile, 'utf8'), log: state.log, bodies: state.bodies, tenants: state.tenants, identities: state.identities,
    credential: {
      getToken: (_scopes, options) => {
        state.tenants.push(options?.tenantId);
        return Promise.resolve({ token: options?.tenantId === TENANT ? 'token-of-tenant' : 'token-of-home', expiresOnTimestamp: Date.now() + 3_600_000 });
      },
    },
    env: { NODE_EXTRA_CA_CERTS: caFile, IDENTITY_ENDPOINT: `http://127.0.0.1:${String((identity.address() as AddressInfo).port)}/msi/token`, IDENTITY_HEADER: 'secret' },
    rotate: (name) => {
      const version = randomBytes(16).toString('hex');
      const versions = keys.get(name.toLowerCase()) ?? new Map<string, Version>();
      keys.set(name.toLowerCase(), versions.set(version, { ...nextPair(), enabled: true }));
      return `${origin}/keys/${name}/${version}`;
    },
    privateKeyOf: (id) => versionOf(id).privateKey,
    disable: (id) => { versionOf(id).enabled = false; },
    enable: (id) => { versionOf(id).enabled = true; },
    remove: (name) => void keys.delete(name.toLowerCase()),
    plan: (...answers) => void state.planned.push(...answers),
    demandTenant: () => { state.wantedToken = /^token-of-tenant$/; },
    denyAll: (deny) => { state.deny = deny; },
    close: async () => {
      await Promise.all([server, identity].map((one) => new Promise<void>((resolve) => {
        one.close(() => resolve());
        one.closeAllConnections();
      })));
    },
  };
}

/** RSA-OAEP-256 alone; a disabled key wraps, which is what the service does, and does not unwrap. */
function work(key: Version, kid: string, operation: string, { alg, value }: { alg: string; value: string }): FakeAnswer {
  if (alg !== 'RSA-OAEP-256') return json(400, { error: { code: 'BadParameter', message: `${alg} is not what this test expects` } });
  const options = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  const input = Buffer.from(value, 'base64url');
  if (operation === 'wrapkey') return json(200, { kid, value: publicEncrypt({ key: key.publicKey, ...options }, input).toString('base64url') });
  if (!key.enabled) return forbidden('Operation unwrapKey is not allowed on a disabled key.', 'KeyDisabled');
  try {
    return json(200, { kid, value: privateDecrypt({ key: key.privateKey, ...options }, input).toString('base64url') });
  } catch {
    return json(400, { error: { code: 'BadParameter', message: 'Property  has invalid value' } });
  }
}

export const json = (status: number, body: object): FakeAnswer => ({ status, body: JSON.stringify(body) });
const forbidden = (message: string, innerCode: string): FakeAnswer => json(403, { error: { code: 'Forbidden', message, innererror: { code: innerCode } } });

function send(outgoing: ServerResponse, { status, body, headers }: FakeAnswer): void {
  outgoing.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers }).end(body);
}

async function readAll(incoming: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}
