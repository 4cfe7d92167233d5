import { z } from 'zod';
import type { JobProgress, JobView } from '../job-view';
import type { RestoreJobView } from '../restore-view';
import type { ScrubJobView } from '../scrub-view';
import type { ScrubScope } from '../../activities/scrub';
import { bytes, count, jobError, jobState, percent, time, transferStats } from './common';

const progress: z.ZodType<JobProgress> = z.strictObject({
  percent, bytesDone: bytes.meta({ description: 'Of the disks\' address space: what needs no reading counts as done' }), bytesTotal: bytes, disksDone: count, disks: count,
  bytesPerSecond: bytes.nullable(), secondsLeft: z.number().nullable(),
});

const common = { id: z.string(), state: jobState, phase: z.string(), startedAt: time, endedAt: time.nullable(), error: jobError };

const backupJob: z.ZodType<JobView> = z.strictObject({
  ...common, kind: z.literal('backup'), itemId: z.string(), itemName: z.string().nullable(), policy: z.string().nullable(), slot: z.string().nullable(), progress,
  figures: transferStats.nullable(), audit: z.strictObject({ samples: count, mismatches: count }).nullable(), recoveryPoint: z.string().nullable(), consistency: z.string().nullable(), warnings: z.array(z.string()),
}).meta({ id: 'BackupJob' });

export const restoreJob: z.ZodType<RestoreJobView> = z.strictObject({
  ...common, kind: z.literal('restore'), itemId: z.string(), progress, recoveryPoint: z.string(), target: z.enum(['disk', 'vm', 'in-place', 'page-blob']),
  restored: z.strictObject({ made: z.array(z.string()), oldDisks: z.array(z.string()) }).nullable(), writtenBytes: bytes.nullable(), copiedBytes: bytes.nullable(),
  warnings: z.array(z.string()), left: z.array(z.string()).meta({ description: 'What could not be removed after a failure' }),
}).meta({ id: 'RestoreJob' });

export const scrubScope: z.ZodType<ScrubScope> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('share'), days: z.number() }), z.strictObject({ kind: z.literal('all') }),
  z.strictObject({ kind: z.literal('item'), itemId: z.string() }), z.strictObject({ kind: z.literal('recovery-point'), id: z.string() }),
]);

const damaged = z.array(z.strictObject({ recoveryPoint: z.string(), damage: z.array(z.strictObject({ code: z.string(), message: z.string(), pack: z.string().nullable() })) }));

const scrubFields = {
  ...common, kind: z.literal('scrub'), itemId: z.string().nullable(), phase: z.enum(['queued', 'planning', 'reading', 'done']),
  progress: z.strictObject({ percent, bytesDone: bytes, bytesTotal: bytes.nullable(), bytesPerSecond: bytes.nullable(), secondsLeft: z.number().nullable(), itemsDone: count, items: count }),
  scope: scrubScope.nullable(), ok: z.boolean().nullable().meta({ description: 'True when everything that it read is whole; null until it has ended well' }), proved: count, damaged,
};
const scrubJob: z.ZodType<ScrubJobView> = z.strictObject(scrubFields).meta({ id: 'ScrubJob' });

/** A scrub by its own address: with its figures at the top. They are missing before it has said anything. */
export const scrubInFull = z.strictObject({
  ...scrubFields, percent, items: count.optional(), itemsDone: count.optional(), windows: count.optional(), plainBytes: bytes.optional(), storedBytes: bytes.optional(), budgetBytes: bytes.nullable().optional(),
  recoveryPoint: z.string().nullable().optional(),
}).meta({ id: 'Scrub' });

export const anyJob = z.union([backupJob, restoreJob, scrubJob]).meta({ id: 'Job' });
