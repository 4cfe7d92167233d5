import { z } from 'zod';
import { audiencesOf, type EntraSettings, issuersOf } from './entra';
import { type Caller, type Role, ROLES, unauthenticated } from './roles';

/**
 * Who is signed in, as Azure App Service tells the app: base64 of JSON. It is not signed; what makes it true is that the platform, while its authentication is on, takes away whatever a caller sends under this
 * name (MicrosoftDocs/azure-docs, articles/app-service/configure-authentication-user-identities.md).
 */
export const PRINCIPAL_HEADER = 'X-MS-CLIENT-PRINCIPAL';

const MAX_HEADER_CHARACTERS = 64 * 1024;

const principalSchema = z.object({
  auth_typ: z.literal('aad'),
  claims: z.array(z.object({ typ: z.string(), val: z.string() })).max(1000),
});

/** Claims come under their short names or under the long ones that the platform maps some of them to. */
const TYPES = {
  oid: ['oid', 'http://schemas.microsoft.com/identity/claims/objectidentifier'],
  tid: ['tid', 'http://schemas.microsoft.com/identity/claims/tenantid'],
  roles: ['roles', 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role'],
  iss: ['iss'],
  aud: ['aud'],
  name: ['preferred_username', 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn', 'upn', 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress', 'name'],
} as const;

/** Throws UNAUTHENTICATED unless it is a person of the tenant who signed in to this very app. */
export function callerOfPrincipal(header: string, entra: EntraSettings): Omit<Caller, 'from'> {
  const { claims } = parsePrincipal(header);
  const valuesOf = (types: readonly string[]): string[] => types.flatMap((type) => claims.filter(({ typ }) => typ === type).map(({ val }) => val));
  const ids = new Set(valuesOf(TYPES.oid));
  const tenants = new Set(valuesOf(TYPES.tid));
  const [id] = ids;
  if (id === undefined || ids.size !== 1) throw wrong('it does not name one object of Entra ID');
  if (tenants.size !== 1 || !tenants.has(entra.tenantId)) throw wrong('it is of another tenant');
  if (valuesOf(TYPES.iss).some((issuer) => !issuersOf(entra).includes(issuer))) throw wrong('somebody else issued it');
  if (valuesOf(TYPES.aud).some((audience) => !audiencesOf(entra).includes(audience))) throw wrong('it is of a sign-in to another app');
  const roles = new Set(valuesOf(TYPES.roles));
  return { id, name: valuesOf(TYPES.name)[0] ?? id, kind: 'user', roles: ROLES.filter((role: Role) => roles.has(role)) };
}

function parsePrincipal(header: string): z.output<typeof principalSchema> {
  if (header.length > MAX_HEADER_CHARACTERS || !/^[A-Za-z0-9+/]+={0,2}$/.test(header)) throw wrong('it is not base64 of a sensible size');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(header, 'base64').toString('utf8'));
  } catch {
    throw wrong('it does not hold JSON');
  }
  const parsed = principalSchema.safeParse(value);
  if (!parsed.success) throw wrong('it is no sign-in with Entra ID');
  return parsed.data;
}

const wrong = (why: string): Error => unauthenticated(`The session is not accepted: ${why}`);
