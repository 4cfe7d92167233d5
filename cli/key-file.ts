import { mkdir, open, readFile, realpath, unlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import { parseKeyFile } from '../vault/keys/key-providers';
import { isMissing, systemCode } from '../vault/store/folder-errors';

/** Where a vault's key lies unless --key or HOLDFAST_KEY name another place. XDG Base Directory Specification: a relative path is ignored. */
export function defaultKeyPath(vaultId: Buffer): string {
  const configured = process.env['XDG_CONFIG_HOME'] ?? '';
  const config = isAbsolute(configured) ? configured : join(homedir(), '.config');
  return join(config, 'holdfast', `${vaultId.toString('hex')}.key`);
}

/** Reads a key file. Throws KEY_NOT_FOUND or KEY_MALFORMED; the content never gets into a message. */
export async function readKeyFile(path: string): Promise<Buffer> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const why = systemCode(cause) === 'ENOENT' ? `There is no key file ${path}` : `The key file ${path} cannot be read: ${messageOf(cause)}`;
    throw new HoldfastError('KEY_NOT_FOUND', why, { data: { path }, cause });
  }
  return parseKeyFile(text, path);
}

/** Throws KEY_IN_VAULT when the key would lie in the vault's folder, whatever links lead there. */
export async function refuseKeyInVault(keyPath: string, vaultFolder: string): Promise<void> {
  const from = relative(await realPlace(vaultFolder), await realPlace(keyPath));
  if (from === '' || (!isAbsolute(from) && from.split('/')[0] !== '..')) {
    throw new HoldfastError('KEY_IN_VAULT', `The key ${keyPath} would lie in the vault ${vaultFolder}`, { data: { path: keyPath } });
  }
}

/** A path without links, also when the end of it is not there yet. */
async function realPlace(path: string): Promise<string> {
  const whole = resolve(path);
  try {
    return await realpath(whole);
  } catch (error) {
    if (!isMissing(error) || dirname(whole) === whole) throw new HoldfastError('KEY_NOT_WRITTEN', `${path} cannot be reached: ${messageOf(error)}`, { data: { path }, cause: error });
    return join(await realPlace(dirname(whole)), basename(whole));
  }
}

/**
 * Writes a new key file that only its owner may read, durably, with its folder. Throws KEY_EXISTS when something is there,
 * KEY_NOT_WRITTEN when it cannot be written.
 */
export async function writeKeyFile(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } catch (error) {
      await removeKeyFile(path);
      throw error;
    } finally {
      await file.close();
    }
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST') throw new HoldfastError('KEY_EXISTS', `${path} is there already`, { data: { path }, cause });
    throw new HoldfastError('KEY_NOT_WRITTEN', `The key file ${path} cannot be written: ${messageOf(cause)}`, { data: { path }, cause });
  }
}

/** For a key that opens nothing. One that stays does no harm. */
export const removeKeyFile = (path: string): Promise<void> => unlink(path).catch(() => undefined);
