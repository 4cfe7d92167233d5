import assert from 'node:assert/strict';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { openApiDocument } from '../../functions/openapi';
import { routes } from '../../functions/routes';
import { matchRoute, parseRoute } from '../../local/host/routes';

type Json = Record<string, unknown>;
const document = openApiDocument(routes) as { readonly paths: Record<string, Record<string, { readonly responses: Json }>> };
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema(document, 'api');
const templates = Object.keys(document.paths).map((path) => ({ path, route: parseRoute(path.slice(1), path) }));
const compiled = new Map<string, ValidateFunction>();

/** Asserts that an answer of the app is what the OpenAPI document says of it: so the document cannot lie about anything that a test asks for. */
export function assertAsDescribed(method: string, address: string, response: { readonly status: number; readonly headers: Headers }, text: string): void {
  // Whoever has such an address may do anything to any job: its key is in it.
  assert.doesNotMatch(text + JSON.stringify([...response.headers]), /runtime\/webhooks/i, `an address of the engine is handed out: ${method} ${address}`);
  const { pathname } = new URL(address, 'http://app');
  const path = templates.filter(({ path: one, route }) => document.paths[one]?.[method.toLowerCase()] && matchRoute(route, pathname.slice(1))).sort((a, b) => a.path.split('{').length - b.path.split('{').length)[0]?.path;
  if (path === undefined) return;
  const { responses } = document.paths[path]?.[method.toLowerCase()] ?? { responses: {} };
  const type = response.headers.get('content-type')?.split(';')[0];
  const what = `${method} ${address}: ${response.status} ${type ?? 'without a type'}: ${text.slice(0, 2000)}`;
  const isSuccess = response.status < 400;
  assert.ok(!isSuccess || String(response.status) in responses, `no such answer is described: ${what}`);
  const answer = (isSuccess ? `${pointer(path, method)}/responses/${response.status}` : '/components/responses/Problem');
  const described = (isSuccess ? responses[response.status] : { content: { 'application/problem+json': {} } }) as { readonly content?: Json };
  if (!described.content) return assert.equal(text, '', what);
  assert.ok(type !== undefined && type in described.content, `another type is described: ${what}`);
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff', what);
  const reference = `api#${answer}/content/${part(type)}/schema`;
  const validate = compiled.get(reference) ?? ajv.compile({ $ref: reference });
  compiled.set(reference, validate);
  assert.ok(validate(JSON.parse(text)), `${ajv.errorsText(validate.errors)}\n${what}`);
}

const part = (text: string): string => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'));
const pointer = (path: string, method: string): string => `/paths/${part(path)}/${method.toLowerCase()}`;
