import { z, type ZodType } from 'zod';
import { problemSchema } from './schemas/common';
import { BINARY, type Route } from './route';

type Json = Record<string, unknown>;
const REFS = '#/components/schemas/';

/** The version of the API: the first number changes with what breaks a client. */
export const API_VERSION = '1.0.0';

/** The OpenAPI 3.1 document of these routes, made of the schemas that check what comes in. JSON. */
export function openApiDocument(routes: readonly Route[]): Json {
  const schemas: Json = {};
  const problem = { description: 'Problem details (RFC 9457)', content: { 'application/problem+json': { schema: schemaOf(problemSchema, 'output', schemas) } } };
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const operations = paths[`/api/${route.path}`] ??= {};
    operations[route.method.toLowerCase()] = operationOf(route, schemas);
  }
  return {
    openapi: '3.1.1',
    info: { title: 'Holdfast', version: API_VERSION, summary: 'Backup of Azure virtual machines into a vault that belongs to its owner', license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, { session: [] }],
    paths,
    components: {
      schemas,
      responses: { Problem: problem },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A token of Entra ID, or of the local home' },
        session: { type: 'apiKey', in: 'cookie', name: 'AppServiceAuthSession', description: 'Of whoever signed in with a browser, in Azure; a change with it must come from a page of the app itself' },
      },
    },
  };
}

function operationOf(route: Route, schemas: Json): Json {
  const body = route.body && bodyOf(route.body, schemas);
  return {
    operationId: route.id, summary: route.summary, tags: [route.path.split('/')[0]],
    ...(route.role === 'public' ? { security: [] } : { 'x-holdfast-role': route.role }),
    ...(route.action === undefined ? {} : { 'x-holdfast-action': route.action }),
    parameters: [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query'), ...headersOf(route)],
    ...(body ? { requestBody: body } : {}),
    responses: {
      ...Object.fromEntries(Object.entries(route.responses).map(([status, schema]) => [status, answerOf(route, schema, schemas)])),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function bodyOf(schema: ZodType, schemas: Json): Json {
  return { required: !schema.safeParse(undefined).success, content: { 'application/json': { schema: schemaOf(schema, 'input', schemas) } } };
}

function answerOf(route: Route, schema: ZodType | null, schemas: Json): Json {
  if (schema === BINARY) return { description: 'Bytes', content: { 'application/octet-stream': {} } };
  const etag = route.versioned && route.method !== 'DELETE' ? { headers: { ETag: { description: 'The revision of the document', schema: { type: 'string' } } } } : {};
  return { description: schema === null ? 'Done' : 'Done, or begun', ...etag, ...(schema === null ? {} : { content: { 'application/json': { schema: schemaOf(schema, 'output', schemas) } } }) };
}

/** Each field of an object's schema as a parameter. */
function parametersOf(schema: ZodType | undefined, place: 'path' | 'query'): Json[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input', {}) as { properties?: Record<string, Json>; required?: string[] };
  return Object.entries(properties).map(([name, { description, ...field }]) => ({ name, in: place, required: place === 'path' || required.includes(name), ...(description === undefined ? {} : { description }), schema: field }));
}

function headersOf({ versioned, method, action, responses }: Route): Json[] {
  if (responses[206]) return [{ name: 'Range', in: 'header', description: 'One range: bytes=FIRST-LAST', schema: { type: 'string' } }];
  if (method === 'POST' && action !== undefined) {
    const description = 'Drawn by the caller for this request: a repeat with the same key and body gets the same answer and starts nothing again, for a week';
    return [{ name: 'Idempotency-Key', in: 'header', description, schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' } }];
  }
  if (!versioned || method === 'GET') return [];
  return [
    { name: 'If-Match', in: 'header', description: 'The ETag that the change is based on: another one is in force by now, and it is refused with 412', schema: { type: 'string' } },
    { name: 'If-None-Match', in: 'header', description: '`*`: only if there is none yet', schema: { type: 'string' } },
  ];
}

/** A schema as JSON Schema. Those that have an id are put into `schemas`, and referred to. */
function schemaOf(schema: ZodType, io: 'input' | 'output', schemas: Json): Json {
  // Within an object even a schema with an id is a reference.
  const { $defs = {}, properties } = z.toJSONSchema(z.strictObject({ it: schema }), { io }) as unknown as { $defs?: Record<string, Json>; properties: { it: Json } };
  const moved = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(moved);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === '$ref' ? String(inner).replace('#/$defs/', REFS) : moved(inner)]));
  };
  for (const [name, defined] of Object.entries($defs)) {
    // Its key says it: as a keyword it would be an id of another kind.
    delete defined['id'];
    schemas[name] = moved(defined);
  }
  return moved(properties.it) as Json;
}
