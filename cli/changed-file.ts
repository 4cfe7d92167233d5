import { readFile, stat } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import type { DiskRange } from '../vault/transfer/block-source';

/** Some millions of ranges: more than any tracking reports, and what JSON.parse still takes in its stride. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;

/**
 * Reads the ranges that changed since the parent: a JSON array of {"offset", "length"} in whole bytes within the disk;
 * further fields are passed over, since tools that track changes add their own. Throws RANGES_INVALID, naming the entry.
 */
export async function readChangedFile(path: string, diskBytes: number): Promise<DiskRange[]> {
  const invalid = (why: string, cause?: unknown): HoldfastError => new HoldfastError('RANGES_INVALID', `${path}: ${why}`, { data: { path }, cause });
  let value: unknown;
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw invalid(`it has ${size} bytes, more than ${MAX_FILE_BYTES}`);
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw invalid(error instanceof SyntaxError ? `it is not JSON: ${error.message}` : `it cannot be read: ${messageOf(error)}`, error);
  }
  if (!Array.isArray(value)) throw invalid('it is no JSON array');
  return value.map((entry: unknown, index) => {
    const { offset, length } = typeof entry === 'object' && entry !== null ? entry as Readonly<Record<string, unknown>> : {};
    if (!isWhole(offset) || !isWhole(length)) throw invalid(`entry ${index} is ${shown(entry)}`);
    if (offset + length > diskBytes) throw invalid(`entry ${index} ends at ${offset + length}, beyond the disk's ${diskBytes} bytes`);
    return { offset, length };
  });
}

const isWhole = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const shown = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 120);
