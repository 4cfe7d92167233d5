const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The lengths of time that deletion relies on, each with its reason. They hold together: the test of marks says how. */
export const MARGINS = {
  /** No run may take longer: a policy's maxRunHours is 168 at most. What a run took over from others must be there until its end. */
  longestRunMs: 7 * DAY_MS,
  /** What is deleted stays so long before anything of it goes: a holiday's length to notice, and twice the longest run. */
  binMs: 14 * DAY_MS,
  /** A clock that is further off than this against the store's decides nothing about deletion (fault 29). */
  clockToleranceMs: 5 * MINUTE_MS,
  /** A step that was let in just before its run's deadline may be at work for a while after it, by a clock that is not the store's. */
  afterRunMs: DAY_MS,
  /** Before a run's first record is durable nothing of it is; the hour is for stores whose servers do not agree on the time. */
  beforeRunMs: HOUR_MS,
  /** A plan that is older is not carried out: what was looked at for it is too long ago. */
  planLifeMs: HOUR_MS,
  /** What a run kept between its steps stays so long after its end, for steps that wake late and for people who look into a failure. */
  workKeptMs: 2 * DAY_MS,
  /** Runs back from an item's last one whose plan is kept, because clean-up in the cloud looks back at 16 of them. */
  workKeptRuns: 64,
  /** Runs that were given up are looked after for so long once their packs may go; then what they left has been removed. */
  abandonedSweptMs: 60 * DAY_MS,
  /** What a restore kept between its steps stays so long after its end: no restore takes longer than 5 days, and people look into one for weeks. */
  restoreKeptMs: 30 * DAY_MS,
  /** A proof stays so long though newer ones stand above it: whoever listed the proofs may be about to open it. */
  proofKeptMs: 2 * DAY_MS,
  /** A plan that would delete a larger share of all packs, or of their bytes, waits for a person (fault 14) ... */
  abnormalShare: 0.5,
  /** ... and sooner when no deleted recovery point and no run that was given up explains it. */
  unexplainedShare: 0.1,
  /** Fewer packs than this are never abnormal: under a GiB, and a small vault changes by large shares. */
  abnormalFromPacks: 100,
  /** An object under a WORM policy is held for so much longer than it must be, and touched again when half of that is over: once a week, and maintenance may fail for a week. */
  lockMarginMs: 14 * DAY_MS,
  /** Old ledgers of locks that one run removes. */
  lockLedgersRemoved: 16,
} as const;
