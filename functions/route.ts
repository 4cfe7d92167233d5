import { app, type HttpHandler, type HttpRequest, type HttpResponseInit, type InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { z, type ZodType } from 'zod';
import { SECURITY_HEADERS } from '../access/headers';
import { allows, type Caller, forbidden, type Role } from '../access/roles';
import { HoldfastError } from '../errors/holdfast-error';
import { idempotencyKey, once } from './idempotency';
import { audited, recordRefusal } from './audited';
import { type RouteGuard, withApproval } from './approval-guard';
import { OF_THE_HOST } from './paging';
import { guarded, readJson } from './problem';
import type { Services } from './services';

/**
 * A route of the HTTP API: all that is said of it in one place. The same schemas check what comes in, hold what goes out (in the tests) and make the OpenAPI document.
 * Who may call it must be said: there is no default.
 */
export interface RouteOf<Params extends ZodType, Query extends ZodType, Body extends ZodType> {
  /** The operation's id, and the name of its function: `listItems`. */
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below `/api/`: `items/{item}`. */
  readonly path: string;
  /** One line for people. */
  readonly summary: string;
  /** The least role that may call it, or several of which one is enough; 'public' only for what says nothing of the vault or its items. */
  readonly role: Role | readonly [Role, ...Role[]] | 'public';
  /** Of the path; each name in braces has its field. */
  readonly params?: Params;
  /** Of the query; strict, so that a name that was mistyped is refused. None: no query at all. */
  readonly query?: Query;
  /** Of the JSON body; none: there must be no body, or an empty object. */
  readonly body?: Body;
  /** Reads the body in place of `body`, where what is wrong with it has a code of its own. */
  readonly parseBody?: (value: unknown, params: z.output<Params>) => z.output<Body>;
  /** Bodies of success by status; null where there is none. Problems are the table's own. */
  readonly responses: Readonly<Record<number, ZodType | null>>;
  /** Its document has revisions: an ETag says which, and a change takes If-Match. */
  readonly versioned?: true;
  /** A change, a restore or an export: its name in the audit trail (`recovery-point.delete`). */
  readonly action?: string;
  /** What matters of a call for the audit trail, beside the parameters of its path and what came of it. Nothing that is a secret. */
  audit?(call: Call<z.output<Params>, z.output<Query>, z.output<Body>>): Readonly<Record<string, unknown>>;
  /** Takes protection away, so that the vault's rules may ask for a second person. */
  readonly guard?: RouteGuard<Call<z.output<Params>, z.output<Query>, z.output<Body>>>;
  handler(call: Call<z.output<Params>, z.output<Query>, z.output<Body>>): Promise<HttpResponseInit>;
}

export type Route = RouteOf<ZodType, ZodType, ZodType>;

/** What a handler is given: everything is checked. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly caller: Caller;
  readonly request: HttpRequest;
  readonly context: InvocationContext;
  readonly client: df.DurableClient;
  readonly services: Services;
  /** Of an Idempotency-Key: each try of the same request has the same; null without one. */
  readonly requestId: string | null;
  /** When this try began, for the ids of what it starts; milliseconds since 1970. */
  readonly atMs: number;
  /** When earlier tries of the same request began whose outcome is not known: what one of them started is what this one was to start. */
  readonly earlierMs: readonly number[];
  /** Set where it was asked for before, and a second person agreed: which approval, and what it was about. */
  readonly approved: { readonly id: string; readonly fingerprint: string } | null;
}

/** Declares a route; the types of its handler's arguments come from its schemas. */
export const route = <Params extends ZodType = typeof NOTHING, Query extends ZodType = typeof NOTHING, Body extends ZodType = typeof NOTHING>(declared: RouteOf<Params, Query, Body>): Route =>
  declared as unknown as Route;

/** An identifier in the path. What it must look like is for whoever looks it up: one that cannot exist is not there (404). */
export const pathId = z.string().min(1).max(2000);

/** Of an answer that is bytes and no JSON. */
export const BINARY = z.instanceof(Uint8Array);

const NOTHING = z.strictObject({}).default({});

/** Yes or no in a query. */
export const flag = z.enum(['true', 'false']).default('false').transform((value) => value === 'true');

