import type { Outcome } from '../activities/outcome';
import type { RestoreSliceResult } from '../activities/restore-slice';

/** What parts of a restore did, added up. A part that was done by the code before there were differential restores tells two figures. */
type Part = Pick<RestoreSliceResult, 'windows' | 'writtenBytes'> & Partial<RestoreSliceResult>;

export const NOTHING_RESTORED: RestoreSliceResult = { windows: 0, writtenBytes: 0, copiedBytes: 0, refusedBytes: 0 };

export const addSlices = (a: RestoreSliceResult, b: Part): RestoreSliceResult => ({
  windows: a.windows + b.windows, writtenBytes: a.writtenBytes + b.writtenBytes, copiedBytes: a.copiedBytes + (b.copiedBytes ?? 0), refusedBytes: a.refusedBytes + (b.refusedBytes ?? 0),
});

export const sumSlices = (outcomes: readonly Outcome<Part>[]): RestoreSliceResult =>
  outcomes.reduce((sum, outcome) => (outcome.ok ? addSlices(sum, outcome.value) : sum), NOTHING_RESTORED);
