import { HoldfastError } from '../errors/holdfast-error';
import { lockVault, type LockReport } from '../vault/points/lock';
import type { CommonOptions } from './command-options';
import { interruptible } from './interrupt';
import { withVault } from './open-vault';
import type { Output } from './output';
import { recordedChange } from './trail-entry';

export interface LockCommandOptions extends CommonOptions {
  readonly days?: string;
  readonly dryRun?: boolean;
}

const DAY_MS = 86_400_000;
const MOST_DAYS = 3650;

/** The days of --days or HOLDFAST_LOCK_DAYS, in milliseconds; undefined where neither is given. Throws USAGE. */
export function lockKeepMs(days: string | undefined): number | undefined {
  const text = days ?? process.env['HOLDFAST_LOCK_DAYS'] ?? '';
  if (text === '') return undefined;
  const value = Number(text);
  if (!/^\d{1,4}$/.test(text) || value < 1 || value > MOST_DAYS) throw new HoldfastError('USAGE', `"${text.slice(0, 20)}" is not a number of days from 1 to ${MOST_DAYS} for which to hold objects`);
  return value * DAY_MS;
}

/** Holds everything that recovery points need for longer where that is due. The dry run says what would be held. */
export async function runLock(options: LockCommandOptions, out: Output): Promise<number> {
  const keepMs = lockKeepMs(options.days);
  if (keepMs === undefined) throw new HoldfastError('USAGE', 'For how many days objects are to be held is not said: give --days or set HOLDFAST_LOCK_DAYS');
  const dryRun = options.dryRun === true;
  const report = await interruptible((signal) => withVault(options, dryRun ? 'read' : 'write', ({ vault }) => {
    const work = (): Promise<LockReport> => lockVault(vault, { keepMs, localNowMs: Date.now, dryRun, signal });
    return dryRun ? work() : recordedChange(vault, { action: 'vault.lock', target: null, details: { days: keepMs / DAY_MS } }, out, work, ({ extended, left, heldUntil }) => ({ extended, left, heldUntil }));
  }));
  out.result(report, () => [
    report.dryRun ? 'This would be held for longer; nothing was changed.' : 'Held what recovery points need.',
    `  ${report.needed} objects are needed; ${report.dryRun ? `${report.left} of them are due` : `${report.extended} were held for longer`}`,
    ...(report.dryRun || report.left > 0 ? [] : [`  nobody can delete any of them before ${report.heldUntil}`]),
    ...(report.earliest === null ? [] : [`  the first of those that were due would have come free at ${report.earliest}`]),
    ...(!report.dryRun && report.left > 0 ? [`  left: ${report.left}; run it again`] : []),
  ]);
  return 0;
}
