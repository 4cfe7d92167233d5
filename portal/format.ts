/** Numbers, times and sizes as people read them. Pure, and without a browser. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1.5 GiB`: three significant digits at most, binary units. */
export function bytes(value: number): string {
  let unit = 0;
  let left = Math.abs(value);
  while (left >= 1023.5 && unit < UNITS.length - 1) {
    left /= 1024;
    unit++;
  }
  const digits = unit === 0 || left >= 99.95 ? 0 : left >= 9.995 ? 1 : 2;
  return `${value < 0 ? '−' : ''}${trimmed(left.toFixed(digits))} ${UNITS[unit] ?? ''}`;
}

const trimmed = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);

/** `12,345`. */
export const count = (value: number): string => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ',');

/** `1 recovery point`, `2 recovery points`. */
export const counted = (value: number, one: string, many = `${one}s`): string => `${count(value)} ${value === 1 ? one : many}`;

/** `2 d 3 h`, `5 min 2 s`, `0.4 s`: the two largest units. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '—';
  if (seconds < 10) return `${trimmed(Math.max(0, seconds).toFixed(1))} s`;
  const parts: string[] = [];
  let left = Math.round(seconds);
  for (const [unit, size] of [['d', 86_400], ['h', 3_600], ['min', 60], ['s', 1]] as const) {
    const whole = Math.floor(left / size);
    left -= whole * size;
    if (whole > 0) parts.push(`${whole} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(' ');
}

/** `3 h ago`, `in 2 d`: one unit, for a glance. */
export function ago(atMs: number, nowMs: number): string {
  const seconds = Math.abs(nowMs - atMs) / 1000;
  if (seconds < 45) return 'just now';
  const text = [['d', 86_400], ['h', 3_600], ['min', 60]].map(([unit, size]) => ({ unit, value: Math.round(seconds / Number(size)) })).find(({ value }, index) => value >= (index === 0 ? 2 : 1));
  return text ? (atMs <= nowMs ? `${text.value} ${text.unit} ago` : `in ${text.value} ${text.unit}`) : 'just now';
}

/** `2026-11-25 14:03 UTC`. */
export const utc = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** `2026-11-25`, by UTC. */
export const utcDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** `12.34 EUR`; small sums with the digits that they need. */
export function money(amount: number, currency: string): string {
  const digits = amount !== 0 && Math.abs(amount) < 0.995 ? (Math.abs(amount) < 0.0995 ? 4 : 3) : 2;
  return `${amount.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d)(?=\.))/g, ',')} ${currency}`;
}

/** `83 %`. */
export const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** `1.8 : 1`; null where there is nothing to compare. */
export const ratio = (before: number, after: number): string | null => (before > 0 && after > 0 ? `${(before / after).toFixed(before / after < 10 ? 1 : 0)} : 1` : null);

/** `instantRestore` and `in-place` as words: `Instant restore`, `In place`. */
export const words = (name: string): string => {
  const spaced = name.replace(/([a-z])([A-Z])/g, '$1 $2').replace(/[-_.]/g, ' ').toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
};

const CONSISTENCY: Readonly<Record<string, string>> = { application: 'application', 'file-system': 'file system', crash: 'crash', 'crash-per-disk': 'crash, disk by disk' };

/** A level of consistency in words. */
export const consistency = (level: string): string => CONSISTENCY[level] ?? level;
