import { catalogue, helpPage, isErrorCode } from '../errors/catalogue';
import type { NewNotice } from './notice';
import type { NoticeType, Severity } from './notice-types';
import type { JobReport } from './report-job';

/** Pure: what people are told about a job that ended. `failedBefore` is what was wrong with the item's backup before this one; null where it went well, or there was none. */
export function noticesOfJob(report: JobReport, failedBefore: { readonly code: string } | null): readonly NewNotice[] {
  // Somebody asked for that, and knows it.
  if (report.error?.code === 'CANCELLED') return [];
  switch (report.kind) {
    case 'backup': return backup(report, failedBefore);
    case 'restore': return restore(report);
    case 'scrub': return scrub(report);
    case 'maintenance': return maintenance(report);
    case 'policy': return report.outcome === 'failed' ? [failure(report, 'holdfast.policy.failed', 'error', `The run of the policy ${report.policy ?? ''} failed`)] : [];
    case 'sweep': return report.outcome === 'failed' ? [failure(report, 'holdfast.sweep.failed', 'warning', 'The sweep for snapshots that were left behind failed')] : [];
  }
}

function backup(report: JobReport, failedBefore: { readonly code: string } | null): readonly NewNotice[] {
  const item = report.itemId ?? '';
  if (report.outcome === 'failed') return [failure(report, 'holdfast.backup.failed', 'error', `The backup of ${item} failed`)];
  if (report.outcome !== 'succeeded' || !failedBefore) return [];
  const recoveryPoint = report.details['recoveryPoint'] ?? '';
  return [notice(report, 'holdfast.backup.recovered', 'info', `${item} is backed up again`, [`${item} is backed up again. The backup before this one had failed with ${failedBefore.code}.`, ['Recovery point', recoveryPoint]], { recoveryPoint, failedBefore: failedBefore.code })];
}

function restore(report: JobReport): readonly NewNotice[] {
  const recoveryPoint = report.details['recoveryPoint'] ?? '';
  const what = `The restore of ${recoveryPoint} to a ${report.details['target'] ?? 'target'}`;
  if (report.outcome === 'failed') return [failure(report, 'holdfast.restore.failed', 'error', `${what} failed`, { recoveryPoint })];
  return report.outcome === 'succeeded' ? [notice(report, 'holdfast.restore.succeeded', 'info', `${what} is done`, [`${what} is done.`], { recoveryPoint })] : [];
}

function scrub(report: JobReport): readonly NewNotice[] {
  const damaged = report.figures['damaged'] ?? 0;
  const { damagedPoint = '', damageCode = '' } = report.details;
  const found = damaged === 0 ? [] : [notice(report, 'holdfast.damage.found', 'critical', `Damage in the vault: ${damaged} recovery ${damaged === 1 ? 'point' : 'points'}`, [
    'A scrub read something back that is not what was stored. GET /api/vault/health lists it; the next backup of the item heals what the machine still has.',
    ['Recovery points', String(damaged)], ['The first', damagedPoint], ...helpOf(damageCode),
  ], { damaged, recoveryPoint: damagedPoint, code: damageCode })];
  return [...found, ...(report.outcome === 'failed' && damaged === 0 ? [failure(report, 'holdfast.scrub.failed', 'error', 'A scrub of the vault failed')] : [])];
}

/** The key and the collection have types of their own, for they are for different people at different hours. */
function maintenance(report: JobReport): readonly NewNotice[] {
  const { details } = report;
  const part = (name: 'locks' | 'keys' | 'retention' | 'collection'): { code: string; message: string } => ({ code: details[`${name}Code`] ?? '', message: details[`${name}Message`] ?? '' });
  const told: NewNotice[] = [];
  const keys = part('keys');
  const collection = part('collection');
  if (keys.code !== '') told.push(coded(report, 'holdfast.key.failed', 'critical', 'The test of the vault\'s key failed', keys));
  if (collection.code.startsWith('COLLECTION_')) told.push(coded(report, 'holdfast.collection.refused', 'warning', 'Collection was refused: nothing was deleted', collection));
  else if (details['abnormal']) told.push(coded(report, 'holdfast.collection.refused', 'warning', 'Collection waits for a person: nothing was deleted', { code: 'COLLECTION_ABNORMAL', message: details['abnormal'] }));
  const rest = [part('locks'), part('retention'), ...(collection.code.startsWith('COLLECTION_') ? [] : [collection])].find(({ code }) => code !== '');
  if (rest) told.push(coded(report, 'holdfast.maintenance.failed', 'error', 'The maintenance of the vault failed in part', rest));
  else if (report.error && told.length === 0) told.push(failure(report, 'holdfast.maintenance.failed', 'error', 'The maintenance of the vault failed'));
  return told;
}

