import { isDeepStrictEqual } from 'node:util';
import { app, type HttpResponseInit } from '@azure/functions';
import * as df from 'durable-functions';
import type { DurableClient, DurableOrchestrationStatus } from 'durable-functions';
import { z } from 'zod';
import { listFleetItems } from '../activities/fleet-items';
import { createConcludeScrub, createPlanScrub, createScrubItem, type ScrubScope } from '../activities/scrub';
import { stepOf } from '../activities/observed';
import { HoldfastError } from '../errors/holdfast-error';
import { DAILY_SCRUB_ID, isScrubInstanceId, scrubInstanceId, SCRUBS } from '../orchestrations/names';
import { scrub, type ScrubJobInput } from '../orchestrations/scrub';
import { formatStamp } from '../policy/slot';
import { itemIdOf, loadRecoveryPoint, requireItem } from '../vault/catalog';
import { ITEM_ID } from '../vault/format/manifest';
import { roundStartMs } from '../vault/proof/scrub';
import type { VaultAccess } from '../vault/format/tree';
import { findStatus, isActive, jobCancelling, jobStatus } from './durable-status';
import { json, located } from './problem';
import { pathId, route } from './route';
import { cancelling, started } from './schemas/common';
import { scrubInFull, scrubScope } from './schemas/jobs';
import { health } from './schemas/points';
import { progressOf, viewScrub } from './scrub-view';
import type { Services } from './services';

const MAX_LISTED_DAMAGE = 500;

/** Scrubs: their workflow, steps and timer. */
export function registerScrubs(services: Services): void {
  const { deps, others, scrubs } = services;
  df.app.orchestration(SCRUBS.scrub, scrub);
  df.app.activity(SCRUBS.planScrub, { handler: stepOf(deps.telemetry, SCRUBS.planScrub, createPlanScrub(others.maintenance)) });
  df.app.activity(SCRUBS.scrubItem, { handler: stepOf(deps.telemetry, SCRUBS.scrubItem, createScrubItem(others.maintenance)) });
  df.app.activity(SCRUBS.concludeScrub, { handler: stepOf(deps.telemetry, SCRUBS.concludeScrub, createConcludeScrub(others.maintenance)) });
  app.timer('scrubber', {
    schedule: scrubs.cron, extraInputs: [df.input.durableClient()],
    handler: async (_timer, context) => { await startShare(df.getClient(context), scrubs.days, deps.nowMs()); },
  });
}

/** A day's share, unless the one before is still at it. */
async function startShare(client: DurableClient, days: number, nowMs: number): Promise<void> {
  const before = await findStatus(client, DAILY_SCRUB_ID);
  if (before && isActive(before)) return;
  await client.startNew(SCRUBS.scrub, { instanceId: DAILY_SCRUB_ID, input: { scope: { kind: 'share', days }, sinceMs: roundStartMs(nowMs, days) } satisfies ScrubJobInput });
}

const bodySchema = z.strictObject({ item: z.string().min(1).max(120).optional(), recoveryPoint: z.string().min(1).max(120).optional() }).default({})
  .refine(({ item, recoveryPoint }) => item === undefined || recoveryPoint === undefined, 'expects an item or a recovery point, not both');

const postScrub = route({
  id: 'startScrub', method: 'POST', path: 'vault/scrubs', role: 'Operator', action: 'scrub.start', body: bodySchema, responses: { 202: started.extend({ scope: scrubScope }).meta({ id: 'ScrubStarted' }) },
  summary: 'Proves everything now by reading it back, or all of an item, or one recovery point',
  async handler({ body, client, services: { deps }, atMs, earlierMs }) {
    const scope = await scopeOf(await deps.vault(), body);
    const known = await Promise.all(earlierMs.map((ms) => findStatus(client, scrubInstanceId(formatStamp(ms)))));
    const before = known.find((status) => isDeepStrictEqual((status?.input as ScrubJobInput | undefined)?.scope, scope));
    if (before) return scrubStarted(before.instanceId, scope);
    // Two that are asked for within a millisecond are two jobs.
    for (let ms = atMs; ; ms++) {
      const id = scrubInstanceId(formatStamp(ms));
      if (await findStatus(client, id)) continue;
      await client.startNew(SCRUBS.scrub, { instanceId: id, input: { scope, sinceMs: ms } satisfies ScrubJobInput });
      return scrubStarted(id, scope);
    }
  },
});

