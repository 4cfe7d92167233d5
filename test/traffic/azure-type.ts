import { isMembers, type Shape } from './shape';

/**
 * A type of Azure's, as far as the recorded bodies go into it. `unread` stands for a type that no body reached when the extract was made; `any` for one
 * that Azure itself does not describe.
 */
export type AzureType = 'string' | 'integer' | 'boolean' | 'any' | 'unread' | Words | List | Members | Cases;
/** A text of a few words; `open` where the service may know others. */
export interface Words { readonly words: readonly string[]; readonly open?: true }
export interface List { readonly each: AzureType }
/** Members by name: `!` behind it for one that must be there, `^` for one that is only read. `others` is the type of any other member. */
export interface Members { readonly members: Readonly<Record<string, AzureType>>; readonly others?: AzureType }
/** An object whose members depend on the word in one of them. */
export interface Cases { readonly by: string; readonly cases: Readonly<Record<string, AzureType>>; readonly members: Readonly<Record<string, AzureType>> }

/** What is wrong with a body, a line for each. `partial` is a PATCH, which gives only what it changes. */
export function findings(shape: Shape, type: AzureType, partial: boolean, at = ''): string[] {
  if (type === 'any') return [];
  if (type === 'unread') return [`${at}: not in the extract of Azure's types (npm run arm:types)`];
  if (typeof shape === 'string') return shape.split('|').flatMap((kind) => kindFindings(kind, type, at));
  if (!isMembers(shape)) {
    if (typeof type === 'string' || !('each' in type)) return [`${at}: a list, where Azure has none`];
    return shape.flatMap((element) => findings(element, type.each, partial, `${at}[]`));
  }
  if (typeof type === 'string' || !('members' in type)) return [`${at}: an object, where Azure has none`];
  return memberFindings(shape, type, partial, at);
}

function kindFindings(kind: string, type: Exclude<AzureType, 'any' | 'unread'>, at: string): string[] {
  const isText = kind === 'string' || kind.startsWith('=');
  if (type === 'string') return isText ? [] : [`${at}: ${kind}, where Azure has a text`];
  if (type === 'integer' || type === 'boolean') return kind === type ? [] : [`${at}: ${kind}, where Azure has ${type}`];
  if (kind === 'map') return 'members' in type && 'others' in type && type.others === 'string' ? [] : [`${at}: a map of texts, where Azure has none`];
  if (!('words' in type)) return [`${at}: ${kind}, where Azure has ${'each' in type ? 'a list' : 'an object'}`];
  if (!isText) return [`${at}: ${kind}, where Azure has a word`];
  if (kind === 'string') return type.open ? [] : [`${at}: any text, where Azure has one of ${type.words.join(', ')}`];
  return type.words.includes(kind.slice(1)) ? [] : [`${at}: "${kind.slice(1)}" is none of ${type.words.join(', ')}`];
}

function memberFindings(shape: { readonly [member: string]: Shape }, type: Members | Cases, partial: boolean, at: string): string[] {
  const known = new Map(Object.entries(membersOf(shape, type)).map(([name, inner]) => [name.replace(/[!^]$/, ''), { inner, mark: name.slice(-1) }]));
  const found = Object.entries(shape).flatMap(([key, value]): string[] => {
    const name = key.replace(/\?$/, '');
    const member = known.get(name);
    const path = `${at}.${name}`;
    if (!member) return 'others' in type && type.others !== undefined ? findings(value, type.others, partial, path) : [`${path}: Azure does not know it`];
    return [...(member.mark === '^' ? [`${path}: is only read`] : []), ...findings(value, member.inner, partial, path)];
  });
  const missing = partial ? [] : [...known].filter(([name, { mark }]) => mark === '!' && shape[name] === undefined).map(([name]) => `${at}.${name}: must always be there`);
  return [...found, ...missing];
}

function membersOf(shape: { readonly [member: string]: Shape }, type: Members | Cases): Readonly<Record<string, AzureType>> {
  if (!('cases' in type)) return type.members;
  const words = String(shape[type.by] ?? '').split('|').map((kind) => kind.replace(/^=/, ''));
  return Object.assign({}, type.members, ...words.map((word) => (type.cases[word] as Members | undefined)?.members ?? {})) as Readonly<Record<string, AzureType>>;
}
