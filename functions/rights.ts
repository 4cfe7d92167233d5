import { HoldfastError } from '../errors/holdfast-error';

/** What takes protection away. */
export type GuardedAction = 'release-hold';

/** Who asks, for the marks that it leaves. Until callers have roles nobody is known by name: a header that says who one is could be written by anybody. */
export const UNKNOWN_CALLER = 'a caller of the HTTP API';

/**
 * The one place where the right to take a hold away is checked (a policy that keeps less is guarded in activities/policy-change.ts). Today whoever may call the app at all has every right, and what stands here is the confirmation:
 * `confirm` in the query repeats what is lost (a label, a token), so that no slip of the hand takes it away.
 */
export function requireConfirmed(confirm: string | undefined, action: GuardedAction, expected: string, what: string): void {
  if (confirm === expected) return;
  throw new HoldfastError('CONFIRMATION_NEEDED', `${what}: repeat the request with confirm=${encodeURIComponent(expected)} in the query`, { data: { action, confirm: expected } });
}
