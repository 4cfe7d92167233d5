import fc from 'fast-check';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** What nobody meant: of the wrong type, too large, markup, other people's resources, addresses out of the folder, what JavaScript makes more of than data. */
export const NONSENSE: readonly unknown[] = [
  null, true, 0, -1, 1.5, 1e308, 2 ** 53, '', ' ', '\u0000', '\ufeff', 'ﬀ', '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', '../../keys', '..\\..', '%00', '%2e%2e%2f', 'latest', 'constructor', '__proto__', 'x'.repeat(3000),
  '/subscriptions/00000000-0000-4000-8000-000000000009/resourceGroups/other/providers/Microsoft.Compute/virtualMachines/foreign', '/subscriptions/', 'http://169.254.169.254/metadata', '2026-02-30T00:00:00Z', '9999-12-31T23:59:59Z', '-P1Y', '${jndi:ldap://x}', '\u202egnp', [], {}, [[[[]]]],
  JSON.parse('{"__proto__":{"isAdmin":true},"constructor":{"prototype":{}}}'), ['x'], { name: { name: 'x' } },
];

const nonsense = fc.oneof(fc.constantFrom(...NONSENSE), fc.jsonValue({ maxDepth: 3 }));

/**
 * Values of a JSON Schema (draft 2020-12, as far as the API's own document uses it), and `examples`, which also keep the rules that a schema cannot say; a third of all with something
 * in them replaced by nonsense.
 */
export function nearly(schema: JsonSchema, document: JsonSchema, examples: readonly unknown[] = []): fc.Arbitrary<unknown> {
  const meant = examples.length === 0 ? valueOf(schema, document) : fc.oneof(valueOf(schema, document), fc.constantFrom(...examples));
  return fc.oneof({ weight: 6, arbitrary: meant }, { weight: 4, arbitrary: fc.tuple(meant, fc.nat(30), nonsense).map(([value, at, other]) => replaced(value, at, other)) }, { weight: 1, arbitrary: nonsense });
}

function valueOf(schema: JsonSchema, document: JsonSchema): fc.Arbitrary<unknown> {
  const { $ref, anyOf, oneOf, type, enum: known, properties, required, items, additionalProperties, format, pattern, minimum, maximum } = schema as {
    $ref?: string; anyOf?: JsonSchema[]; oneOf?: JsonSchema[]; type?: string; enum?: unknown[]; properties?: Record<string, JsonSchema>; required?: string[]; items?: JsonSchema;
    additionalProperties?: JsonSchema | boolean; format?: string; pattern?: string; minimum?: number; maximum?: number;
  };
  if ($ref !== undefined) return valueOf($ref.slice(2).split('/').reduce((at, part) => at[part] as JsonSchema, document), document);
  if ('const' in schema) return fc.constant(schema['const']);
  if (known) return fc.constantFrom(...known);
  const choices = anyOf?.some((one) => 'type' in one || '$ref' in one || 'const' in one || 'enum' in one) ? anyOf : oneOf;
  if (choices) return fc.oneof(...choices.map((one) => valueOf(one, document)));
  if (properties) {
    return fc.record(Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, valueOf(one, document)])), { requiredKeys: required ?? [] });
  }
  if (type === 'object') return fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), typeof additionalProperties === 'object' ? valueOf(additionalProperties, document) : nonsense, { maxKeys: 3 });
  if (type === 'array') return fc.array(items ? valueOf(items, document) : nonsense, { maxLength: 3 });
  if (type === 'boolean') return fc.boolean();
  if (type === 'null') return fc.constant(null);
  if (type === 'integer') return fc.integer({ min: Math.max(minimum ?? -10, -(2 ** 31)), max: Math.min(maximum ?? 100, 2 ** 31) });
  if (type === 'number') return fc.double({ min: minimum ?? -10, max: maximum ?? 1000, noNaN: true });
  if (type === 'string' && format === 'date-time') return fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }).map((date) => date.toISOString());
  if (type === 'string') return pattern === undefined ? fc.string({ unit: 'grapheme', maxLength: 40 }) : matching(pattern);
  return nonsense;
}

/** Of a pattern that the generator does not know all of: any string. */
function matching(pattern: string): fc.Arbitrary<string> {
  try {
    return fc.stringMatching(new RegExp(pattern, 'u'));
  } catch {
    return fc.string({ maxLength: 40 });
  }
}

/** The value with its `at`th inner value replaced, counted from the outside in. */
function replaced(value: unknown, at: number, other: unknown): unknown {
  let left = at;
  const walk = (one: unknown): unknown => {
    if (left-- === 0) return other;
    if (Array.isArray(one)) return one.map(walk);
    if (typeof one !== 'object' || one === null) return one;
    return Object.fromEntries(Object.entries(one).map(([key, inner]) => [key, walk(inner)]));
  };
  return walk(value);
}
