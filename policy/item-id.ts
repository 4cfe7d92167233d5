import { createHash } from 'node:crypto';
import { HoldfastError } from '../errors/holdfast-error';
import { resourceIdKey } from './resource-id';

const MAX_SLUG_CHARS = 31;
const HASH_CHARS = 8;
const ITEM_NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;

/**
 * The id of a protected item from its resource id: `web01-3f9a2c1d`. The name is for people; the hash of the whole
 * id, lower-cased because Azure compares ids so, keeps two machines of one name apart. At most 40 characters,
 * and always a valid item name.
 * Throws ITEM_NAME_INVALID when the text is no resource id at all.
 */
export function itemIdOfResource(resourceId: string): string {
  const name = /^\/(?:[^/]+\/)+([^/]+)$/.exec(resourceId)?.[1];
  if (name === undefined) {
    throw new HoldfastError('ITEM_NAME_INVALID', `Not a resource id: ${shown(resourceId)}`, { data: { received: shown(resourceId) } });
  }
  const key = resourceIdKey(resourceId);
  const slug = trimDashes(trimDashes(name.toLowerCase().replace(/[^a-z0-9]+/g, '-')).slice(0, MAX_SLUG_CHARS));
  const hash = createHash('sha256').update(key, 'utf8').digest('hex').slice(0, HASH_CHARS);
  // A name without a single Latin letter or digit leaves nothing to show; the hash still tells items apart.
  return `${slug === '' ? 'item' : slug}-${hash}`;
}

/** A name given on a command line, as it is. Throws ITEM_NAME_INVALID unless it matches [a-z0-9][a-z0-9-]{0,39}. */
export function parseItemName(name: string): string {
  if (!ITEM_NAME.test(name)) {
    throw new HoldfastError('ITEM_NAME_INVALID', `Not a valid item name: ${shown(name)}`, { data: { received: shown(name) } });
  }
  return name;
}

const trimDashes = (text: string): string => text.replace(/^-+|-+$/g, '');

const shown = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
