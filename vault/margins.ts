const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** The lengths of time that deletion relies on, each with its reason. They hold together: the test of marks says how. */
export const MARGINS = {
  /** No run may take longer: a policy's maxRunHours is 168 at most. What a run took over from others must be there until its end. */
  longestRunMs: 7 * DAY_MS,
  /** What is deleted stays so long before anything of it goes: a holiday's length to notice, and twice the longest run. */
  binMs: 14 * DAY_MS,
  /** A clock that is further off than this against the store's decides nothing about deletion (fault 29). */
  clockToleranceMs: 5 * MINUTE_MS,
} as const;
