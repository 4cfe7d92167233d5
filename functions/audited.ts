import type { HttpResponseInit } from '@azure/functions';
import type { Caller } from '../access/roles';
import { type HoldfastError, messageOf } from '../errors/holdfast-error';
import type { Doing, TrailWho } from '../vault/trail/record';
import { isRefusal, recorded } from '../vault/trail/recorded';
import { appendRecord } from '../vault/trail/trail';
import { RefusalLimit } from './refusal-limit';
import type { Call, Route } from './route';
import type { Services } from './services';

/** A caller as the audit trail has one: signed in, or with the token of the app on this machine. */
export const whoOf = ({ id, name, kind, roles }: Caller): TrailWho => ({ id: id.slice(0, 200), name, kind, roles: [...roles], verified: true });

/** Refusals that an app has recorded lately, so that nobody fills the vault by asking for what they may not. */
const limits = new WeakMap<Services, RefusalLimit>();

function limitOf(services: Services): RefusalLimit {
  const limit = limits.get(services) ?? new RefusalLimit();
  limits.set(services, limit);
  return limit;
}

/** What the parameters of a path name; null where there are none. */
export const targetOf = (params: unknown): string | null => Object.values(params as Readonly<Record<string, string>>).join('/') || null;

type Audited = Pick<Route, 'action' | 'audit'>;

/** What a call does, or null where it changes nothing: a route without an action, or a dry run. */
function doingOf({ action, audit }: Audited, call: Call): Doing | null {
  if (action === undefined || isDry(call)) return null;
  return { who: whoOf(call.caller), from: call.caller.from, action, target: targetOf(call.params), details: { ...audit?.(call) } };
}

/** Whether a call asks only what it would do. */
export const isDry = ({ query, body }: Pick<Call, 'query' | 'body'>): boolean => isDryRun(query) || isDryRun(body);

const isDryRun = (part: unknown): boolean => typeof part === 'object' && part !== null && 'dryRun' in part && part.dryRun === true;

/**
 * Runs a handler between two records of the audit trail, where its route has an action: what cannot be recorded does not happen. Who was refused too often lately is turned away unheard.
 * Throws AUDIT_NOT_WRITTEN, TOO_MANY_REFUSALS, and what the handler throws.
 */
export async function audited(route: Audited, call: Call, work: () => Promise<HttpResponseInit>): Promise<HttpResponseInit> {
  const doing = doingOf(route, call);
  if (doing === null) return work();
  const { deps } = call.services;
  const key = `${call.caller.id} ${doing.action}`;
  const refusals = limitOf(call.services);
  refusals.demand(key, doing.action, deps.nowMs());
  try {
    return await recorded(await deps.vault(), doing, work, {
      details: ({ status = 200, headers }) => ({ status, ...locationIn(headers) }),
      onUnrecorded: (error) => call.context.error(`${doing.action} was done, but the audit trail says only that it was begun: ${error.message}`),
    });
  } catch (error) {
    if (isRefusal(error)) refusals.count(key, deps.nowMs());
    throw error;
  }
}

const locationIn = (headers: HttpResponseInit['headers']): { location?: string } => {
  const location = headers === undefined ? null : new Headers(headers as Record<string, string>).get('location');
  return location === null ? {} : { location };
};

/**
 * Records that somebody who is known was refused what a route does, before anything of the request was read. So many a time, and no more: the refusal stands all the same, also where the
 * record cannot be written, since nothing happens.
 */
export async function recordRefusal({ action }: Audited, caller: Caller, params: Readonly<Record<string, string>>, error: HoldfastError, services: Services): Promise<void> {
  const { deps } = services;
  if (action === undefined || !limitOf(services).count(`${caller.id} ${action}`, deps.nowMs())) return;
  try {
    await appendRecord(await deps.vault(), { who: whoOf(caller), from: caller.from, action, target: targetOf(params), outcome: 'refused', code: error.code });
  } catch (cause) {
    deps.log('A refusal could not be recorded in the audit trail', { action, caller: caller.id, error: messageOf(cause) });
  }
}
