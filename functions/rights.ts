import { HoldfastError } from '../errors/holdfast-error';

/** What takes protection away. */
export type GuardedAction = 'release-hold';

/**
 * The confirmation of what takes a hold away (a policy that keeps less is guarded in activities/policy-change.ts), beside the role that its route asks for: `confirm` in the query repeats what is lost (a label, a
 * token), so that no slip of the hand takes it away.
 */
export function requireConfirmed(confirm: string | undefined, action: GuardedAction, expected: string, what: string): void {
  if (confirm === expected) return;
  throw new HoldfastError('CONFIRMATION_NEEDED', `${what}: repeat the request with confirm=${encodeURIComponent(expected)} in the query`, { data: { action, confirm: expected } });
}
