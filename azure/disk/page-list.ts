import { parseXML } from '@azure/core-xml';
import type { DiskRange } from '../../vault/transfer/block-source';
import { HoldfastError } from '../../errors/holdfast-error';

/** One page of Get Page Ranges. Offsets and lengths in bytes. */
export interface PageList {
  /** Ranges with data, and in a comparison changed to data. */
  readonly pageRanges: readonly DiskRange[];
  /** Only in a comparison: ranges that were cleared and now read as zeros. */
  readonly clearRanges: readonly DiskRange[];
  /** Not empty when the list goes on. */
  readonly nextMarker: string;
}

/**
 * Reads the PageList XML of Get Page Ranges (REST reference of Blob Storage): Start and End are inclusive offsets. The SDK's
 * own result is not used: its `count` is one byte short.
 * Throws CLOUD_FAILED for anything that is not such a list: an unreadable answer must never pass for an empty one.
 */
export async function parsePageList(xml: string): Promise<PageList> {
  const root = await parseRoot(xml);
  if (root === '') return { pageRanges: [], clearRanges: [], nextMarker: '' };
  const fields = asRecord(root, 'PageList');
  const unknown = Object.keys(fields).find((name) => !['PageRange', 'ClearRange', 'NextMarker', '$', '_'].includes(name));
  if (unknown !== undefined) throw malformed(`holds the element ${unknown}`);
  return {
    pageRanges: rangesOf(fields['PageRange'], 'PageRange'),
    clearRanges: rangesOf(fields['ClearRange'], 'ClearRange'),
    nextMarker: textOf(fields['NextMarker']) ?? '',
  };
}

async function parseRoot(xml: string): Promise<unknown> {
  let document: unknown;
  try {
    document = await parseXML(xml.replace(/^\uFEFF/, ''), { includeRoot: true });
  } catch (error) {
    // The parser's errors quote the text, and not all of them are Errors.
    throw malformed(error instanceof Error ? 'has no content' : 'is not XML');
  }
  const fields = asRecord(document, 'document');
  if (!('PageList' in fields)) throw malformed(`has the root ${Object.keys(fields).join(', ')}`);
  const root = fields['PageList'];
  return typeof root === 'string' ? root.trim() : root;
}

function rangesOf(value: unknown, name: string): DiskRange[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map((item: unknown) => {
    const fields = asRecord(item, name);
    const start = offsetOf(fields['Start'], `${name} Start`);
    const end = offsetOf(fields['End'], `${name} End`);
    if (end < start) throw malformed(`has a ${name} from ${String(start)} to ${String(end)}`);
    return { offset: start, length: end - start + 1 };
  });
}

function offsetOf(value: unknown, what: string): number {
  const text = textOf(value);
  if (text === undefined || !/^\d{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) throw malformed(`has a ${what} of ${JSON.stringify(value)}`);
  return Number(text);
}

/** An element with attributes arrives as an object whose text is under "_". */
function textOf(value: unknown): string | undefined {
  const text = typeof value === 'object' && value !== null && '_' in value ? value._ : value;
  return typeof text === 'string' ? text.trim() : undefined;
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(`has a ${what} without content`);
  return value as Record<string, unknown>;
}

function malformed(how: string): HoldfastError {
  return new HoldfastError('CLOUD_FAILED', `The list of page ranges that the disk service sent ${how}`, { data: { serviceCode: '' } });
}
