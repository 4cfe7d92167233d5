/** A token bucket as Azure Resource Manager keeps one for each subscription and kind of operation. */
export interface BucketLimit {
  readonly capacity: number;
  readonly refillPerSecond: number;
}

/** Every limit that the stand-in keeps. null means that it is not kept. */
export interface StandInLimits {
  /** Snapshots of one family that may be open for reading at once. */
  readonly openAccessPerFamily: number;
  readonly maxAccessSeconds: number;
  readonly snapshotsPerDisk: number;
  readonly restorePointsPerVm: number;
  /** How many machines may be made through the API: a quota, as one of cores. null for none. */
  readonly machinesMade: number | null;
  readonly snapshotsPerDiskPer5Minutes: number | null;
  readonly restorePointsPerVmPerHour: number | null;
  /** Ranges in one answer to a page-list or diff request; the rest needs a marker. */
  readonly pageRangesPerAnswer: number;
  /** The grid of page ranges. Azure's own is not documented; blobs are aligned to 512. */
  readonly pageGranularityBytes: number;
  /** A disk that grows or shrinks over this boundary starts a new snapshot family: no diff across it. */
  readonly familyBoundaryBytes: number;
  /** Bytes of the smallest upload disk, its footer included. */
  readonly minUploadBytes: number;
  /** Whether page-range diffs work between two disk restore points: not documented, so both must be tried. */
  readonly diffBetweenRestorePoints: boolean;
  readonly arm: { readonly reads: BucketLimit; readonly writes: BucketLimit; readonly deletes: BucketLimit } | null;
  /** A long-running operation ends no sooner than after this many polls and milliseconds. */
  readonly operationPolls: number;
  readonly operationMs: number;
  /** How long an answer waits for the work behind its operation, in milliseconds of real time. */
  readonly answerWaitMs: number;
}

/**
 * What the stand-in keeps unless told otherwise: every limit on which correctness depends, and none of the rates,
 * which would only make a person wait who backs up a folder of images several times in an hour.
 */
export const quickLimits: StandInLimits = {
  openAccessPerFamily: 5,
  maxAccessSeconds: 60 * 24 * 60 * 60,
  snapshotsPerDisk: 500,
  restorePointsPerVm: 500,
  machinesMade: null,
  snapshotsPerDiskPer5Minutes: null,
  restorePointsPerVmPerHour: null,
  pageRangesPerAnswer: 10_000,
  pageGranularityBytes: 4096,
  familyBoundaryBytes: 4 * 1024 ** 4,
  minUploadBytes: 1024,
  diffBetweenRestorePoints: true,
  arm: null,
  operationPolls: 0,
  operationMs: 0,
  answerWaitMs: 100,
};

/** As documented for Azure: managed-disk snapshot restrictions, restore point limits, Resource Manager throttling (2025). */
export const azureLimits: StandInLimits = {
  ...quickLimits,
  snapshotsPerDiskPer5Minutes: 7,
  restorePointsPerVmPerHour: 3,
  minUploadBytes: 20_972_032,
  arm: {
    reads: { capacity: 250, refillPerSecond: 25 },
    writes: { capacity: 200, refillPerSecond: 10 },
    deletes: { capacity: 200, refillPerSecond: 10 },
  },
  operationPolls: 2,
  operationMs: 1000,
};
