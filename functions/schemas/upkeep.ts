import { z } from 'zod';
import { maintenanceSchema } from '../../vault/points/maintenance-log';
import { count, errorReport, time } from './common';

export const maintenance = z.strictObject({
  running: z.strictObject({
    stamp: z.string(), dryRun: z.boolean(), approve: z.string().nullable(), startedAt: time,
    phase: z.enum(['locks', 'retention', 'collection', 'done']).optional(), items: count.optional(), binned: count.optional(), deletedPacks: count.optional(),
  }).nullable(),
  last: z.array(maintenanceSchema).meta({ description: 'The newest first' }),
}).meta({ id: 'Maintenance' });
export const maintenanceStarted = z.strictObject({ stamp: z.string(), dryRun: z.boolean(), state: z.literal('queued'), location: z.string() }).meta({ id: 'MaintenanceStarted' });

const counts = { orphans: count, accessEnded: count, kept: count, unknown: count, failed: count };
export const sweep = z.strictObject({
  id: z.string(), state: z.enum(['running', 'succeeded', 'failed']), dryRun: z.boolean().optional(), error: errorReport.nullable().optional(),
  ...z.strictObject(counts).partial().shape,
  shown: z.array(z.strictObject({ kind: z.string().optional(), id: z.string(), itemId: z.string(), why: z.string(), action: z.enum(['remove', 'end access', 'unknown', 'failed']) })).optional(),
}).meta({ id: 'Sweep' });
