import { MAX_POLICY_BYTES, MAX_POLICY_DEPTH } from './limits';

/** Why a value is not a document at all; `path` leads to the place. */
export class PlainJsonError extends Error {
  override readonly name = 'PlainJsonError';
  constructor(message: string, readonly path: readonly (string | number)[]) {
    super(message);
  }
}

/**
 * A deep copy of a value made of nothing but JSON: own, enumerable, plain properties. What the schema then sees can
 * neither change under it nor reach a prototype. Properties that are undefined are left out, as JSON would.
 * Throws PlainJsonError for anything over 64 KiB or 12 levels, for `__proto__` keys and for what JSON cannot hold.
 */
export function copyPlainJson(value: unknown): unknown {
  const budget = { bytesLeft: MAX_POLICY_BYTES };
  const copy = copyValue(value, [], budget);
  // The walk counts less than the text has, so that it only bounds the work; this is the exact size.
  const sizeBytes = Buffer.byteLength(JSON.stringify(copy) ?? '', 'utf8');
  if (sizeBytes > MAX_POLICY_BYTES) throw tooLarge();
  return copy;
}

interface Budget {
  bytesLeft: number;
}

function copyValue(value: unknown, path: readonly (string | number)[], budget: Budget): unknown {
  spend(budget, typeof value === 'string' ? Buffer.byteLength(value, 'utf8') : 1);
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || value === undefined) return value;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new PlainJsonError(`${value} is not a number that JSON can hold`, path);
    return value;
  }
  if (typeof value !== 'object') throw new PlainJsonError(`a ${typeof value} is not JSON`, path);
  // Depth also ends the walk through a value that contains itself.
  if (path.length >= MAX_POLICY_DEPTH) throw new PlainJsonError(`nested deeper than ${MAX_POLICY_DEPTH} levels`, []);
  if (Array.isArray(value)) return Array.from(value, (element, index) => copyValue(element, [...path, index], budget));
  return copyObject(value, path, budget);
}

function copyObject(value: object, path: readonly (string | number)[], budget: Budget): unknown {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new PlainJsonError('not a plain JSON object', path);
  const entries: [string, unknown][] = [];
  for (const key of Object.keys(value)) {
    const here = [...path, key];
    spend(budget, Buffer.byteLength(key, 'utf8'));
    if (key === '__proto__') throw new PlainJsonError('a key of this name is never accepted', here);
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    if (descriptor === undefined || !('value' in descriptor)) throw new PlainJsonError('not a plain JSON property', here);
    const copy = copyValue(descriptor.value, here, budget);
    if (copy !== undefined) entries.push([key, copy]);
  }
  return Object.fromEntries(entries);
}

function spend(budget: Budget, bytes: number): void {
  budget.bytesLeft -= bytes;
  if (budget.bytesLeft < 0) throw tooLarge();
}

const tooLarge = (): PlainJsonError => new PlainJsonError(`larger than ${MAX_POLICY_BYTES / 1024} KiB`, []);
