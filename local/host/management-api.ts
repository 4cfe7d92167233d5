/**
 * The durable management API, in its two forms: `/runtime/webhooks/durabletask/` for people and programs with a system key,
 * and the loopback form that the durable client inside functions calls. Status codes and bodies as observed
 * (test/fixtures/durable, 20 and 21). Left out: entities (501) and rewind (501).
 */
import { HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import type { Clock } from './clock';
import type { DurableEngine } from './engine';
import { isFinished } from './episode';
import { events, type HistoryEvent } from './history';
import type { HostRequest } from './http-types';
import type { Instance, Journal, Listing, RuntimeStatus } from './journal';
import { instanceStatus } from './status-json';
import { managementLinks } from './links';

export interface ManagementDeps {
  readonly journal: Journal;
  readonly engine: DurableEngine;
  readonly clock: Clock;
  readonly taskHubName: string;
  readonly systemKey: string;
  /** Resolves when the instance has finished, or after `timeoutMs`. */
  readonly waitUntilFinished: (instanceId: string, timeoutMs: number) => Promise<void>;
}

const statuses: readonly RuntimeStatus[] = ['Pending', 'Running', 'Suspended', 'Completed', 'Failed', 'Terminated'];

/**
 * @param path what follows `durabletask/`, still percent-encoded
 * @param origin of the links in replies
 */
export async function handleManagement(deps: ManagementDeps, request: HostRequest, path: string, origin: string): Promise<Response> {
  const [collection, first, second, third, ...more] = path.replace(/\/$/, '').split('/').map(decode);
  const hub = request.url.searchParams.get('taskHub');
  if (more.length > 0 || (hub !== null && hub.toLowerCase() !== deps.taskHubName.toLowerCase())) return empty(404);
  const { method } = request;
  if (collection === 'entities') return text(501, 'Durable entities are not supported by the embedded host.');
  if (collection === 'orchestrators' && method === 'POST' && first && third === undefined) return start(deps, request, first, second, origin);
  if (collection !== 'instances') return empty(404);
  if (!first) return method === 'GET' ? list(deps, request.url.searchParams, request.headers.get('x-ms-continuation-token') ?? undefined) : method === 'DELETE' ? purgeMany(deps, request.url.searchParams) : empty(404);
  if (second === undefined) return method === 'GET' ? status(deps, request, first) : method === 'DELETE' ? purgeOne(deps, first) : empty(404);
  if (method !== 'POST') return empty(404);
  if (second.toLowerCase() === 'raiseevent' && third) return raiseEvent(deps, request, first, third);
  return third === undefined ? operate(deps, request, first, second, origin) : empty(404);
}

const decode = (segment: string): string => {
  try {
    return decodeURIComponent(segment);
  } catch {
    // A segment that is not valid percent-encoding is taken as it stands, as a web server does.
    return segment;
  }
};

const empty = (code: number): Response => new Response(null, { status: code });
const json = (code: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status: code, headers: { 'content-type': 'application/json; charset=utf-8', ...headers } });
const text = (code: number, body: string): Response => new Response(body, { status: code, headers: { 'content-type': 'application/json; charset=utf-8' } });
const problem = (code: number, message: string, exception: string, type: string): Response =>
  json(code, { Message: message, ExceptionMessage: exception, ExceptionType: type, StackTrace: '   at Holdfast.EmbeddedHost' });
const invalidJson = (detail: string): Response => problem(400, 'Invalid JSON content', detail, 'Newtonsoft.Json.JsonReaderException');

function flag(query: URLSearchParams, name: string, absent = false): boolean {
  const value = query.get(name)?.toLowerCase();
  return value === 'true' ? true : value === 'false' ? false : absent;
}

/** Compact JSON text of a body, or why it is none. */
function bodyJson(body: Uint8Array): { json: string } | { detail: string } {
  const source = Buffer.from(body).toString('utf8');
  if (source === '') return { detail: "Error reading JToken from JsonReader. Path '', line 0, position 0." };
  try {
    return { json: JSON.stringify(JSON.parse(source)) };
  } catch (error) {
    return { detail: error instanceof Error ? error.message : String(error) };
  }
}

