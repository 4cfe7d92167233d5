import { app, type InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import type { DurableClient } from 'durable-functions';
import { z } from 'zod';
import { createReconcileRestores } from '../activities/reconcile-restores';
import { createReconcile, type ReconcileInput } from '../activities/reconcile';
import { stepOf } from '../activities/observed';
import { createSweep } from '../activities/sweep';
import { createSweepBlobs } from '../activities/sweep-blobs';
import { HOUSEKEEPING, isSweepInstanceId, RECONCILE_INSTANCE_ID, sweepInstanceId } from '../orchestrations/names';
import { reconcile } from '../orchestrations/reconcile';
import { sweep, type SweepJobInput, type SweepJobResult } from '../orchestrations/sweep';
import { formatStamp } from '../policy/slot';
import { findStatus, isActive, jobStatus, ownerState, restoreState } from './durable-status';
import { json, located } from './problem';
import { pathId, route } from './route';
import { started } from './schemas/common';
import { sweep as sweepView } from './schemas/upkeep';
import type { Services } from './services';

/** Sweeps and the reconciler: their workflows, steps and timers. */
export function registerHousekeeping(services: Services): void {
  const { deps, others } = services;
  df.app.orchestration(HOUSEKEEPING.sweepCloud, sweep);
  df.app.orchestration(HOUSEKEEPING.reconcileRuns, reconcile);
  df.app.activity(HOUSEKEEPING.sweepItems, { handler: stepOf(deps.telemetry, HOUSEKEEPING.sweepItems, createSweep(deps, others.restore)) });
  df.app.activity(HOUSEKEEPING.sweepBlobs, { handler: stepOf(deps.telemetry, HOUSEKEEPING.sweepBlobs, createSweepBlobs(deps)) });
  df.app.activity(HOUSEKEEPING.reconcileItems, {
    extraInputs: [df.input.durableClient()],
    handler: (input: ReconcileInput, context: InvocationContext) => stepOf(deps.telemetry, HOUSEKEEPING.reconcileItems, createReconcile(deps, (owner) => ownerState(df.getClient(context), owner)))(input),
  });
  df.app.activity(HOUSEKEEPING.reconcileRestores, {
    extraInputs: [df.input.durableClient()],
    handler: (input: object, context: InvocationContext) => stepOf(deps.telemetry, HOUSEKEEPING.reconcileRestores, createReconcileRestores(others.restore, (restoreId) => restoreState(df.getClient(context), restoreId)))(input),
  });
  const timer = (name: string, schedule: string, start: (client: DurableClient) => Promise<unknown>): void =>
    app.timer(name, { schedule, extraInputs: [df.input.durableClient()], handler: async (_timer, context) => { await start(df.getClient(context)); } });
  timer('reconciler', services.housekeeping.reconcileCron, startReconcile);
  timer('sweeper', services.housekeeping.sweepCron, (client) => startSweep(client, false, deps.nowMs()));
}

/** One reconciler at a time: a second start while it runs is none. */
async function startReconcile(client: DurableClient): Promise<void> {
  const before = await findStatus(client, RECONCILE_INSTANCE_ID);
  if (!before || !isActive(before)) await client.startNew(HOUSEKEEPING.reconcileRuns, { instanceId: RECONCILE_INSTANCE_ID });
}

async function startSweep(client: DurableClient, dryRun: boolean, nowMs: number): Promise<string> {
  const instanceId = sweepInstanceId(formatStamp(nowMs));
  if (!await findStatus(client, instanceId)) await client.startNew(HOUSEKEEPING.sweepCloud, { instanceId, input: { dryRun } satisfies SweepJobInput });
  return instanceId;
}

const bodySchema = z.strictObject({ dryRun: z.boolean({ error: 'expects true or false' }).default(true) }).default({ dryRun: true });

const postSweep = route({
  id: 'startSweep', method: 'POST', path: 'vault/sweeps', role: 'Admin', action: 'sweep.start', body: bodySchema, responses: { 202: started.extend({ dryRun: z.boolean() }).meta({ id: 'SweepStarted' }) },
  summary: 'Starts a sweep of what backups and restores left in the subscriptions; a dry run unless the body says {"dryRun": false}',
  async handler({ body: { dryRun }, client, atMs, earlierMs }) {
    // Under the time of the first try it is one sweep, however often it is asked for.
    const id = await startSweep(client, dryRun, earlierMs[0] ?? atMs);
    return located({ id, dryRun, state: 'queued', location: `/api/vault/sweeps/${id}` });
  },
});

const getSweep = route({
  id: 'getSweep', method: 'GET', path: 'vault/sweeps/{id}', role: 'Reader', params: z.strictObject({ id: pathId }), responses: { 200: sweepView },
  summary: 'A sweep: whether it runs, and what it found and removed',
  async handler({ params: { id }, client }) {
    const status = await jobStatus(client, id, isSweepInstanceId(id), 'sweep');
    const result = (status.runtimeStatus === 'Completed' ? status.output : null) as unknown as SweepJobResult | null;
    const failed = result ? result.error !== null : !isActive(status);
    return json({ id, state: failed ? 'failed' : result ? 'succeeded' : 'running', ...(result ?? (status.customStatus as object | null) ?? {}) });
  },
});

export const sweepRoutes = [postSweep, getSweep];
