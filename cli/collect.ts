import { collect, type CollectReport } from '../vault/points/collect';
import { recordsRemoved } from '../vault/points/collect-work';
import { appNamed } from './app-client';
import { runAppCollect } from './app-maintenance';
import type { CommonOptions } from './command-options';
import { userName } from './decider';
import { interruptible, signalExitCode } from './interrupt';
import { withVault } from './open-vault';
import type { Output } from './output';
import { startProgress } from './progress';
import { showBytes } from './sizes';
import { recordedChange } from './trail-entry';

export interface CollectCommandOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly approve?: string;
}

/** Lines of a kind that people are shown; --json has all. */
const SHOWN = 20;

/** Deletes what nothing needs any more. 0 when done, 4 when damage was met on the way. */
export async function runCollect(options: CollectCommandOptions, out: Output): Promise<number> {
  const dryRun = options.dryRun === true;
  const app = appNamed(options);
  if (app) return runAppCollect(app, dryRun, options.approve, out);
  const report = await interruptible((signal) => withVault(options, dryRun ? 'read' : 'write', async ({ vault }) => {
    const work = async (): Promise<CollectReport> => {
      const progress = startProgress('collect', 0, out.quiet);
      try {
        return await collect(vault, {
          localNowMs: Date.now, by: `holdfast collect by ${userName()}`, dryRun, signal, onProgress: (what) => progress.describe(`collect: ${what}`),
          ...(options.approve === undefined ? {} : { approve: options.approve }),
        });
      } finally {
        progress.end();
      }
    };
    if (dryRun) return work();
    return recordedChange(vault, { action: 'vault.collect', target: null, details: { approve: options.approve ?? null } }, out, work,
      ({ purged, deleted }) => ({ purged: purged.length, deletedPacks: deleted.packs, deletedBytes: deleted.bytes }));
  }));
  out.result(report, () => lines(report));
  for (const problem of report.problems) out.warn(problem.message, problem.remedy);
  if (report.plan.missing.length > 0) out.warn(`packs that recovery points need are not in the vault: ${report.plan.missing.join(', ')}`, 'Run `holdfast check` to see which recovery points that touches.');
  return signalExitCode() ?? (report.problems.length > 0 || report.plan.missing.length > 0 ? 4 : 0);
}

function lines({ dryRun, plan, deleted, purged, bin, runs, work, recoveryPoints, nextDueAt }: CollectReport): string[] {
  const count = ({ packs, bytes }: { packs: number; bytes: number }): string => `${packs} packs, ${showBytes(bytes)}`;
  const lines = [
    dryRun ? 'A collection would do this; nothing was changed.' : 'Collected.',
    `  ${recoveryPoints.items} items, ${recoveryPoints.live} recovery points, ${recoveryPoints.binned} in the bin; ${count(plan.all)} in all`,
    ...purged.slice(0, SHOWN).map((id) => `  ${dryRun ? 'would be gone for good' : 'gone for good'}: ${id}, whose time in the bin is over; its packs go with a later collection`),
    ...more(purged.length),
    dryRun ? `  not needed: ${count(plan.unneeded)}` : `  deleted: ${count(deleted)}`,
  ];
  if (plan.unexplained.packs > 0) lines.push(`  of what is not needed, no deleted recovery point and no run that was given up explains ${count(plan.unexplained)}`);
  if (deleted.immutable > 0) lines.push(`  held by the vault's immutability policy until later: ${deleted.immutable} packs`);
  if (!dryRun && deleted.left > 0) lines.push(`  left for the next collection: ${deleted.left} packs`);
  if (plan.waiting.packs > 0) lines.push(`  not needed now, but young enough to be an open run's: ${count(plan.waiting)}; the first may go from ${nextDueAt} on`);
  if (recordsRemoved(work) > 0) lines.push(`  records of ended runs and restores, and old proofs, ${dryRun ? 'that would go' : 'that went'}: ${recordsRemoved(work)}`);
  for (const { itemId, sequence, outcome } of runs.settled.slice(0, SHOWN)) lines.push(`  run ${sequence} of ${itemId} ${dryRun ? 'would be' : 'was'} ${outcome}`);
  for (const { itemId, owner, deadline } of runs.open.slice(0, SHOWN)) lines.push(`  ${itemId} is being backed up by ${owner}, until ${deadline} at the latest: what it may need stays`);
  for (const { id, binUntil, held } of bin.slice(0, SHOWN)) lines.push(`  in the bin until ${binUntil}${held ? ', and held' : ''}: ${id}`);
  lines.push(...more(bin.length));
  if (plan.abnormal !== null) lines.push(`This is not a normal plan: ${plan.abnormal}.`, ...dryRun ? [`If it is right: holdfast collect --approve ${plan.token}`] : []);
  return lines;
}

const more = (count: number): string[] => (count > SHOWN ? [`  … and ${count - SHOWN} more; --json has them all`] : []);
