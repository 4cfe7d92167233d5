import { HoldfastError } from '../errors/holdfast-error';

/** The last millisecond of the year 9999: a later one no longer fits four digits. */
const MAX_STAMP_MS = 253_402_300_799_999;
const STAMP = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})(\d{3})?Z$/;

/**
 * The compact text of an instant, for names: `20261123T010000Z`, or with milliseconds when it is not a whole
 * second, `20261123T010000123Z`. `ms` is whole milliseconds since 1970, up to the end of 9999.
 */
export function formatStamp(ms: number): string {
  if (!Number.isSafeInteger(ms) || ms < 0 || ms > MAX_STAMP_MS) {
    throw new HoldfastError('INTERNAL', `No stamp for ${ms}: expected whole milliseconds from 1970 to 9999`);
  }
  const digits = new Date(ms).toISOString().replace(/[-:.]/g, '');
  return ms % 1000 === 0 ? `${digits.slice(0, 15)}Z` : digits;
}

/**
 * The instant of a stamp in milliseconds since 1970, or null for any text that formatStamp does not write: an
 * impossible date, seconds of 60, milliseconds of 000, lower case. So one instant has one text.
 */
export function parseStamp(text: string): number | null {
  const parts = STAMP.exec(text);
  if (parts === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, millisecond = 0] = parts.slice(1).map((part) => Number(part ?? 0));
  const ms = Date.UTC(year, month - 1, day, hour, minute, second, millisecond);
  return ms >= 0 && ms <= MAX_STAMP_MS && formatStamp(ms) === text ? ms : null;
}
