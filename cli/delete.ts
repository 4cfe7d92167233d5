import { deletePoint } from '../activities/delete-point';
import { markUndeleted } from '../vault/points/marks';
import type { CommonOptions } from './command-options';
import { deciderHere } from './decider';
import { marksView, stateText } from './marks-view';
import { withVault } from './open-vault';
import type { Output } from './output';

export interface DeleteOptions extends CommonOptions {
  readonly dryRun?: boolean;
}

/** Puts a recovery point into the bin; with --dry-run only says whether that could be. */
export async function runDelete(recoveryPoint: string, options: DeleteOptions, out: Output): Promise<number> {
  const dryRun = options.dryRun === true;
  const state = await withVault(options, dryRun ? 'dry-run' : 'write', async ({ vault }) => deletePoint(vault, recoveryPoint, await deciderHere(vault), { dryRun }));
  out.result({ dryRun, recoveryPoint, ...marksView(state) }, () => [dryRun ? `${recoveryPoint} would go into the bin.` : `${recoveryPoint} is ${stateText(state)}; \`holdfast undelete\` brings it back.`]);
  return 0;
}

/** Takes a recovery point out of the bin. */
export async function runUndelete(recoveryPoint: string, options: DeleteOptions, out: Output): Promise<number> {
  const dryRun = options.dryRun === true;
  const state = await withVault(options, dryRun ? 'dry-run' : 'write', async ({ vault }) => markUndeleted(vault, recoveryPoint, await deciderHere(vault)));
  out.result({ dryRun, recoveryPoint, ...marksView(state) }, () => [`${recoveryPoint} ${dryRun ? 'would be' : 'is'} ${stateText(state)}.`]);
  return 0;
}