/** A moment in a query; milliseconds since 1970. */
export const instant = z.iso.datetime({ error: 'expects a time such as 2026-11-25T02:00:00Z' }).transform((text) => Date.parse(text));

/** Arrays and objects within each other in a body. */
const MAX_DEPTH = 32;

/** The keys of the Functions host are no identity, so it asks for none (`anonymous`): who calls, and what for, is decided here alone. */
export function registerRoutes(services: Services, routes: readonly Route[]): void {
  for (const declared of routes) {
    app.http(declared.id, {
      methods: [declared.method], route: `api/${declared.path}`, authLevel: 'anonymous', extraInputs: [df.input.durableClient()], handler: secured(guarded(runner(declared, services), services.access.signIn)),
    });
  }
}

/** The one way from a request to a handler. */
const runner = (declared: Route, services: Services): HttpHandler => async (request, context) => {
  const caller = await callerOf(declared, request, services);
  const sent = declared.method === 'GET' ? undefined : shallow(await readJson(request));
  const params = checked(declared.params ?? NOTHING, request.params, 'address');
  const query = checked(declared.query ?? NOTHING, queryOf(request), 'query');
  const body = declared.method === 'GET' ? undefined : bodyOf(declared, sent, params);
  const asked = { params, query, body, caller, request, context, client: df.getClient(context), services, approved: null };
  const run = (mine: Pick<Call, 'requestId' | 'atMs' | 'earlierMs'>): Promise<HttpResponseInit> => {
    const call: Call = { ...asked, ...mine };
    return withApproval(declared, call, () => audited(declared, call, () => declared.handler(call)));
  };
  const key = declared.method === 'POST' ? idempotencyKey(request) : null;
  // What changes nothing can be asked again as it is. A repeat that is told the first one's answer does nothing, and is not in the audit trail.
  if (key === null || declared.action === undefined) return run({ requestId: null, atMs: services.deps.nowMs(), earlierMs: [] });
  return once(services, caller, key, request, body, ({ id, atMs, earlierMs }) => run({ requestId: id, atMs, earlierMs }));
};

/** Before anything of the request is read: who asks for it, and that they may. */
async function callerOf(declared: Route, request: HttpRequest, services: Services): Promise<Caller> {
  const { role } = declared;
  if (role === 'public') return services.access.admitAnybody(request);
  const caller = await services.access.admit(request);
  const roles = typeof role === 'string' ? [role] : role;
  if (roles.some((one) => allows(caller, one))) return caller;
  const error = forbidden(caller, roles[0] as Role);
  await recordRefusal(declared, caller, request.params, error, services);
  throw error;
}

/** Every answer carries what keeps browsers from doing more with it than show it; a handler's own headers come first. */
const secured = (handler: HttpHandler): HttpHandler => async (request, context) => {
  const response = await handler(request, context) as HttpResponseInit;
  return { ...response, headers: { ...SECURITY_HEADERS, ...Object.fromEntries(new Headers(response.headers as Record<string, string>)) } };
};

const bodyOf = (declared: Route, value: unknown, params: unknown): unknown =>
  declared.parseBody ? declared.parseBody(value, params) : checked(declared.body ?? NOTHING, value, 'body');

/** Throws REQUEST_INVALID for what is nested so deep that walking it is a risk. */
function shallow(value: unknown): unknown {
  if (isDeeper(value, MAX_DEPTH)) throw new HoldfastError('REQUEST_INVALID', `The body is nested deeper than ${MAX_DEPTH} levels`);
  return value;
}

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === 'object' && value !== null && (levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1)));

/** Throws REQUEST_INVALID, whose `data.fields` has a line for each wrong field. */
function checked<T extends ZodType>(schema: T, value: unknown, where: 'address' | 'query' | 'body'): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.slice(0, 20).map(({ path, message }) => `${path.join('.') || where}: ${message}`);
  throw new HoldfastError('REQUEST_INVALID', `The ${where} is wrong: ${fields.join('; ')}`, { data: { fields } });
}

/** A name that is given twice has a list, which no schema takes. */
function queryOf(request: HttpRequest): Record<string, string | string[]> {
  const names = [...new Set(request.query.keys())].filter((name) => !OF_THE_HOST.includes(name));
  return Object.fromEntries(names.map((name) => {
    const values = request.query.getAll(name);
    return [name, values.length === 1 ? values[0] as string : values];
  }));
}
