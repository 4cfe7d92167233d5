import { HoldfastError, messageOf } from '../errors/holdfast-error';
import { listRuns, runEnd } from '../vault/run';
import type { VaultAccess } from '../vault/format/tree';
import type { ActivityDeps } from './deps';
import type { Courier, Delivery } from './courier';
import { cloudEventOf, findNotice, type NoticeOutcome, raiseNotices, recordOutcome } from './notice';
import { noticesOfJob } from './notice-rules';
import { loadNotifications, type Target } from './notice-targets';
import { activity } from './outcome';
import type { JobReport } from './report-job';

/**
 * Decides what people are told of a job that ended, by its report and by what the vault has of the item's runs, and writes that down. Safe to run again. `begin` starts to tell an
 * event; where that fails, the timer does it a minute later.
 */
export const createRaiseJobNotices = (deps: Pick<ActivityDeps, 'vault' | 'log'>, begin: (id: string) => Promise<void>) => activity(async (report: JobReport): Promise<{ readonly ids: readonly string[] }> => {
  const vault = await deps.vault();
  const failedBefore = report.kind === 'backup' && report.outcome === 'succeeded' ? await failureBefore(vault, report) : null;
  const ids = await raiseNotices(vault, noticesOfJob(report, failedBefore));
  for (const id of ids) await begin(id).catch((error: unknown) => deps.log('An event is not told yet', { id, error: messageOf(error).slice(0, 300) }));
  return { ids };
});

/** Why the item's run before the one that made this recovery point failed; null where it did not, or was cancelled. */
async function failureBefore(vault: VaultAccess, { itemId, details }: JobReport): Promise<{ readonly code: string } | null> {
  const { recoveryPoint } = details;
  if (itemId === null || recoveryPoint === undefined) return null;
  const sequences = [...(await listRuns(vault, itemId)).keys()].sort((a, b) => b - a);
  const endOf = (sequence: number | undefined): ReturnType<typeof runEnd> => (sequence === undefined ? Promise.resolve(undefined) : runEnd(vault, { itemId, sequence, stamp: '' }));
  for (const [index, sequence] of sequences.entries()) {
    if ((await endOf(sequence))?.recoveryPoint !== recoveryPoint) continue;
    const before = await endOf(sequences[index + 1]);
    const code = before?.outcome === 'abandoned' ? before.error?.code ?? 'RUN_ABANDONED' : 'CANCELLED';
    return code === 'CANCELLED' ? null : { code };
  }
  return null;
}

export interface SendNoticeInput {
  readonly id: string;
  /** Targets that are done with, delivered or dead. */
  readonly settled: readonly string[];
}
export interface SendNoticeResult { readonly tries: readonly ({ readonly target: string; readonly at: string } & Delivery)[] }

/** One try at each target that wants the event and has not got it. The targets are those in force now: what was corrected meanwhile counts. */
export const createSendNotice = (deps: Pick<ActivityDeps, 'vault' | 'nowMs'>, courier: Courier) => activity(async ({ id, settled }: SendNoticeInput): Promise<SendNoticeResult> => {
  const vault = await deps.vault();
  const notice = await findNotice(vault, id);
  if (!notice) throw new HoldfastError('NOTIFICATION_NOT_FOUND', `There is no event ${id.slice(0, 40)}`);
  const { document: { targets } } = await loadNotifications(vault.store);
  const open = targets.filter((target) => wants(target, notice.type) && !settled.includes(target.name));
  const body = cloudEventOf(vault.keys.vaultId, notice);
  return {
    tries: await Promise.all(open.map(async ({ name, url, handshake }) => {
      const delivery = await courier.send({ target: name, url, id, body, handshake, nowMs: deps.nowMs() });
      return { target: name, at: new Date(deps.nowMs()).toISOString(), ...delivery };
    })),
  };
});

export const wants = ({ enabled, events }: Target, type: string): boolean => enabled && (events === undefined || (events as readonly string[]).includes(type));

/** Writes down what became of an event, and says so: a target that was given up is what an alert goes by. */
export const createConcludeNotice = (deps: Pick<ActivityDeps, 'vault' | 'telemetry' | 'log'>) => activity(async (outcome: NoticeOutcome): Promise<null> => {
  const vault = await deps.vault();
  const notice = await findNotice(vault, outcome.id);
  if (await recordOutcome(vault, outcome) === 'exists') return null;
  const dead = outcome.targets.filter(({ state }) => state === 'dead');
  const state = dead.length > 0 ? 'dead' : outcome.targets.length > 0 ? 'delivered' : 'unwanted';
  deps.telemetry.event('holdfast.notification', { id: outcome.id, type: notice?.type ?? '', outcome: state, dead: dead.map(({ target }) => target).join(' '), reason: dead[0]?.reason ?? '', subject: notice?.subject ?? '' });
  deps.telemetry.measure('holdfast.notifications', 1, { type: notice?.type ?? '', outcome: state });
  for (const { target, attempts, reason } of dead) deps.log('A notification was given up', { id: outcome.id, target, attempts, reason });
  return null;
});
