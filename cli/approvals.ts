import type { ApprovalView } from '../functions/http-approvals';
import { appNeeded } from './app-client';
import type { CommonOptions } from './command-options';
import type { Output } from './output';
import { table } from './sizes';

export interface ApprovalsOptions extends CommonOptions {
  /** Also those that are over. */
  readonly all?: boolean;
}

const WHAT = 'What needs a second person';
const at = (id: string, verb = ''): string => `/api/approvals/${encodeURIComponent(id)}${verb}`;

/** Lists what waits for a second person, or for its time. */
export async function runApprovals(options: ApprovalsOptions, out: Output): Promise<number> {
  const all = await appNeeded(options, WHAT).all<ApprovalView>('/api/approvals?limit=1000');
  const shown = options.all === true ? all : all.filter(({ state }) => state === 'waiting' || state === 'approved' || state === 'running');
  out.answer(shown, () => (shown.length === 0 ? ['Nothing waits for a second person.'] : table([
    ['APPROVAL', 'STATE', 'ASKED BY', 'UNTIL', 'WHAT'], ...shown.map((one) => [one.id, one.code === null ? one.state : `${one.state}, ${one.code}`, one.askedBy.name, one.dueAt ?? one.expiresAt, one.what]),
  ])));
  return 0;
}

export async function runApprovalShow(id: string, options: CommonOptions, out: Output): Promise<number> {
  const one = await appNeeded(options, WHAT).send('GET', at(id)) as ApprovalView;
  out.answer(one, () => lines(one));
  return 0;
}

/** Agrees to, stops or takes back what was asked for. */
export async function runApprovalDecision(id: string, verb: 'approve' | 'reject' | 'cancel', options: CommonOptions, out: Output): Promise<number> {
  const one = await appNeeded(options, WHAT).send('POST', at(id, `/${verb}`)) as ApprovalView;
  out.result(one, () => lines(one));
  return 0;
}

const lines = (one: ApprovalView): string[] => [
  `Approval ${one.id}: ${one.state}${one.code === null ? '' : `, ${one.code}`}`,
  `  what          ${one.what}`,
  `  action        ${one.action}${one.target === null ? '' : `, ${one.target}`}`,
  `  asked by      ${one.askedBy.name}, ${one.askedAt}`,
  ...(one.approvedBy === null ? [`  waits until   ${one.expiresAt}`] : [`  approved by   ${one.approvedBy.name}, ${one.approvedAt ?? ''}`, `  carried out   ${one.endedAt ?? `not before ${one.dueAt ?? ''}`}`]),
  ...(one.stoppedBy === null ? [] : [`  stopped by    ${one.stoppedBy.name}`]),
  ...(one.message === null ? [] : [`  outcome       ${one.message}`]),
];
