import type { MarkState } from '../vault/points/marks';

/** What of its marks is shown. */
export type MarksShown = Pick<MarkState, 'state' | 'binUntil' | 'held' | 'holds' | 'damaged'>;

/** What became of a recovery point, for JSON. */
export const marksView = ({ state, binUntil, holds, held }: MarksShown): { state: string; binUntil: string | null; held: boolean; holds: readonly string[] } =>
  ({ state, binUntil, held, holds: holds.map(({ label }) => label) });

/** The same in a few words: `live`, `in the bin until …`, with its holds. */
export function stateText({ state, binUntil, holds, damaged }: MarksShown): string {
  const where = state === 'live' ? 'live' : state === 'purged' ? 'gone' : `in the bin until ${binUntil}`;
  const why = damaged ? ['held: a mark does not open'] : holds.length > 0 ? [`held: ${holds.map(({ label }) => label).join(', ')}`] : [];
  return [where, ...why].join(', ');
}
