import type { DiskRange } from './block-source';
import { BLOCK_BYTES, WINDOW_BYTES } from '../format/format';
import type { LeafMap } from '../format/leaf-map';

/** Blocks of a window that have to be cut anew: from a boundary of the parent to the end of the last entry that changed. */
export interface Span {
  readonly start: number;
  readonly changedEnd: number;
  /** Where the parent's entry that holds the last changed block ends: the first place where the two may coincide. */
  readonly plannedEnd: number;
}

/** Spans nearer than this are read as one: a request costs more than 64 KiB. */
const NEAR_BLOCKS = 16;

/** The changed byte ranges that touch a window, as ascending block ranges within it that do not touch each other. */
export function changedBlocks(window: number, blocks: number, ranges: readonly DiskRange[]): { start: number; end: number }[] {
  const windowStart = window * WINDOW_BYTES;
  const found = ranges
    .map(({ offset, length }) => ({
      start: Math.max(0, Math.floor((offset - windowStart) / BLOCK_BYTES)),
      end: Math.min(blocks, Math.ceil((offset + length - windowStart) / BLOCK_BYTES)),
    }))
    .filter(({ start, end }) => end > start)
    .sort((a, b) => a.start - b.start);
  const merged: { start: number; end: number }[] = [];
  for (const range of found) {
    const last = merged[merged.length - 1];
    if (last && range.start <= last.end) last.end = Math.max(last.end, range.end);
    else merged.push({ ...range });
  }
  return merged;
}

/**
 * Where an incremental run has to cut anew. A span starts at the parent's boundary before a change; where the change falls on the
 * first block of a zero run, at the chunk before it, which ended only because zeros followed.
 */
export function planSpans(parent: LeafMap, changed: readonly { readonly start: number; readonly end: number }[]): Span[] {
  const spans: Span[] = [];
  for (const { start, end } of changed) {
    const firstIndex = parent.indexAt(start);
    let from = parent.starts[firstIndex] as number;
    const first = parent.entries[firstIndex];
    if (first?.chunk === null) from = from === start && firstIndex > 0 ? parent.starts[firstIndex - 1] as number : start;
    const lastIndex = parent.indexAt(end - 1);
    const last = parent.entries[lastIndex];
    const plannedEnd = last?.chunk === null ? end : (parent.starts[lastIndex] as number) + (last?.blocks ?? 0);
    const before = spans[spans.length - 1];
    if (before && from <= before.plannedEnd + NEAR_BLOCKS) {
      spans[spans.length - 1] = { start: before.start, changedEnd: end, plannedEnd: Math.max(before.plannedEnd, plannedEnd) };
    } else {
      spans.push({ start: from, changedEnd: end, plannedEnd });
    }
  }
  return spans;
}
