/**
 * Route templates of HTTP functions: literals, `{name}`, `{name:int}`, `{name?}`, `{*rest}`. Case does not matter, a slash at
 * the end neither; a value that fails its constraint does not match (observed: test/fixtures/durable, 23).
 */
import { HoldfastError } from '../../errors/holdfast-error';

interface Segment {
  readonly kind: 'literal' | 'parameter' | 'rest';
  /** Literal text in lower case, or the parameter's name. */
  readonly text: string;
  readonly optional: boolean;
  readonly constraints: readonly ((value: string) => boolean)[];
}

export interface Route {
  readonly template: string;
  readonly segments: readonly Segment[];
}

const integer = /^[+-]?\d+$/;
const simpleConstraints: Readonly<Record<string, RegExp>> = {
  int: integer,
  long: integer,
  alpha: /^[a-z]*$/i,
  bool: /^(true|false)$/i,
  guid: /^[{(]?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}[)}]?$/i,
  decimal: /^[+-]?\d+(\.\d+)?$/,
  double: /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i,
  float: /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i,
  required: /./,
};

export function parseRoute(template: string, functionName: string): Route {
  const invalid = (why: string): HoldfastError => new HoldfastError('HOST_APP_INVALID', `The route "${template}" of function "${functionName}" ${why}.`, { data: { function: functionName, route: template } });
  if (template.startsWith('/')) throw invalid('starts with a slash, which the genuine host refuses too');
  const segments = template.split('/').filter((part) => part !== '').map((part): Segment => {
    const parameter = /^\{(\*{0,2})([^{}:?=]+)((?::[^{}]+?)*)(\??)\}$/.exec(part);
    if (!parameter) {
      if (/[{}]/.test(part)) throw invalid(`has the segment "${part}", which the embedded host cannot match`);
      return { kind: 'literal', text: part.toLowerCase(), optional: false, constraints: [] };
    }
    const [, star, name = '', constraints = '', optional] = parameter;
    return {
      kind: star ? 'rest' : 'parameter',
      text: name,
      optional: optional === '?' || star !== '',
      constraints: constraints.split(':').slice(1).map((constraint) => parseConstraint(constraint, invalid)),
    };
  });
  return { template, segments };
}

function parseConstraint(constraint: string, invalid: (why: string) => HoldfastError): (value: string) => boolean {
  const simple = simpleConstraints[constraint.toLowerCase()];
  if (simple) return (value) => simple.test(value);
  const call = /^(\w+)\((.*)\)$/.exec(constraint);
  const [low = 0, high = low] = (call?.[2] ?? '').split(',').map(Number);
  const integerWithin = (least: number, most: number) => (value: string): boolean => integer.test(value) && Number(value) >= least && Number(value) <= most;
  const lengthWithin = (least: number, most: number) => (value: string): boolean => value.length >= least && value.length <= most;
  const calls: Readonly<Record<string, (value: string) => boolean>> = {
    length: lengthWithin(low, high), minlength: lengthWithin(low, Infinity), maxlength: lengthWithin(0, low),
    min: integerWithin(low, Infinity), max: integerWithin(-Infinity, low), range: integerWithin(low, high),
  };
  const found = calls[call?.[1]?.toLowerCase() ?? ''];
  if (!found) throw invalid(`has the constraint "${constraint}", which the embedded host does not know`);
  return found;
}

/** The parameters when the path fits, undefined when it does not. A rest keeps its encoded slashes. */
export function matchRoute(route: Route, path: string): Record<string, string> | undefined {
  const parts = path.split('/').filter((part, index, all) => part !== '' || index < all.length - 1);
  const parameters: Record<string, string> = {};
  let at = 0;
  for (const segment of route.segments) {
    if (segment.kind === 'rest') {
      const rest = parts.slice(at).map((part) => decoded(part.replaceAll(/%2f/gi, '%252F'))).join('/');
      if (rest !== '') parameters[segment.text] = rest;
      at = parts.length;
      continue;
    }
    const part = parts[at];
    if (part === undefined) {
      if (segment.optional) continue;
      return undefined;
    }
    const value = decoded(part);
    if (segment.kind === 'literal' ? value.toLowerCase() !== segment.text : value === '' || !segment.constraints.every((fits) => fits(value))) return undefined;
    if (segment.kind === 'parameter') parameters[segment.text] = value;
    at++;
  }
  return at === parts.length ? parameters : undefined;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // Not valid percent-encoding: the text itself is the value.
    return part;
  }
}

/** Orders routes as ASP.NET does: literals before constrained parameters before free ones before a rest. */
export function byPrecedence(left: Route, right: Route): number {
  const rank = (segment: Segment | undefined): number => (!segment ? 0 : segment.kind === 'literal' ? 1 : segment.kind === 'rest' ? 5 : segment.constraints.length > 0 ? 2 : 3);
  for (let at = 0; at < Math.max(left.segments.length, right.segments.length); at++) {
    const difference = rank(left.segments[at]) - rank(right.segments[at]);
    if (difference !== 0) return difference;
  }
  return 0;
}
