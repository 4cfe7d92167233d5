import { z } from 'zod';
import { HoldfastError } from '../../errors/holdfast-error';
import { describeField, describeIssues } from '../policy-issues';

/** Access tiers of block blobs that a vault's objects may lie in. Archive is not one: a restore would wait for hours. */
export const TIERS = ['hot', 'cool', 'cold'] as const;
export type Tier = (typeof TIERS)[number];
export const REDUNDANCIES = ['LRS', 'ZRS', 'GRS', 'GZRS'] as const;
export type Redundancy = (typeof REDUNDANCIES)[number];

/** A price file is a page of numbers. */
const MAX_PRICES_BYTES = 64 * 1024;
const price = z.number().min(0).max(1_000_000);
const byTier = z.strictObject({ hot: price, cool: price, cold: price });
const byRedundancy = <T extends z.ZodType>(value: T) => z.strictObject({ LRS: value, ZRS: value, GRS: value, GZRS: value });

/**
 * The one file that prices come from (`prices.json`, or a replacement in the vault). Money is in `currency`, sizes are GiB, a month is one twelfth of a year.
 * docs/cost-model.md explains every field to the person who replaces it.
 */
export const pricesSchema = z.strictObject({
  version: z.literal(1),
  asOf: z.iso.date(),
  currency: z.string().regex(/^[A-Z]{3}$/, 'expected three capital letters, such as USD'),
  region: z.string().min(1).max(80),
  source: z.string().min(1).max(400),
  /** True when somebody held these against what they are billed; false shows a warning beside every sum. */
  checked: z.boolean(),
  /** Of the vault's storage account. */
  redundancy: z.enum(REDUNDANCIES),
  storagePerGiBMonth: byRedundancy(byTier),
  writesPer10k: byTier,
  readsPer10k: byTier,
  retrievalPerGiB: byTier,
  snapshotPerGiBMonth: price,
  execution: z.strictObject({ memoryGiB: z.number().positive().max(1024), perGiBSecond: price, perMillion: price }),
  azureBackup: z.strictObject({
    /** What a protected machine costs by its size, ascending. */
    instances: z.array(z.strictObject({ upToGiB: z.number().positive(), perMonth: price })).min(1).max(10),
    /** Beyond the last of them: so much more for each further so many GiB, or part of it. */
    furtherGiB: z.number().positive(),
    furtherPerMonth: price,
    storagePerGiBMonth: byRedundancy(price),
  }),
}).superRefine(({ azureBackup: { instances } }, context) => {
  const unordered = instances.findIndex(({ upToGiB }, index) => index > 0 && upToGiB <= (instances[index - 1]?.upToGiB ?? 0));
  if (unordered > 0) context.addIssue({ code: 'custom', path: ['azureBackup', 'instances', unordered, 'upToGiB'], message: 'expected more than the entry before' });
});

export type Prices = z.output<typeof pricesSchema>;

/** Checks the text of a price file. Throws PRICES_INVALID with a line for each wrong field; never anything else. */
export function parsePricesText(text: string, what: string): Prices {
  if (Buffer.byteLength(text, 'utf8') > MAX_PRICES_BYTES) throw invalid(what, [describeField([], `larger than ${MAX_PRICES_BYTES / 1024} KiB`)]);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(what, [describeField([], 'not JSON')], error);
  }
  return parsePrices(value, what);
}

/** The same for what came out of JSON.parse. */
export function parsePrices(value: unknown, what: string): Prices {
  const result = pricesSchema.safeParse(value);
  if (!result.success) throw invalid(what, describeIssues(result.error.issues, value));
  return result.data;
}

const invalid = (what: string, fields: readonly string[], cause?: unknown): HoldfastError =>
  new HoldfastError('PRICES_INVALID', `${what} is no price file: ${fields.slice(0, 5).join(' | ')}`, { data: { fields }, cause });
