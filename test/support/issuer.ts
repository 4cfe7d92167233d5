import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import type { EntraSettings } from '../../access/entra';
import type { Role } from '../../access/roles';

type PrivateKey = Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];

export const TENANT = '11111111-2222-4333-8444-555555555555';
export const CLIENT = '99999999-8888-4777-8666-555555555555';

/** The names of whoever has a role, as tokens of the issuer have them. */
export const OBJECT_IDS: Readonly<Record<Role | 'nobody', string>> = {
  Reader: '00000000-0000-4000-8000-0000000000a1', Operator: '00000000-0000-4000-8000-0000000000a2', RestoreOperator: '00000000-0000-4000-8000-0000000000a3',
  Admin: '00000000-0000-4000-8000-0000000000a4', nobody: '00000000-0000-4000-8000-0000000000a0',
};

export interface TokenOptions {
  readonly claims?: JWTPayload;
  /** Claims that are left out. */
  readonly without?: readonly string[];
  /** Signed with a key that the issuer does not publish, under the name of one that it does. */
  readonly foreignKey?: boolean;
}

/** A stand-in for Entra ID over a socket: it publishes the keys of one tenant, and signs access tokens with the newest. */
export class Issuer {
  /** Requests for the keys until now. */
  asked = 0;
  /** Answers in place of the keys, while it is set. */
  answer: { readonly status: number; readonly body: string } | null = null;
  readonly #keys: { readonly kid: string; readonly privateKey: PrivateKey; readonly jwk: object }[] = [];
  #foreign: PrivateKey | undefined;

  private constructor(private readonly server: Server, private readonly nowMs: () => number) {}

  static async start(nowMs: () => number = Date.now): Promise<Issuer> {
    const server = createServer((request, response) => {
      issuer.asked++;
      const known = request.url === `/${TENANT}/discovery/v2.0/keys`;
      const { status, body } = issuer.answer ?? { status: known ? 200 : 404, body: JSON.stringify({ keys: issuer.#keys.map(({ jwk }) => jwk) }) };
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
    const issuer = new Issuer(server, nowMs);
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    await issuer.rotate();
    return issuer;
  }

  get settings(): EntraSettings {
    return { tenantId: TENANT, clientId: CLIENT, authority: `http://127.0.0.1:${(this.server.address() as AddressInfo).port}` };
  }

  /** The app's settings that have it take this issuer's tokens. */
  get env(): Readonly<Record<string, string>> {
    return { HOLDFAST_AUTH: 'bearer', HOLDFAST_AUTH_TENANT: TENANT, HOLDFAST_AUTH_CLIENT_ID: CLIENT, HOLDFAST_AUTH_AUTHORITY: this.settings.authority };
  }

  /** A new key, beside those before it. */
  async rotate(): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    const kid = `key-${this.#keys.length + 1}`;
    this.#keys.push({ kid, privateKey, jwk: { ...await exportJWK(publicKey), kid, use: 'sig' } });
  }

  /** An access token of version 2 of a person with these roles. */
  async token(roles: readonly string[], { claims = {}, without = [], foreignKey = false }: TokenOptions = {}): Promise<string> {
    const key = this.#keys.at(-1);
    if (!key) throw new Error('the issuer has no key');
    if (foreignKey) this.#foreign ??= (await generateKeyPair('RS256')).privateKey;
    const now = Math.floor(this.nowMs() / 1000);
    const role = roles[0] ?? 'nobody';
    const all: JWTPayload = {
      iss: `${this.settings.authority}/${TENANT}/v2.0`, aud: CLIENT, tid: TENANT, oid: OBJECT_IDS[role as Role] ?? OBJECT_IDS.nobody, sub: 'a pairwise subject', ver: '2.0',
      iat: now, nbf: now, exp: now + 3600, scp: 'user_impersonation', azp: '04b07795-8ddb-461a-bbee-02f9e1bf7b46', preferred_username: `${role.toLowerCase()}@example.com`, ...(roles.length > 0 ? { roles: [...roles] } : {}), ...claims,
    };
    const kept = Object.fromEntries(Object.entries(all).filter(([name]) => !without.includes(name)));
    return new SignJWT(kept).setProtectedHeader({ alg: 'RS256', kid: key.kid, typ: 'JWT' }).sign(foreignKey && this.#foreign ? this.#foreign : key.privateKey);
  }

  /** The public key that it publishes first, as JSON. */
  get publicKey(): string {
    return JSON.stringify(this.#keys[0]?.jwk);
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve, reject) => { this.server.close((error) => (error ? reject(error) : resolve())); });
  }
}