async function start(deps: ManagementDeps, request: HostRequest, name: string, instanceId: string | undefined, origin: string): Promise<Response> {
  const body = request.body.length === 0 ? { json: null } : bodyJson(request.body);
  if ('detail' in body) return invalidJson(body.detail);
  try {
    const id = deps.engine.startNew(name, { input: body.json, traceparent: request.headers.get('traceparent'), ...(instanceId ? { instanceId } : {}) });
    const query = request.url.searchParams;
    if (query.has('timeout') || query.has('pollingInterval')) return await startAndWait(deps, id, query, origin);
    return started(deps, id, origin);
  } catch (error) {
    if (isHoldfastError(error, 'HOST_INSTANCE_EXISTS')) return json(409, { Message: error.message });
    throw error;
  }
}

function started(deps: ManagementDeps, id: string, origin: string): Response {
  const links = managementLinks(origin, id, deps.taskHubName, deps.systemKey);
  // The reply to a start does not offer rewinding, the binding does.
  return json(202, { ...links, rewindPostUri: undefined }, { location: links.statusQueryGetUri, 'retry-after': '10' });
}

const defaultWaitSeconds = 10;

async function startAndWait(deps: ManagementDeps, id: string, query: URLSearchParams, origin: string): Promise<Response> {
  const seconds = Number(query.get('timeout') ?? defaultWaitSeconds);
  await deps.waitUntilFinished(id, (Number.isFinite(seconds) ? seconds : defaultWaitSeconds) * 1000);
  const instance = deps.journal.instance(id);
  if (!instance || !isFinished(instance.status)) return started(deps, id, origin);
  const shown = instanceStatus(instance, { showInput: true });
  if (instance.status !== 'Completed') return json(200, shown);
  return typeof shown.output === 'string' ? text(200, shown.output) : json(200, shown.output);
}

function status(deps: ManagementDeps, request: HostRequest, id: string): Response {
  const instance = deps.journal.instance(id);
  if (!instance) return empty(404);
  const query = request.url.searchParams;
  const history = flag(query, 'showHistory') ? { history: deps.journal.history(id), showHistoryOutput: flag(query, 'showHistoryOutput') } : {};
  const body = instanceStatus(instance, { showInput: flag(query, 'showInput', true), ...history });
  if (!isFinished(instance.status)) return json(202, body, { location: request.url.href, 'retry-after': '5' });
  return json(instance.status === 'Failed' && flag(query, 'returnInternalServerErrorOnFailure') ? 500 : 200, body);
}

/** Filters of a list; what cannot be read is ignored, as observed. */
function filterOf(query: URLSearchParams): Listing {
  const wanted = (query.get('runtimeStatus') ?? '').split(',').flatMap((name) => statuses.filter((known) => known.toLowerCase() === name.trim().toLowerCase()));
  const time = (name: string): number | undefined => {
    const at = Date.parse(query.get(name) ?? '');
    return Number.isNaN(at) ? undefined : at;
  };
  const prefix = query.get('instanceIdPrefix');
  const [createdFromMs, createdToMs] = [time('createdTimeFrom'), time('createdTimeTo')];
  return {
    statuses: wanted,
    ...(prefix === null ? {} : { prefix }),
    ...(createdFromMs === undefined ? {} : { createdFromMs }),
    ...(createdToMs === undefined ? {} : { createdToMs }),
  };
}

function list(deps: ManagementDeps, query: URLSearchParams, token?: string): Response {
  const top = Number.parseInt(query.get('top') ?? '', 10);
  const limit = top > 0 ? top : undefined;
  const filter = { ...filterOf(query), ...(token ? { after: Buffer.from(token, 'base64').toString('utf8') } : {}) };
  const found = deps.journal.list({ ...filter, ...(limit === undefined ? {} : { limit: limit + 1 }) });
  const page = limit === undefined ? found : found.slice(0, limit);
  const last = page.at(-1);
  const next = last && found.length > page.length ? Buffer.from(last.instanceId).toString('base64') : '';
  const showInput = flag(query, 'showInput', true);
  return json(200, page.map((instance) => instanceStatus(instance, { showInput })), { 'x-ms-continuation-token': next });
}

