import type { WireAnswer, WireRequest } from './wire-server';

const page = 512;

/** What each page of a disk is in the eyes of the service. */
export type PageKind = 'same' | 'data' | 'cleared';

/** How the service deals with a list that is longer than its cap. All of these are right or wrong in ways that are documented or feared. */
export type Truncation = 'marker' | 'marker, data first' | 'marker refused' | 'marker ignored' | 'silent';

/** Answers Get Page Ranges for a row of pages, with a cap on the ranges of one answer. */
export function pageListService(pages: readonly PageKind[], options: { readonly cap: number; readonly truncation: Truncation; readonly isDiff: boolean }) {
  return (request: WireRequest): WireAnswer => {
    const asked = /^bytes=(\d+)-(\d+)$/.exec(String(request.headers['x-ms-range']));
    if (request.query.get('comp') !== 'pagelist' || asked === null) return { status: 400, headers: { 'x-ms-error-code': 'InvalidHeaderValue' } };
    const hasBase = request.headers['x-ms-previous-snapshot-url'] !== undefined;
    if (hasBase !== options.isDiff) return { status: 400, headers: { 'x-ms-error-code': 'MissingRequiredHeader' } };
    const marker = request.query.get('marker');
    if (marker !== null && options.truncation === 'marker refused') return { status: 400, headers: { 'x-ms-error-code': 'InvalidQueryParameterValue' } };
    const ranges = rangesOf(pages, Number(asked[1]), Number(asked[2]), options.isDiff);
    if (options.truncation === 'marker, data first') ranges.sort((left, right) => Number(left.kind === 'cleared') - Number(right.kind === 'cleared'));
    const start = marker === null || options.truncation === 'marker ignored' ? 0 : Number(marker.split('!')[1]);
    const part = ranges.slice(start, start + options.cap);
    const isCut = start + options.cap < ranges.length && options.truncation !== 'silent';
    return {
      status: 200,
      headers: { 'content-type': 'application/xml', 'x-ms-blob-content-length': String(pages.length * page + 512) },
      body: listXml(part, isCut ? `2!${String(start + options.cap)}` : ''),
    };
  };
}

interface ServedRange {
  readonly kind: PageKind;
  readonly start: number;
  readonly end: number;
}

/** Runs of equal pages within the asked bytes; both ends inclusive. */
function rangesOf(pages: readonly PageKind[], firstByte: number, lastByte: number, isDiff: boolean): ServedRange[] {
  const found: ServedRange[] = [];
  for (let index = Math.floor(firstByte / page); index <= Math.min(Math.floor(lastByte / page), pages.length - 1); index += 1) {
    const kind = pages[index] ?? 'same';
    if (kind === 'same' || (kind === 'cleared' && !isDiff)) continue;
    const last = found.at(-1);
    if (last?.kind === kind && last.end === index * page - 1) found[found.length - 1] = { ...last, end: last.end + page };
    else found.push({ kind, start: index * page, end: (index + 1) * page - 1 });
  }
  return found;
}

function listXml(ranges: readonly ServedRange[], marker: string): string {
  const items = ranges.map(({ kind, start, end }) => {
    const name = kind === 'data' ? 'PageRange' : 'ClearRange';
    return `<${name}><Start>${String(start)}</Start><End>${String(end)}</End></${name}>`;
  });
  return `\uFEFF<?xml version="1.0" encoding="utf-8"?><PageList>${items.join('')}${marker === '' ? '' : `<NextMarker>${marker}</NextMarker>`}</PageList>`;
}
