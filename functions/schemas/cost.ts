import { z } from 'zod';
import type { CostForecast, CostReport } from '../../activities/cost';
import type { Cost } from '../../policy/cost/cost';
import { pricesSchema, REDUNDANCIES, TIERS } from '../../policy/cost/prices';
import { bytes, count, time } from './common';

export const prices = z.strictObject({ ...pricesSchema.shape, revision: count.meta({ description: '0: those that the app came with' }) }).meta({ id: 'Prices' });

const note = z.strictObject({ asOf: z.string(), currency: z.string(), region: z.string(), source: z.string(), checked: z.boolean(), redundancy: z.enum(REDUNDANCIES) });
const perTier = z.strictObject({ hot: z.number(), cool: z.number(), cold: z.number() });
const cost: z.ZodType<Cost> = z.strictObject({
  currency: z.string(), total: z.number(),
  lines: z.array(z.strictObject({
    what: z.enum(['storage', 'writes', 'reads', 'retrieval', 'snapshots', 'execution', 'executions', 'protected-instances', 'backup-storage']), tier: z.enum(TIERS).nullable(),
    quantity: z.number(), unit: z.enum(['GiB-month', '10,000', 'GiB', 'GiB-second', '1,000,000', 'instance']), price: z.number(), amount: z.number(),
  })),
}).meta({ id: 'Cost' });

export const costReport: z.ZodType<CostReport> = z.strictObject({
  at: time, prices: note, cost, azureBackup: cost,
  usage: z.strictObject({ storedBytes: perTier, writes: perTier, reads: perTier, retrievedBytes: perTier, snapshotBytes: bytes, executionSeconds: z.number(), executions: z.number() }),
  items: z.array(z.strictObject({ itemId: z.string(), name: z.string(), recoveryPoints: count, storedBytes: bytes })),
}).meta({ id: 'CostReport' });

export const costForecast: z.ZodType<CostForecast> = z.strictObject({
  prices: note, items: count, assumed: count.meta({ description: 'Items whose behaviour is assumed and not measured' }), keptAt: z.array(time),
  nextSlots: z.array(time).meta({ description: 'When it would run next' }),
  months: z.array(z.strictObject({ endsAt: time, recoveryPoints: z.number(), storedBytes: bytes, cost })),
}).meta({ id: 'CostForecast' });
