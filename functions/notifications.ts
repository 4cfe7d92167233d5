import { app, type InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import type { DurableClient } from 'durable-functions';
import { createHash } from 'node:crypto';
import { raiseUntoldApprovals } from '../activities/approval-events';
import { forgetNotice, type ListedNotice, listNotices } from '../activities/notice';
import { hasTargets } from '../activities/notice-targets';
import { stepOf } from '../activities/observed';
import type { Announce, JobReport } from '../activities/report-job';
import { createConcludeNotice, createRaiseJobNotices, createSendNotice } from '../activities/tell';
import { isHoldfastError, messageOf, toReport } from '../errors/holdfast-error';
import { NOTICES, raiseInstanceId, tellInstanceId } from '../orchestrations/names';
import { raiseNotices } from '../orchestrations/raise-notices';
import { tell } from '../orchestrations/tell';
import { findStatus, isActive } from './durable-status';
import type { Services } from './services';

/** So many events are kept in the vault, and for so long. */
const KEPT = 2000;
const KEPT_MS = 90 * 86_400_000;
/** Of one look of the timer. */
const MOST_STARTED = 100;
const MOST_FORGOTTEN = 100;
const START_TRIES = 3;

/** What tells people: two workflows, their steps, and the timer that begins what nobody else did. */
export function registerNotifications(services: Services): void {
  const { deps, notifications } = services;
  df.app.orchestration(NOTICES.raise, raiseNotices);
  df.app.orchestration(NOTICES.tell, tell);
  df.app.activity(NOTICES.raiseJobNotices, {
    extraInputs: [df.input.durableClient()],
    handler: (report: JobReport, context: InvocationContext) => stepOf(deps.telemetry, NOTICES.raiseJobNotices, createRaiseJobNotices(deps, async (id) => { await startTelling(df.getClient(context), id); }))(report),
  });
  df.app.activity(NOTICES.sendNotice, { handler: stepOf(deps.telemetry, NOTICES.sendNotice, createSendNotice(deps, notifications.courier)) });
  df.app.activity(NOTICES.concludeNotice, { handler: stepOf(deps.telemetry, NOTICES.concludeNotice, createConcludeNotice(deps)) });
  app.timer('notifier', { schedule: notifications.cron, extraInputs: [df.input.durableClient()], handler: (_timer, context) => notifierTick(services, df.getClient(context)) });
}

/** Begins the workflow that decides what people are told of a job; it lives through an outage of the vault, which the job does not wait for. Nothing begins where nobody is to be told. */
export const announcer = ({ deps }: Services, client: DurableClient): Announce => async (report) => {
  const instanceId = raiseInstanceId(createHash('sha256').update(`${report.jobId} ${report.startedAtMs}`).digest('hex').slice(0, 32));
  for (let attempt = 1; attempt <= START_TRIES; attempt++) {
    try {
      // A vault that cannot be asked is no reason to keep silent.
      if (!await deps.vault().then(({ store }) => hasTargets(store)).catch(() => true)) return;
      if (!await findStatus(client, instanceId)) await client.startNew(NOTICES.raise, { instanceId, input: report });
      return;
    } catch (error) {
      deps.log('What people are told of a job could not be begun', { job: report.jobId, attempt, error: messageOf(error).slice(0, 300) });
    }
  }
};

/** Begins to tell an event, unless that goes on already. Whether it did. */
async function startTelling(client: DurableClient, id: string): Promise<boolean> {
  const instanceId = tellInstanceId(id);
  const status = await findStatus(client, instanceId);
  if (status && isActive(status)) return false;
  await client.startNew(NOTICES.tell, { instanceId, input: { id } });
  return true;
}

/**
 * Raises approvals that wait and were not told. Begins to tell every event in the vault that has no outcome and that nobody tells: those that other steps raised, and those whose workflow was lost with its task hub. So an event
 * that is written down is told, whatever happens to the process that wrote it. Then the oldest that were told are forgotten.
 */
export async function notifierTick({ deps, others }: Services, client: DurableClient): Promise<void> {
  const vault = await deps.vault();
  if (!await hasTargets(vault.store)) return;
  await raiseUntoldApprovals(vault, deps.nowMs());
  const all = await listNotices(vault);
  let started = 0;
  for (const { id } of all.filter(({ ended }) => !ended)) {
    if (started === MOST_STARTED) break;
    if (await startTelling(client, id)) started++;
  }
  for (const { id } of tooOld(all, deps.nowMs())) {
    try {
      await forgetNotice(await others.maintenance.vault(), id);
    } catch (error) {
      // A WORM policy holds it: then a later look removes it.
      if (!isHoldfastError(error, 'STORE_IMMUTABLE')) deps.log('An old notification could not be removed', { id, error: toReport(error).message });
      break;
    }
  }
}

const tooOld = (all: readonly ListedNotice[], nowMs: number): readonly ListedNotice[] =>
  all.filter(({ ended, storedAtMs }, index) => ended && (index < all.length - KEPT || storedAtMs < nowMs - KEPT_MS)).slice(0, MOST_FORGOTTEN);
