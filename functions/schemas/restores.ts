import { z } from 'zod';
import type { RestoreEstimate } from '../../activities/restore-estimate';
import { restoreTargetSchema } from '../../activities/restore-request';
import { bytes, time } from './common';

const estimate: z.ZodType<RestoreEstimate> = z.strictObject({ dataBytes: bytes, fromVaultBytes: bytes, copiedBytes: bytes, goingBy: z.string().nullable() });

const plan = {
  kind: z.enum(['disk', 'vm', 'in-place', 'page-blob']), recoveryPoint: z.string(), warnings: z.array(z.string()),
  disks: z.array(z.strictObject({
    name: z.string(), lun: z.string(), sizeBytes: bytes,
    target: z.union([
      z.strictObject({
        id: z.string(), location: z.string(), zone: z.string().nullable(), sku: z.string(), sizeBytes: bytes,
        present: z.strictObject({ id: z.string(), snapshot: z.string() }).nullable().meta({ description: 'The disk that is there, and the snapshot that is made of it: a differential restore' }),
      }),
      z.strictObject({ account: z.string(), container: z.string(), blob: z.string(), sizeBytes: bytes, differential: z.boolean() }),
    ]),
  })),
  vm: z.strictObject({ id: z.string(), size: z.string(), location: z.string(), zone: z.string().nullable(), network: z.record(z.string(), z.unknown()), trustedLaunch: z.boolean() }).nullable(),
  swap: z.strictObject({ vm: z.string(), wasRunning: z.boolean(), keepOldDisks: z.boolean(), oldDisks: z.array(z.string()) }).nullable(),
};

/** What a dry run answers. */
export const restorePreview = z.strictObject({
  ...plan, dryRun: z.literal(true),
  proved: z.boolean().meta({ description: 'False: too large to prove all of it while one waits. The job proves all of it before it makes anything' }),
  estimate: estimate.nullable(),
}).meta({ id: 'RestorePreview' });

const view = {
  id: z.string(), recoveryPoint: z.string(), itemId: z.string(), target: restoreTargetSchema, requestedAt: time,
  state: z.enum(['open', 'restored', 'abandoned']), decidedAt: time.nullable(), reason: z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() }).nullable().meta({ description: 'Why it was given up' }),
  job: z.string().meta({ description: 'Address of its job, which the engine forgets after a while' }),
};
export const restoreView = z.strictObject(view).meta({ id: 'Restore' });
export const restoreInFull = z.strictObject({ ...view, plan: z.strictObject(plan).nullable() }).meta({ id: 'RestoreInFull' });
