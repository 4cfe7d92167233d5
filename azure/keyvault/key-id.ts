import { HoldfastError } from '../../errors/holdfast-error';
import { isLoopback } from '../compute/arm-client';

/** A key in Azure Key Vault, taken apart. */
export interface KeyVaultKeyId {
  /** https://HOST without a path. */
  readonly origin: string;
  readonly name: string;
  /** 32 hexadecimal digits; undefined where the newest is meant. */
  readonly version: string | undefined;
}

/** The services that hold keys, with the audience of their tokens (About keys, secrets and certificates, "DNS suffixes for object identifiers"). */
const SERVICES: readonly { readonly host: RegExp; readonly audience: string }[] = ['vault.azure.net', 'vault.azure.cn', 'vault.usgovcloudapi.net', 'managedhsm.azure.net', 'managedhsm.azure.cn', 'managedhsm.usgovcloudapi.net']
  .map((suffix) => ({ host: new RegExp(`^[a-z][a-z0-9-]{1,22}[a-z0-9]\\.${suffix.replaceAll('.', '\\.')}$`), audience: `https://${suffix}` }));

/** The same page: 1 to 127 characters of 0-9, a-z, A-Z and -; a version has 32 hexadecimal digits. */
const PATH = /^\/keys\/([0-9a-zA-Z-]{1,127})(?:\/([0-9a-fA-F]{32}))?\/?$/;

/**
 * Reads the id of a key as the portal shows it: https://VAULT.vault.azure.net/keys/NAME, with or without /VERSION. Parsed by what is allowed,
 * because a token goes where it says. This machine's own address is allowed too, with a port: for an emulator. Throws KEY_VAULT_ID.
 */
export function parseKeyId(text: string): KeyVaultKeyId {
  const url = text.length <= 400 ? URL.parse(text) : null;
  const path = url && PATH.exec(url.pathname);
  const isPlain = url !== null && url.protocol === 'https:' && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (!path?.[1] || !isPlain || audienceOf(url) === undefined) {
    const shown = text.split('?')[0]?.slice(0, 200) ?? '';
    throw new HoldfastError('KEY_VAULT_ID', `${JSON.stringify(shown)} is not the id of a key in Azure Key Vault`, { data: { key: shown } });
  }
  return { origin: url.origin, name: path[1], version: path[2]?.toLowerCase() };
}

/** The audience of a token for this service, or undefined when it is none that holds keys. */
export function audienceOf(url: URL): string | undefined {
  if (isLoopback(url)) return 'https://vault.azure.net';
  if (url.port !== '') return undefined;
  return SERVICES.find(({ host }) => host.test(url.hostname))?.audience;
}

export const textOf = ({ origin, name, version }: KeyVaultKeyId): string => `${origin}/keys/${name}${version === undefined ? '' : `/${version}`}`;
