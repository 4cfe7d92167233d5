import { messageOf } from '../errors/holdfast-error';
import type { VaultAccess } from '../vault/format/tree';
import { type ApprovalRequest, findRequest, unansweredIds } from './approval-records';
import type { ActivityDeps } from './deps';
import { isRaised, type NewNotice, noticeId, raiseNotices } from './notice';

/** Tells people that somebody waits for them. A failure holds nothing up: the notifier finds those that were not told (`raiseUntoldApprovals`), and GET /api/approvals shows them too. */
export async function announceApproval(deps: Pick<ActivityDeps, 'log'>, vault: VaultAccess, request: ApprovalRequest): Promise<void> {
  const { id, action, what, askedBy, expiresAt } = request;
  deps.log('An approval is needed', { id, action, what: what.slice(0, 300), askedBy: askedBy.name, expiresAt });
  await raiseNotices(vault, [noticeOfApproval(request)]).catch((error: unknown) => deps.log('That an approval is needed is not told yet', { id, error: messageOf(error).slice(0, 300) }));
}

/** Raises what the process that took the request did not live to raise: approvals that wait, and of which no event is there. Reads names but for those. */
export async function raiseUntoldApprovals(vault: VaultAccess, nowMs: number): Promise<void> {
  for (const id of await unansweredIds(vault, nowMs)) {
    if (await isRaised(vault, noticeId(vault.keys.vaultId, TYPE, id))) continue;
    const request = await findRequest(vault, id);
    if (request) await raiseNotices(vault, [noticeOfApproval(request)]);
  }
}

const TYPE = 'holdfast.approval.needed';

function noticeOfApproval({ id, at, action, what, askedBy, expiresAt, delayMinutes }: ApprovalRequest): NewNotice {
  return {
    type: TYPE, key: id, at, severity: 'warning', about: id, subject: `${askedBy.name} needs an approval: ${action}`,
    lines: [`${askedBy.name} asked for something that takes a second person.`, ['What', what], ['Action', action], ['Until', expiresAt],
      `What to do: look at it (GET /api/approvals/${id}), then approve or reject it. Nothing is done without that. Once approved it waits for ${delayMinutes} minutes more, in which it can still be cancelled.`],
    data: { approval: id, action, what, askedBy: askedBy.name, expiresAt },
  };
}
