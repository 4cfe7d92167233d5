/** Everything that people are told of, by the type of its CloudEvent. */
export const NOTICE_TYPES = [
  'holdfast.backup.failed', 'holdfast.backup.recovered', 'holdfast.item.overdue', 'holdfast.restore.succeeded', 'holdfast.restore.failed', 'holdfast.policy.failed', 'holdfast.damage.found',
  'holdfast.scrub.failed', 'holdfast.key.failed', 'holdfast.collection.refused', 'holdfast.maintenance.failed', 'holdfast.sweep.failed', 'holdfast.approval.needed', 'holdfast.test',
] as const;
export type NoticeType = (typeof NOTICE_TYPES)[number];
export const SEVERITIES = ['info', 'warning', 'error', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];
