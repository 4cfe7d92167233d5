import { isHoldfastError } from '../../errors/holdfast-error';
import { isUnreadable } from '../format/documents';
import type { VaultAccess } from '../format/tree';
import { trailName, type TrailRecord } from './record';
import { readRecord, trailHead } from './trail';

export interface ReadRecord {
  readonly number: number;
  readonly name: string;
  /** Null for one that does not open or is not there. */
  readonly record: TrailRecord | null;
  /** SHA-256 of its object, in hex; null where there is no record. */
  readonly digest: string | null;
}

/** Records that are read at once. */
export const PARALLEL_READS = 16;

/** The records from the last one, or from `from`, back to the first. One that does not open is named all the same. */
export async function* recordsBackwards(vault: VaultAccess, from?: number): AsyncGenerator<ReadRecord> {
  const last = (await trailHead(vault))?.number ?? 0;
  for (let high = Math.min(from ?? last, last); high >= 1; high -= PARALLEL_READS) {
    yield* await readAll(vault, Array.from({ length: Math.min(PARALLEL_READS, high) }, (_, index) => high - index));
  }
}

/** The same from the first one to what is the last when it begins. */
export async function* recordsForwards(vault: VaultAccess): AsyncGenerator<ReadRecord> {
  const last = (await trailHead(vault))?.number ?? 0;
  for (let low = 1; low <= last; low += PARALLEL_READS) {
    yield* await readAll(vault, Array.from({ length: Math.min(PARALLEL_READS, last - low + 1) }, (_, index) => low + index));
  }
}

const readAll = (vault: VaultAccess, numbers: readonly number[]): Promise<ReadRecord[]> => Promise.all(numbers.map((number) => readOne(vault, number)));

async function readOne(vault: VaultAccess, number: number): Promise<ReadRecord> {
  const name = trailName(number);
  try {
    return { number, name, ...await readRecord(vault, number) };
  } catch (error) {
    if (!isUnreadable(error) && !isHoldfastError(error, 'STORE_OBJECT_NOT_FOUND')) throw error;
    return { number, name, record: null, digest: null };
  }
}
