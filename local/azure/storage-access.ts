import { createHmac, timingSafeEqual } from 'node:crypto';
import { escapeXml, BlobError } from './wire';
import type { World } from './world';

/** The storage account of the unmanaged disks. Its data plane lies at /{account}/{container}/{blob}, as an emulator's does. */
export const localAccount = 'localvhds';
export const diskContainer = 'vhds';
const keyService = 'b';
const owner = '00000000-0000-4000-8000-00000000aa01';
const tenant = '00000000-0000-4000-8000-00000000aa02';

/** POST ?restype=service&comp=userdelegationkey: a key of the app's identity, by which it makes signatures. */
export function userDelegationKey(world: World, body: string, version: string): string {
  const start = /<Start>([^<]{1,40})<\/Start>/.exec(body)?.[1] ?? '';
  const expiry = /<Expiry>([^<]{1,40})<\/Expiry>/.exec(body)?.[1] ?? '';
  const lifeMs = Date.parse(expiry) - world.now();
  if (!(lifeMs > 0) || lifeMs > 7 * 86_400_000) throw new BlobError(400, 'InvalidXmlNodeValue', 'The expiry of a user delegation key lies at most seven days ahead.');
  const fields = { SignedOid: owner, SignedTid: tenant, SignedStart: start, SignedExpiry: expiry, SignedService: keyService, SignedVersion: version, Value: keyValue(world, start, expiry).toString('base64') };
  const xml = Object.entries(fields).map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`).join('');
  return `<?xml version="1.0" encoding="utf-8"?><UserDelegationKey>${xml}</UserDelegationKey>`;
}

const keyValue = (world: World, start: string, expiry: string): Buffer => createHmac('sha256', world.state.seed).update(`delegation\0${start}\0${expiry}`).digest();

/** What a request wants to do, in the letters of an access signature. */
export type Wanted = 'r' | 'w' | 'c' | 'd';

/**
 * Checks the access signature of a request as the service does (REST reference, Create a user delegation SAS, version 2022-11-02). A request without one is
 * the app's own: whoever reaches this port has its rights, which the documentation says.
 */
export function checkSignature(world: World, url: URL, container: string, blob: string, wanted: readonly Wanted[]): void {
  const query = url.searchParams;
  const signature = query.get('sig');
  if (signature === null) return;
  const at = (name: string): string => query.get(name) ?? '';
  const snapshot = query.get('snapshot');
  const isExpired = !(world.now() < Date.parse(at('se'))) || !(world.now() < Date.parse(at('ske')));
  const kindFits = at('sr') === (snapshot === null ? 'b' : 'bs');
  const text = [
    at('sp'), at('st'), at('se'), `/blob/${localAccount}/${container}/${blob}`, at('skoid'), at('sktid'), at('skt'), at('ske'), at('sks'), at('skv'),
    '', '', '', at('sip'), at('spr'), at('sv'), at('sr'), snapshot ?? '', '', '', '', '', '', '',
  ].join('\n');
  const expected = createHmac('sha256', keyValue(world, at('skt'), at('ske'))).update(text, 'utf8').digest();
  const given = Buffer.from(signature, 'base64');
  if (isExpired || !kindFits || given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new BlobError(403, 'AuthenticationFailed', 'Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.');
  }
  if (!wanted.some((letter) => at('sp').includes(letter))) {
    throw new BlobError(403, 'AuthorizationPermissionMismatch', 'This request is not authorized to perform this operation using this permission.');
  }
}