function scrubStarted(id: string, scope: ScrubScope): HttpResponseInit {
  return located({ id, scope, state: 'queued', location: `/api/vault/scrubs/${id}` });
}

async function scopeOf(vault: VaultAccess, { item, recoveryPoint }: z.infer<typeof bodySchema>): Promise<ScrubScope> {
  if (recoveryPoint !== undefined) {
    await loadRecoveryPoint(vault, recoveryPoint, { deleted: true }).catch((error: unknown) => {
      // A manifest that is damaged is there, and the scrub says so.
      if (!(error instanceof HoldfastError) || error.code !== 'DOCUMENT_DAMAGED') throw error;
    });
    return { kind: 'recovery-point', id: recoveryPoint };
  }
  if (item === undefined) return { kind: 'all' };
  const itemId = ITEM_ID.test(item) ? await itemIdOf(vault, item) : item;
  await requireItem(vault, itemId);
  return { kind: 'item', itemId };
}

const scrubStatus = (client: DurableClient, id: string): Promise<DurableOrchestrationStatus> => jobStatus(client, id, isScrubInstanceId(id), 'scrub');

const ofScrub = z.strictObject({ id: pathId });

/** What GET /api/jobs/ID says, with the figures of the scrub at the top. */
const getScrub = route({
  id: 'getScrub', method: 'GET', path: 'vault/scrubs/{id}', role: 'Reader', params: ofScrub, responses: { 200: scrubInFull },
  summary: 'A scrub: how far it is, and what it found',
  async handler({ params: { id }, client, services: { deps } }) {
    const status = await scrubStatus(client, id);
    const view = viewScrub(status, deps.nowMs());
    return json({ ...progressOf(status), ...view, percent: view.progress.percent });
  },
});

const postCancel = route({
  id: 'cancelScrub', method: 'POST', path: 'vault/scrubs/{id}/cancel', role: 'Operator', action: 'scrub.cancel', params: ofScrub, responses: { 202: cancelling },
  summary: 'Stops a scrub; what it has read stays proved',
  handler: ({ params, client }) => cancelScrub(client, params.id),
});

/** Stops a scrub. What its steps have read stays proved; a step that runs is finished and writes down what it read. */
export async function cancelScrub(client: DurableClient, id: string): Promise<HttpResponseInit> {
  const status = await scrubStatus(client, id);
  if (!isActive(status)) throw new HoldfastError('REQUEST_INVALID', `The scrub ${id} has ended already: it is ${status.runtimeStatus}`);
  await client.terminate(id, 'cancelled by a person');
  return jobCancelling(id);
}

/** `proved` is said only where everything was. */
const getHealth = route({
  id: 'getHealth', method: 'GET', path: 'vault/health', role: 'Reader', responses: { 200: health },
  summary: 'What is known of the vault: when each item was last proved, and the ledger of damage',
  async handler({ services: { deps, fleet } }) {
    const items = (await listFleetItems(fleet, deps.nowMs())).items.filter(({ recoveryPoints, damaged }) => recoveryPoints + damaged > 0)
      .map(({ id, name, latest, damaged, proved }) => ({ id, name, latest: latest?.id ?? null, unreadable: damaged, proved }));
    const { packs: ledger, points } = (await fleet.damage()).value;
    const isDamaged = items.some(({ proved, unreadable }) => unreadable > 0 || proved?.ok === false);
    return json({
      state: isDamaged ? 'damaged' : items.every(({ proved }) => proved !== null) && items.length > 0 ? 'proved' : 'unproved',
      items, damagedPacks: ledger.length, damage: ledger.slice(0, MAX_LISTED_DAMAGE).map(({ pack, code, message, foundAt, foundBy, recoveryPoints }) => ({ pack, code, message, foundAt, foundBy, recoveryPoints })),
      damagedRecoveryPoints: points.slice(0, MAX_LISTED_DAMAGE).map(({ recoveryPoint, code, message, foundAt, foundBy }) => ({ recoveryPoint, code, message, foundAt, foundBy })),
    });
  },
});

export const scrubRoutes = [postScrub, getScrub, postCancel, getHealth];
