import { app } from '@azure/functions';
import * as df from 'durable-functions';
import type { DurableClient } from 'durable-functions';
import { z } from 'zod';
import { createLockVault } from '../activities/lock-vault';
import { createCollectVault, createRecordMaintenance, createRetainItems, MAINTENANCE_ACTION } from '../activities/maintain';
import { stepOf } from '../activities/observed';
import { createTestKeys } from '../activities/test-keys';
import { HoldfastError, messageOf, toReport } from '../errors/holdfast-error';
import { maintain, type MaintainInput, type MaintainStatus } from '../orchestrations/maintain';
import { MAINTAIN_INSTANCE_ID, MAINTENANCE } from '../orchestrations/names';
import { formatStamp } from '../policy/slot';
import { listMaintenance } from '../vault/points/maintenance-log';
import { THE_APP } from '../vault/trail/record';
import { isRefusal } from '../vault/trail/recorded';
import { appendRecord } from '../vault/trail/trail';
import { findStatus, isActive } from './durable-status';
import { json, located } from './problem';
import { route } from './route';
import { approvalAsked } from './schemas/approvals';
import { maintenance, maintenanceStarted } from './schemas/upkeep';
import type { Services } from './services';

const LISTED = 30;

/** The maintenance of the vault: its workflow, steps and timer. */
export function registerMaintenance(services: Services): void {
  const { deps, others } = services;
  df.app.orchestration(MAINTENANCE.maintain, maintain);
  df.app.activity(MAINTENANCE.retainItems, { handler: stepOf(deps.telemetry, MAINTENANCE.retainItems, createRetainItems(others.maintenance)) });
  df.app.activity(MAINTENANCE.collectVault, { handler: stepOf(deps.telemetry, MAINTENANCE.collectVault, createCollectVault(others.maintenance)) });
  df.app.activity(MAINTENANCE.lockVault, { handler: stepOf(deps.telemetry, MAINTENANCE.lockVault, createLockVault(others.maintenance)) });
  df.app.activity(MAINTENANCE.testKeys, { handler: stepOf(deps.telemetry, MAINTENANCE.testKeys, createTestKeys(others.maintenance)) });
  df.app.activity(MAINTENANCE.recordMaintenance, { handler: stepOf(deps.telemetry, MAINTENANCE.recordMaintenance, createRecordMaintenance(others.maintenance, services.scrubs.days)) });
  app.timer('maintainer', {
    schedule: services.housekeeping.maintainCron, extraInputs: [df.input.durableClient()],
    handler: async (_timer, context) => {
      try {
        await startDaily(services, df.getClient(context));
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        context.log(`The maintenance was not started: ${messageOf(error)}`);
      }
    },
  });
}

/** Nobody but the clock asked for it; its outcome is recorded by its last step. What cannot be recorded is not begun. */
async function startDaily({ deps }: Services, client: DurableClient): Promise<void> {
  const nowMs = deps.nowMs();
  const record = { who: THE_APP, from: null, action: MAINTENANCE_ACTION, target: formatStamp(nowMs) };
  const vault = await deps.vault();
  const { number } = await appendRecord(vault, { ...record, outcome: 'begun' });
  try {
    await start(client, false, null, nowMs);
  } catch (error) {
    await appendRecord(vault, { ...record, outcome: isRefusal(error) ? 'refused' : 'failed', begun: number, code: toReport(error).code });
    throw error;
  }
}

/** One at a time for each vault, by the one id of its instance. Throws MAINTENANCE_RUNNING. */
async function start(client: DurableClient, dryRun: boolean, approve: string | null, nowMs: number): Promise<MaintainInput> {
  const before = await findStatus(client, MAINTAIN_INSTANCE_ID);
  if (before && isActive(before)) throw new HoldfastError('MAINTENANCE_RUNNING', `The maintenance that began at ${new Date(before.createdTime).toISOString()} has not ended`);
  const input: MaintainInput = { stamp: formatStamp(nowMs), dryRun, approve };
  await client.startNew(MAINTENANCE.maintain, { instanceId: MAINTAIN_INSTANCE_ID, input });
  return input;
}

const bodySchema = z.strictObject({
  dryRun: z.boolean({ error: 'expects true or false' }).default(true),
  approve: z.string({ error: 'expects the token of a plan' }).max(60, 'expects the token of a plan').optional(),
}).default({ dryRun: true });

const startMaintenance = route({
  id: 'startMaintenance', method: 'POST', path: 'vault/maintenance', role: 'Admin', action: 'maintenance.start', body: bodySchema, responses: { 202: z.union([maintenanceStarted, approvalAsked]) },
  summary: 'Starts a maintenance: retention and collection; a dry run unless the body says {"dryRun": false}',
  audit: ({ body: { approve } }) => ({ approve: approve ?? null }),
  guard: {
    what: ({ body: { approve } }) => Promise.resolve(approve === undefined ? null
      : { kind: 'collection.approve', what: `A collection would delete abnormally much: the plan ${approve}`, fingerprint: approve }),
    isDone: async ({ body: { approve }, client }) => ((await findStatus(client, MAINTAIN_INSTANCE_ID))?.input as MaintainInput | null | undefined)?.approve === approve,
  },
  async handler({ body: { dryRun, approve }, client, atMs, earlierMs }) {
    const before = earlierMs.length === 0 ? undefined : (await findStatus(client, MAINTAIN_INSTANCE_ID))?.input as MaintainInput | null | undefined;
    const stamp = earlierMs.map(formatStamp).find((one) => one === before?.stamp) ?? (await start(client, dryRun, approve ?? null, atMs)).stamp;
    return located({ stamp, dryRun, state: 'queued', location: '/api/vault/maintenance' });
  },
});

const getMaintenance = route({
  id: 'getMaintenance', method: 'GET', path: 'vault/maintenance', role: 'Reader', responses: { 200: maintenance },
  summary: 'The maintenance that runs now, and what the last ones came to, the newest first',
  async handler({ client, services: { deps } }) {
    const status = await findStatus(client, MAINTAIN_INSTANCE_ID);
    const running = status && isActive(status) ? { ...(status.input as MaintainInput | null), startedAt: new Date(status.createdTime).toISOString(), ...(status.customStatus as MaintainStatus | null) } : null;
    return json({ running, last: await listMaintenance(await deps.vault(), LISTED) });
  },
});

export const maintenanceRoutes = [getMaintenance, startMaintenance];
