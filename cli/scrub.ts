import { join } from 'node:path';
import { withLanes } from '../vault/transfer/lanes';
import type { Proof, ProvedDamage } from '../vault/proof/proofs';
import { dailyShareBytes, itemsToScrub, roundStartMs, scrubStep } from '../vault/proof/scrub';
import { HoldfastError } from '../errors/holdfast-error';
import { appNamed } from './app-client';
import { runAppScrub } from './app-jobs';
import type { CommonOptions } from './command-options';
import { interruptible, untilAborted } from './interrupt';
import { type OpenedVault, withVault } from './open-vault';
import type { Output } from './output';
import { startProgress } from './progress';
import { showBytes, showRate, showSeconds } from './sizes';

export interface ScrubOptions extends CommonOptions {
  readonly days: number;
  readonly all?: boolean;
  readonly threads?: number;
}

/** A step ends after so many windows (4 GiB): what it read is written down then, and a run that is stopped loses no more. */
const STEP_WINDOWS = 64;

interface ScrubReport {
  ok: boolean;
  /** What was read of, and what its proof came to. */
  readonly recoveryPoints: { id: string; state: Proof['state']; damage: readonly ProvedDamage[] }[];
  plainBytes: number;
  storedBytes: number;
  readonly shareBytes: number | null;
  /** Items with something that was not proved in this round. */
  itemsLeft: number;
}

/** Proves a share of the vault. 0 when all that was read is whole, 4 when anything is damaged. */
export async function runScrub(options: ScrubOptions, out: Output): Promise<number> {
  const app = appNamed(options);
  if (app) {
    if (options.all !== true) throw new HoldfastError('USAGE', 'The app proves its daily share by itself; asked for one, it proves everything: say so with --all');
    return runAppScrub(app, out);
  }
  const startedMs = Date.now();
  const report = await interruptible((signal) => withVault(options, 'write', (opened) => scrub(opened, options, out, signal)));
  const seconds = (Date.now() - startedMs) / 1000;
  (report.ok ? out.result : out.answer).call(out, { ...report, seconds }, () => lines(report, seconds));
  if (!report.ok) out.warn('the scrub found damage', 'run `holdfast check` for all that it touches. The next backup stores anew what is damaged, where the source still has it.');
  return report.ok ? 0 : 4;
}

async function scrub({ vault, spec }: OpenedVault, options: ScrubOptions, out: Output, signal: AbortSignal): Promise<ScrubReport> {
  const sinceMs = roundStartMs(Date.now(), options.days);
  const shareBytes = options.all ? null : await dailyShareBytes(vault, options.days);
  const report: ScrubReport = { ok: true, recoveryPoints: [], plainBytes: 0, storedBytes: 0, shareBytes, itemsLeft: 0 };
  const isOver = (): boolean => shareBytes !== null && report.storedBytes >= shareBytes;
  const items = await itemsToScrub(vault, sinceMs);
  const progress = startProgress('scrub', 0, out.quiet);
  const plan = { factory: join(__dirname, 'transfer-factory.js'), store: { ...spec }, keys: vault.keys, collectDamage: true, threads: options.threads };
  try {
    await untilAborted(signal, withLanes(plan, async (lanes) => {
      for (const itemId of items) {
        for (let done = false; !done && !isOver();) {
          const step = await scrubStep(vault, lanes, {
            itemId, recoveryPoint: null, sinceMs, maxWindows: STEP_WINDOWS, by: 'scrub', nowMs: () => Date.now(), signal, onWindow: ({ plainBytes }) => progress.advance(1, plainBytes),
          });
          done = step.done;
          report.plainBytes += step.plainBytes;
          report.storedBytes += step.storedBytes;
          note(report, step.recoveryPoint, step.state, step.damage);
        }
      }
    }));
  } finally {
    progress.end();
  }
  report.itemsLeft = (await itemsToScrub(vault, sinceMs)).length;
  return report;
}

/** Keeps the last word on each recovery point. */
function note(report: ScrubReport, id: string | null, state: Proof['state'] | null, damage: readonly ProvedDamage[]): void {
  if (id === null || state === null) return;
  if (damage.length > 0) report.ok = false;
  const known = report.recoveryPoints.find((one) => one.id === id);
  if (known) Object.assign(known, { state, damage });
  else report.recoveryPoints.push({ id, state, damage });
}

const LABELS: Readonly<Record<Proof['state'], string>> = { whole: 'ok       ', damaged: 'DAMAGED  ', part: 'in part  ' };

function lines({ recoveryPoints, plainBytes, storedBytes, shareBytes, itemsLeft }: ScrubReport, seconds: number): string[] {
  const share = shareBytes === null ? '' : `; a day's share is ${showBytes(shareBytes)}`;
  const left = `${itemsLeft} ${itemsLeft === 1 ? 'item has' : 'items have'} more to prove in this round`;
  return [
    ...recoveryPoints.flatMap(({ id, state, damage }) => [`${LABELS[state]} ${id}`, ...damage.map(({ message, disk }) => `           ${disk === null ? '' : `disk ${disk}: `}${message}`)]),
    `read and proved ${showBytes(plainBytes)} (${showBytes(storedBytes)} stored${share}); ${left}; ${showSeconds(seconds)}, ${showRate(plainBytes, seconds)}`,
  ];
}
