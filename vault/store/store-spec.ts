import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../../errors/holdfast-error';

/** Where a vault lies, safe to send as JSON to a worker. May hold a secret (an access signature in `containerUrl`): see redactSpec. */
export type StoreSpec =
  | { readonly kind: 'folder'; /** Absolute. */ readonly path: string }
  | { readonly kind: 'blob'; /** The container's address; its query, if any, is a shared access signature. */ readonly containerUrl: string };

/** The parts of a container's address. */
export interface ContainerAddress {
  readonly account: string;
  readonly container: string;
  /** The address without the access signature: safe to show. */
  readonly publicUrl: string;
  readonly hasSignature: boolean;
  readonly isLoopback: boolean;
}

/** The account that Azurite serves (Azurite's documentation, "Default storage account"). */
export const emulatorAccount = 'devstoreaccount1';

const scheme = /^([a-z][a-z0-9+.-]+):\/\//i;
/** Naming and Referencing Containers, Blobs, and Metadata: 3 to 63 of a-z, 0-9 and single dashes, none at either end. */
const containerName = /^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/;
const blobHostWithoutScheme = /^[a-z0-9-]+\.(blob|dfs)\.[a-z0-9.-]+(:\d+)?\//i;

/** Reads a vault address as a person writes it: a folder, or a file:, https: or (on this machine) http: URL. Throws VAULT_ADDRESS. */
export function parseVaultAddress(text: string): StoreSpec {
  if (text.trim() === '') throw badAddress(text, 'it is empty');
  if (text.includes('\0')) throw badAddress(text, 'it contains a zero byte');
  const found = scheme.exec(text)?.[1]?.toLowerCase();
  if (found === undefined && blobHostWithoutScheme.test(text)) throw badAddress(text, 'a container address starts with https://');
  if (found === undefined) return { kind: 'folder', path: resolve(text) };
  if (found === 'file') return { kind: 'folder', path: folderOfUrl(text) };
  if (found !== 'https' && found !== 'http') throw badAddress(text, `Holdfast does not know ${found}://`);
  parseContainerUrl(text);
  return { kind: 'blob', containerUrl: text };
}

/** Takes a container's address apart. Throws VAULT_ADDRESS for anything that is not the address of one whole container. */
export function parseContainerUrl(text: string): ContainerAddress {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw badAddress(text, 'it is not an http address');
  if (url.username !== '' || url.password !== '') throw badAddress(text, 'a user name or password has no place in it');
  if (url.hash !== '') throw badAddress(text, 'it has a # part');
  const isLoopback = url.hostname === 'localhost' || url.hostname === '[::1]' || /^127\./.test(url.hostname);
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const hostIsAddress = isLoopback || parts[0] === emulatorAccount || /^[\d.]+$/.test(url.hostname) || url.hostname.startsWith('[');
  if (/^[^.]+\.dfs\./.test(url.hostname)) throw badAddress(text, 'Holdfast uses the blob endpoint: write .blob. instead of .dfs.');
  const account = hostIsAddress ? parts.shift() : url.hostname.split('.')[0];
  const container = parts[0];
  if (account === undefined || container === undefined) throw badAddress(text, 'the container is missing');
  if (parts.length > 1) throw badAddress(text, 'a vault takes a whole container, so nothing follows the container name');
  if (!containerName.test(container)) throw badAddress(text, `${JSON.stringify(container)} is not a container name`);
  const hasSignature = url.searchParams.has('sig');
  if (url.search !== '' && !hasSignature) throw badAddress(text, 'what follows the ? is not a shared access signature');
  if (url.protocol === 'http:' && !isLoopback && account !== emulatorAccount) throw badAddress(text, 'only an emulator may be reached without https');
  return { account, container, publicUrl: `${url.origin}${url.pathname.replace(/\/+$/, '')}`, hasSignature, isLoopback };
}

/** The spec without its secret, for messages and logs. It opens the same place only where another credential does. */
export function redactSpec(spec: StoreSpec): StoreSpec {
  return spec.kind === 'folder' ? spec : { kind: 'blob', containerUrl: withoutQuery(spec.containerUrl) };
}

function folderOfUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || url.search !== '' || url.hash !== '') throw badAddress(text, 'a file address has no ? or # part');
  try {
    const path = fileURLToPath(url);
    if (isAbsolute(path)) return path;
  } catch (error) {
    throw badAddress(text, 'it does not name a folder on this machine; write file:///folder', error);
  }
  throw badAddress(text, 'it does not name a folder');
}

function withoutQuery(text: string): string {
  return text.replace(/[?#].*$/s, '');
}

function badAddress(text: string, why: string, cause?: unknown): HoldfastError {
  // What follows a ? may be an access signature, and what stands before an @ a password.
  const shown = withoutQuery(text).replace(/\/\/[^/]*@/, '//…@').slice(0, 300);
  return new HoldfastError('VAULT_ADDRESS', `${JSON.stringify(shown)} is not a vault address: ${why}`, { data: { address: shown }, cause });
}
