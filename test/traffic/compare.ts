import { isDeepStrictEqual } from 'node:util';
import { type Call, CallList } from './calls';
import { merged } from './shape';

const keyOf = ({ call, version = '' }: Call): string => `${call} ${version}`.trim();

interface Difference { readonly key: string; readonly what: 'call' | 'body' | 'duty'; readonly detail: string }

/** What `calls` have beyond `others`. */
function beyond(calls: readonly Call[], others: readonly Call[]): Difference[] {
  const known = new Map(others.map((call) => [keyOf(call), call]));
  return calls.flatMap((call): Difference[] => {
    const key = keyOf(call);
    const other = known.get(key);
    if (!other) return [{ key, what: 'call', detail: call.by?.join(', ') ?? '' }];
    const found: Difference[] = (call.by ?? []).filter((duty) => !other.by?.includes(duty)).map((duty) => ({ key, what: 'duty', detail: duty }));
    const isWider = call.body !== undefined && (other.body === undefined || !isDeepStrictEqual(merged(other.body, call.body), other.body));
    return isWider ? [...found, { key, what: 'body', detail: JSON.stringify(call.body) }] : found;
  });
}

/** What was asked of Azure and is not in the list, or not so: a line for each. */
export const notInList = (seen: readonly Call[], list: readonly Call[]): string[] => beyond(seen, list).map(({ key, what, detail }) =>
  (what === 'call' ? `${key}: not in the list` : what === 'duty' ? `${key}: made by ${detail}, which the list does not have` : `${key}: the list has no such body: ${detail}`));

/** What the list has and nothing asked for: a line for each. */
export const notSeen = (seen: readonly Call[], list: readonly Call[]): string[] => beyond(list, seen).map(({ key, what, detail }) =>
  (what === 'call' ? `${key}: in the list, and nothing asks for it` : what === 'duty' ? `${key}: in the list by ${detail}, who does not` : `${key}: the list has more than any body: ${detail}`));

/** The file's text: one line a call. */
export const textOf = (calls: readonly Call[]): string => `[\n${calls.map((call) => JSON.stringify(call)).join(',\n')}\n]\n`;

/** What a part of the tests saw, added to a list. */
export function extended(list: readonly Call[], seen: readonly Call[]): readonly Call[] {
  const all = new CallList();
  all.addAll(list);
  all.addAll(seen);
  return all.all();
}
