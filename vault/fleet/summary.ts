import { z } from 'zod';
import { isHoldfastError } from '../../errors/holdfast-error';
import { createDocument, findDocument, isUnreadable } from '../format/documents';
import { STAMP } from '../format/manifest';
import type { VaultAccess } from '../format/tree';
import type { MarkState } from '../points/marks';
import { listNames } from '../store/list-names';
import { pointFactsSchema } from './point-facts';
import { runFactsSchema } from './run-facts';

const PREFIX = 'index/';
const NAME = /^index\/(\d{8}T\d{6}(?:\d{3})?Z)-(\d{4})$/;
/** So many are kept; who misses what stood in the others reads it where it came from. */
const KEPT = 200;
const PARALLEL_READS = 4;

const proofRowSchema = z.object({
  /** The time in the name of the last proof that was finished when this was written. */
  lastMs: z.number(), at: z.string(), ok: z.boolean(), by: z.enum(['check', 'scrub']), damaged: z.int(),
});
export type ProofRow = Readonly<z.infer<typeof proofRowSchema>>;

const markRowSchema = z.object({ count: z.int(), state: z.custom<MarkState>((value) => typeof value === 'object' && value !== null && 'state' in value) });

const itemRowSchema = z.object({
  itemId: z.string(),
  points: z.array(pointFactsSchema),
  /** By stamp. */
  marks: z.record(z.string(), markRowSchema),
  proofs: z.record(z.string(), proofRowSchema),
  runs: z.array(runFactsSchema),
  /** Runs up to this number were looked at. */
  lastRun: z.int(),
});
/** What a summary says of an item: what stands in objects that never change, so it stays true as long as their names are listed. */
export type ItemRow = z.infer<typeof itemRowSchema>;

const summarySchema = z.object({ version: z.literal(1), at: z.string(), items: z.array(itemRowSchema) });

/**
 * Stores what is known of some items (format §16), so that whoever starts next need not open every manifest again. `stamp` and `part` make the name; the first of a name counts.
 * It is a copy: every row is true by itself, whoever else writes the same one, and nothing is ever decided by it.
 */
export const writeSummary = (vault: VaultAccess, stamp: string, part: number, items: readonly ItemRow[], at: string): Promise<'created' | 'exists'> =>
  createDocument(vault, `${PREFIX}${stamp}-${String(part).padStart(4, '0')}`, { version: 1, at, items });

/** Every row of every summary, older ones first. What does not open, or is of another version, says nothing. */
export async function readSummaries(vault: VaultAccess, onRow: (row: ItemRow) => void): Promise<void> {
  const names = await summaryNames(vault);
  for (let at = 0; at < names.length; at += PARALLEL_READS) {
    const found = await Promise.all(names.slice(at, at + PARALLEL_READS).map((name) => readSummary(vault, name)));
    for (const items of found) for (const row of items) onRow(row);
  }
}

async function readSummary(vault: VaultAccess, name: string): Promise<readonly ItemRow[]> {
  try {
    return (await findDocument(vault, name, summarySchema))?.items ?? [];
  } catch (error) {
    if (isUnreadable(error)) return [];
    throw error;
  }
}

/** Deletes all but the latest. */
export async function trimSummaries(vault: VaultAccess): Promise<void> {
  const names = await summaryNames(vault);
  for (const name of names.slice(0, Math.max(0, names.length - KEPT))) {
    await vault.store.delete(name).catch((error: unknown) => {
      // A WORM policy holds it: then a later maintenance removes it.
      if (!isHoldfastError(error, 'STORE_IMMUTABLE')) throw error;
    });
  }
}

async function summaryNames(vault: VaultAccess): Promise<string[]> {
  const names: string[] = [];
  for await (const name of listNames(vault.store, PREFIX)) {
    const [, stamp] = NAME.exec(name) ?? [];
    if (stamp !== undefined && STAMP.test(stamp)) names.push(name);
  }
  return names;
}
