import { HoldfastError } from '../../errors/holdfast-error';

const part = /^[A-Za-z0-9._-]{1,120}$/;
const lastPartOfPrefix = /^[A-Za-z0-9._-]{0,120}$/;

/** Azure allows 1,024 characters for a blob's name (Naming and Referencing Containers, Blobs, and Metadata); the rest is headroom for a prefix in front. */
export const maxNameLength = 900;

/** The folder of files that are still being written: never an object, in no store, so that a vault can be copied from any store to any other. */
export const temporaryFolderName = '.tmp';

/** True for a name that an object may have, by the rules in the contract of Store. */
export function isObjectName(name: string): boolean {
  if (name.length > maxNameLength) return false;
  const parts = name.split('/');
  return parts[0] !== temporaryFolderName && parts.every(isPart);
}

/** The same for what lies in a folder of objects, '' or a name with a slash behind it: nothing of the folder is looked at again. */
export function isNameIn(folder: string, name: string): boolean {
  return isPart(name) && folder.length + name.length <= maxNameLength && (folder !== '' || name !== temporaryFolderName);
}

/** Throws STORE_NAME unless `name` may be an object's. */
export function assertObjectName(name: string): void {
  if (!isObjectName(name)) throw refused('An object cannot be named', name);
}

/** Throws STORE_NAME unless `prefix` is the beginning of a name that an object may have, or empty. */
export function assertNamePrefix(prefix: string): void {
  const parts = prefix.split('/');
  const last = parts.pop() ?? '';
  const fits = prefix.length <= maxNameLength && parts[0] !== temporaryFolderName && parts.every(isPart) && lastPartOfPrefix.test(last);
  if (!fits) throw refused('No object can have a name that starts with', prefix);
}

/** Throws RangeError for a range that no object could satisfy: that is a bug of the caller, not a state of the vault. */
export function assertByteRange(range: { readonly offset: number; readonly length: number }): void {
  const whole = Number.isSafeInteger(range.offset) && Number.isSafeInteger(range.length);
  if (!whole || range.offset < 0 || range.length < 0) throw new RangeError(`Bad byte range: offset ${range.offset}, length ${range.length}`);
}

/** Ascending by UTF-16 code unit, which for the characters of a name is also the order of the bytes. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A part may not end in a dot: Windows and some URL parsers drop it, and two names would become one. */
function isPart(text: string): boolean {
  return part.test(text) && !text.endsWith('.');
}

function refused(message: string, name: string): HoldfastError {
  const shown = name.length > 200 ? `${name.slice(0, 200)}… (${name.length} characters)` : name;
  return new HoldfastError('STORE_NAME', `${message} ${JSON.stringify(shown)}`, { data: { name: shown } });
}
