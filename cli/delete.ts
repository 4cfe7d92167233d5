import { deletePoint } from '../activities/delete-point';
import { HoldfastError } from '../errors/holdfast-error';
import { markUndeleted, type MarkState } from '../vault/points/marks';
import { appNamed } from './app-client';
import { markByApp } from './app-vault';
import type { CommonOptions } from './command-options';
import { deciderHere } from './decider';
import { marksView, stateText } from './marks-view';
import { withVault } from './open-vault';
import type { Output } from './output';
import { recordedChange } from './trail-entry';

export interface DeleteOptions extends CommonOptions {
  readonly dryRun?: boolean;
}

/** Puts a recovery point into the bin; with --dry-run only says whether that could be. */
export async function runDelete(recoveryPoint: string, options: DeleteOptions, out: Output): Promise<number> {
  const dryRun = options.dryRun === true;
  const app = appNamed(options);
  const state = app ? await markByApp(app, recoveryPoint, 'delete', dryRun) : await withVault(options, dryRun ? 'dry-run' : 'write', async ({ vault }) => {
    const work = async (): Promise<MarkState> => deletePoint(vault, recoveryPoint, await deciderHere(vault), { dryRun });
    return dryRun ? work() : recordedChange(vault, { action: 'recovery-point.delete', target: recoveryPoint }, out, work);
  });
  out.result({ dryRun, recoveryPoint, ...marksView(state) }, () => [dryRun ? `${recoveryPoint} would go into the bin.` : `${recoveryPoint} is ${stateText(state)}; \`holdfast undelete\` brings it back.`]);
  return 0;
}

/** Takes a recovery point out of the bin. */
export async function runUndelete(recoveryPoint: string, options: DeleteOptions, out: Output): Promise<number> {
  const dryRun = options.dryRun === true;
  const app = appNamed(options);
  if (app && dryRun) throw new HoldfastError('USAGE', 'An app has no dry run of undelete: nothing is lost by it, and `holdfast delete` takes it back');
  const state = app ? await markByApp(app, recoveryPoint, 'undelete') : await withVault(options, dryRun ? 'dry-run' : 'write', async ({ vault }) => {
    const work = async (): Promise<MarkState> => markUndeleted(vault, recoveryPoint, await deciderHere(vault));
    return dryRun ? work() : recordedChange(vault, { action: 'recovery-point.undelete', target: recoveryPoint }, out, work);
  });
  out.result({ dryRun, recoveryPoint, ...marksView(state) }, () => [`${recoveryPoint} ${dryRun ? 'would be' : 'is'} ${stateText(state)}.`]);
  return 0;
}
