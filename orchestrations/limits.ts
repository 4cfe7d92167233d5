/** How much of one backup runs at once, and how long parts of it may take. */
const PARALLEL_DISKS = 3;
const PARALLEL_REGIONS = 2;
/** Windows (64 MiB each) of one transfer: at most a GiB of address space, some ten seconds of work. */
const MAX_SLICE_WINDOWS = 16;
const WINDOW_MIB = 64;
const MINUTE_MS = 60_000;

/** A transfer under a policy's bandwidth is planned to take no longer than this: far below what a step may take. */
const MAX_SLICE_MINUTES = 11;
/** After this a step gives itself up, so that it is told as what it is and its siblings in the same process go on. */
export const STEP_LIMIT_MS = 20 * MINUTE_MS;
/** After this an orchestration gives a step up that did not come back at all. Between the two lies the host's own functionTimeout (host.json). */
export const STEP_RACE_MS = 40 * MINUTE_MS;
/** What a region may take beyond its run's deadline: a step that began just before it, twice. A disk and a run have as much again for their own last steps. */
export const REGION_MARGIN_MS = 2 * 60 * MINUTE_MS;
export const DISK_MARGIN_MS = 2 * REGION_MARGIN_MS;
/** After this a policy's lane goes on with its next machine. Below six days, above which the host splits a timer and numbers the parts as they come. */
export const LANE_LIMIT_MS = 5 * 24 * 60 * MINUTE_MS;

export interface Parallelism {
  readonly disks: number;
  /** For each disk. */
  readonly regions: number;
  /** For each region. */
  readonly transfers: number;
  /** The most windows of one transfer. */
  readonly sliceWindows: number;
}

/**
 * Pure: how much runs at once. All transfers share a policy's bandwidth evenly; where that is little, fewer run at once and each does less, so that
 * none comes near to the limit of a step (fault 34). Asked again with the transfers of its answer, it gives the same answer.
 */
export function parallelism(disks: number, maxTransfers: number, bandwidthMiBPerSecond: number | null): Parallelism {
  const seconds = MAX_SLICE_MINUTES * 60;
  const most = bandwidthMiBPerSecond === null ? Infinity : Math.max(1, Math.floor((bandwidthMiBPerSecond * seconds) / WINDOW_MIB));
  const transfers = Math.min(maxTransfers, most);
  const regions = Math.max(1, Math.min(PARALLEL_REGIONS, Math.floor(most / transfers)));
  const atOnce = Math.max(1, Math.min(disks, PARALLEL_DISKS, Math.floor(most / (transfers * regions))));
  const windows = Math.floor(most / (transfers * regions * atOnce));
  return { disks: atOnce, regions, transfers, sliceWindows: Math.max(1, Math.min(MAX_SLICE_WINDOWS, windows)) };
}
