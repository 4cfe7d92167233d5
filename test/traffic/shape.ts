import type { Json } from '../../local/azure/wire';

/**
 * What many bodies of one kind of request have in common, and where they differ. An object's member that some of them lack ends in `?`; an array has one
 * shape for all its elements, or none where all were empty; anything else is a text with its kinds, joined by `|`: `string`, `integer`, `number`, `boolean`,
 * `null`, or `=WORD` for each of a few words. Members whose names are a person's own choice (tags) are not looked into: `map`.
 */
export type Shape = string | readonly Shape[] | { readonly [member: string]: Shape };

/** Words of an enumeration look like this; names, ids, locations and times do not. */
const word = /^[A-Z][A-Za-z0-9_]{1,40}$/;
/** More than these are no enumeration but names. */
const maxWords = 16;

export function shapeOf(value: Json, member = ''): Shape {
  if (value === null) return 'null';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'string') return word.test(value) ? `=${value}` : 'string';
  if (Array.isArray(value)) return value.length === 0 ? [] : [value.map((element) => shapeOf(element)).reduce(merged)];
  if (member === 'tags') return 'map';
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, Json] => entry[1] !== undefined).map(([name, inner]): [string, Shape] => [name, shapeOf(inner, name)]).sort(byName));
}

/** The shape of everything that has the one or the other. Throws an Error where one kind of value is no other (an object and a text). */
export function merged(one: Shape, other: Shape): Shape {
  if (typeof one === 'string' && typeof other === 'string') return mergedKinds(one, other);
  if (Array.isArray(one) && Array.isArray(other)) return [...one, ...other].length < 2 ? (one.length === 0 ? other : one) : [merged((one as Shape[])[0] as Shape, (other as Shape[])[0] as Shape)];
  if (!isMembers(one) || !isMembers(other)) throw new Error(`${JSON.stringify(one)} and ${JSON.stringify(other)} are no shapes of one kind of value`);
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)].map((name) => name.replace(/\?$/, '')))];
  return Object.fromEntries(names.map((name): [string, Shape] => {
    const [left, right] = [memberOf(one, name), memberOf(other, name)];
    const isSometimes = left === undefined || right === undefined || one[name] === undefined || other[name] === undefined;
    return [isSometimes ? `${name}?` : name, left === undefined || right === undefined ? (left ?? right) as Shape : merged(left, right)];
  }).sort(byName));
}

export const isMembers = (shape: Shape): shape is { readonly [member: string]: Shape } => typeof shape === 'object' && !Array.isArray(shape);

const memberOf = (shape: { readonly [member: string]: Shape }, name: string): Shape | undefined => shape[name] ?? shape[`${name}?`];

function mergedKinds(one: string, other: string): string {
  const kinds = new Set([...one.split('|'), ...other.split('|')]);
  const words = [...kinds].filter((kind) => kind.startsWith('='));
  if (!kinds.has('string') && words.length <= maxWords) return [...kinds].sort().join('|');
  return [...new Set([...[...kinds].filter((kind) => !kind.startsWith('=')), 'string'])].sort().join('|');
}

const byName = ([left]: [string, Shape], [right]: [string, Shape]): number => (left < right ? -1 : 1);
