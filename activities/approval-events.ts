import type { VaultAccess } from '../vault/format/tree';
import type { ApprovalRequest } from './approval-records';
import type { ActivityDeps } from './deps';

/** Tells people that somebody waits for them. The one place from which it is told: a failure holds nothing up, since GET /api/approvals shows it too. */
export function announceApproval(deps: Pick<ActivityDeps, 'log'>, _vault: VaultAccess, { id, action, what, askedBy, expiresAt }: ApprovalRequest): Promise<void> {
  deps.log('An approval is needed', { id, action, what: what.slice(0, 300), askedBy: askedBy.name, expiresAt });
  return Promise.resolve();
}
