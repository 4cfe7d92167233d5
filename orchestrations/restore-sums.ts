import type { Outcome } from '../activities/outcome';
import type { RestoreSliceResult } from '../activities/restore-slice';

/** What parts of a restore did, added up. */
export const NOTHING_RESTORED: RestoreSliceResult = { windows: 0, writtenBytes: 0, copiedBytes: 0, refusedBytes: 0 };

export const addSlices = (a: RestoreSliceResult, b: RestoreSliceResult): RestoreSliceResult => ({
  windows: a.windows + b.windows, writtenBytes: a.writtenBytes + b.writtenBytes, copiedBytes: a.copiedBytes + b.copiedBytes, refusedBytes: a.refusedBytes + b.refusedBytes,
});

export const sumSlices = (outcomes: readonly Outcome<RestoreSliceResult>[]): RestoreSliceResult =>
  outcomes.reduce((sum, outcome) => (outcome.ok ? addSlices(sum, outcome.value) : sum), NOTHING_RESTORED);