function purgeMany(deps: ManagementDeps, query: URLSearchParams): Response {
  const filter = filterOf(query);
  if (filter.createdFromMs === undefined) return text(400, "Please provide value for 'createdTimeFrom' parameter.");
  const ids = deps.journal.list(filter).filter(({ status: state }) => isFinished(state)).map(({ instanceId }) => instanceId);
  if (ids.length === 0) return empty(404);
  deps.engine.purge(ids);
  return json(200, { instancesDeleted: ids.length });
}

function purgeOne(deps: ManagementDeps, id: string): Response {
  const instance = deps.journal.instance(id);
  if (!instance) return empty(404);
  if (!isFinished(instance.status)) {
    return text(412, `Only orchestrations in a terminal state can be purged, but the orchestration with instance ID ${id} has status ${instance.status}`);
  }
  deps.engine.purge([id]);
  return json(200, { instancesDeleted: 1 });
}

function raiseEvent(deps: ManagementDeps, request: HostRequest, id: string, name: string): Response {
  if (!/^application\/json\b/i.test(request.headers.get('content-type') ?? '')) return json(400, { Message: 'Only application/json request content is supported' });
  const body = bodyJson(request.body);
  if ('detail' in body) return invalidJson(body.detail);
  return deliver(deps, id, events.eventRaised(name, body.json, deps.clock.now()));
}

function deliver(deps: ManagementDeps, id: string, event: HistoryEvent): Response {
  try {
    return empty(deps.engine.post(id, event) ? 202 : 410);
  } catch (error) {
    if (isHoldfastError(error, 'HOST_NO_SUCH_INSTANCE')) return empty(404);
    throw error;
  }
}

function operate(deps: ManagementDeps, request: HostRequest, id: string, operation: string, origin: string): Response {
  const reason = request.url.searchParams.get('reason');
  const nowMs = deps.clock.now();
  const instance = deps.journal.instance(id);
  switch (operation.toLowerCase()) {
    case 'terminate':
      return deliver(deps, id, events.executionTerminated(reason, nowMs));
    case 'suspend':
      return instance?.status === 'Suspended' ? wrongState('suspend', instance) : deliver(deps, id, events.suspended(reason, nowMs));
    case 'resume':
      return instance && !isFinished(instance.status) && instance.status !== 'Suspended' ? wrongState('resume', instance) : deliver(deps, id, events.resumed(reason, nowMs));
    case 'rewind':
      if (!instance) return text(404, `No orchestration with instance ID "$${id}" found.`);
      if (instance.status !== 'Failed') return text(412, `This orchestration has status ${instance.status}, but only orchestrations in the "Failed" state can be rewound.`);
      return text(501, 'The embedded host does not rewind orchestrations; restart the instance instead.');
    case 'restart':
      return restart(deps, id, flag(request.url.searchParams, 'restartWithNewInstanceId', true), origin);
    default:
      return empty(404);
  }
}

function wrongState(operation: string, instance: Instance): Response {
  return problem(500, 'Something went wrong while processing your request',
    `Cannot ${operation} the orchestration instance ${instance.instanceId} because instance is in the ${instance.status} state.`, 'System.InvalidOperationException');
}

function restart(deps: ManagementDeps, id: string, withNewId: boolean, origin: string): Response {
  try {
    return started(deps, deps.engine.restart(id, withNewId), origin);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    if (error.code === 'HOST_NO_SUCH_INSTANCE') {
      return problem(400, 'InstanceId does not match a valid orchestration instance.', `No instance with ID '${id}' was found. (Parameter 'instanceId')`, 'System.ArgumentException');
    }
    if (error.code !== 'HOST_INSTANCE_EXISTS') throw error;
    return problem(409, 'A non-terminal instance with this instance ID already exists.', error.message, 'DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException');
  }
}
