import { HoldfastError } from '../../errors/holdfast-error';
import { OUTCOMES, type TrailOutcome, type TrailRecord } from './record';

/** Which records are wanted; what is left out does not matter. */
export interface TrailFilter {
  /** A part of the id or the name. */
  readonly who?: string | undefined;
  /** The action, or what it begins with before a `.`. */
  readonly action?: string | undefined;
  /** A part of it. */
  readonly target?: string | undefined;
  readonly outcome?: TrailOutcome | undefined;
  /** From then on, and before then: milliseconds since 1970. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** A filter as people write it. Throws REQUEST_INVALID for an outcome or a time that is none. */
export function parseFilter({ who, action, target, outcome, since, until }: Readonly<Partial<Record<'who' | 'action' | 'target' | 'outcome' | 'since' | 'until', string>>>): TrailFilter {
  const known = OUTCOMES.find((one) => one === outcome);
  if (outcome !== undefined && !known) throw new HoldfastError('REQUEST_INVALID', `outcome is one of ${OUTCOMES.join(', ')}, not ${JSON.stringify(outcome.slice(0, 40))}`);
  return { who, action, target, outcome: known, sinceMs: instant('since', since), untilMs: instant('until', until) };
}

function instant(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?Z)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new HoldfastError('REQUEST_INVALID', `${name} is a time in UTC such as 2026-11-23 or 2026-11-23T08:00:00Z, not ${JSON.stringify(text.slice(0, 40))}`);
  return ms;
}

export function isWanted(record: TrailRecord, { who, action, target, outcome, sinceMs, untilMs }: TrailFilter): boolean {
  const atMs = Date.parse(record.at);
  return (who === undefined || holds(record.who.id, who) || holds(record.who.name, who))
    && (action === undefined || record.action === action || record.action.startsWith(`${action}.`))
    && (target === undefined || holds(record.target ?? '', target))
    && (outcome === undefined || record.outcome === outcome)
    && (sinceMs === undefined || atMs >= sinceMs) && (untilMs === undefined || atMs < untilMs);
}

const holds = (text: string, part: string): boolean => text.toLowerCase().includes(part.toLowerCase());