const failure = (report: JobReport, type: NoticeType, severity: Severity, what: string, data: NewNotice['data'] = {}): NewNotice => coded(report, type, severity, what, { code: report.error?.code ?? 'INTERNAL', message: report.error?.message ?? '' }, data);

function coded(report: JobReport, type: NoticeType, severity: Severity, what: string, { code, message }: { readonly code: string; readonly message: string }, data: NewNotice['data'] = {}): NewNotice {
  const { remedy } = entryOf(code);
  return notice(report, type, severity, `${what}: ${code}`, [`${what}.`, ['What happened', message], ...helpOf(code)], { code, message, remedy, ...data });
}

function notice(report: JobReport, type: NoticeType, severity: Severity, subject: string, lines: NewNotice['lines'], data: NewNotice['data']): NewNotice {
  const { jobId, kind, itemId, policy, startedAtMs, endedAtMs } = report;
  const endedAt = new Date(endedAtMs).toISOString();
  return {
    // Some jobs have the same id each time.
    type, key: `${jobId} ${startedAtMs}`, at: endedAt, severity, about: itemId ?? policy ?? kind, subject,
    lines: [...lines, ['Job', jobId], ...(itemId === null ? [] : [['Item', itemId] as const]), ...(policy === null ? [] : [['Policy', policy] as const]), ['Ended', endedAt]],
    data: { job: jobId, kind, item: itemId, policy, startedAt: new Date(startedAtMs).toISOString(), endedAt, ...data },
  };
}

const entryOf = (code: string): { readonly remedy: string } => (isErrorCode(code) ? catalogue[code] : { remedy: '' });
const helpOf = (code: string): readonly (readonly [string, string])[] => (isErrorCode(code) ? [['Code', code], ['What to do', catalogue[code].remedy], ['More', helpPage(code)]] : code === '' ? [] : [['Code', code]]);

/** One overdue item, as the look found it. */
export interface OverdueItem {
  readonly item: string;
  readonly machine: string;
  readonly policy: string;
  readonly ageSeconds: number;
  readonly objectiveSeconds: number;
  /** Empty where there is none. */
  readonly recoveryPoint: string;
}

/** Beyond so many at once it is one event: then it is not the items that something is wrong with. */
const MOST_SINGLE = 20;
const DAY_SECONDS = 86_400;

/** Pure: what people are told of overdue items: at once, and again each day for as long as it lasts. */
export function noticesOfOverdue(items: readonly OverdueItem[], nowMs: number): readonly NewNotice[] {
  const at = new Date(nowMs).toISOString();
  const hours = (seconds: number): string => `${Math.round(seconds / 360) / 10} h`;
  const common = { type: 'holdfast.item.overdue', at, severity: 'error' } as const;
  if (items.length > MOST_SINGLE) {
    const shown = items.slice(0, MOST_SINGLE).map(({ machine, item }) => machine || item).join(', ');
    return [{
      ...common, key: `many ${at.slice(0, 10)}`, about: 'items', subject: `${items.length} items are overdue`, data: { items: items.length },
      lines: [`The newest recovery points of ${items.length} items are older than their policies want. So many at once are seldom the machines' fault: look at the app, at Azure and at the vault first.`, ['Items', `${shown}, …`]],
    }];
  }
  return items.map(({ item, machine, policy, ageSeconds, objectiveSeconds, recoveryPoint }) => ({
    ...common, key: `${item} ${recoveryPoint} ${Math.floor((ageSeconds - objectiveSeconds) / DAY_SECONDS)}`, about: item, subject: `${machine || item} is overdue: its newest recovery point is ${hours(ageSeconds)} old`,
    lines: [`The newest recovery point of ${machine || item} is older than the policy ${policy} wants.`, ['Age', hours(ageSeconds)], ['Objective', hours(objectiveSeconds)], ['Newest recovery point', recoveryPoint || 'none'], ['Item', item],
      'What to do: look at its jobs (GET /api/jobs). If there are none, is the policy enabled, and does the app see the machine (GET /api/items)?'],
    data: { item, machine, policy, ageSeconds, objectiveSeconds, recoveryPoint },
  }));
}
