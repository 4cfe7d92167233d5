import { HoldfastError } from '../errors/holdfast-error';
import { checkedLabel, markHeld, markReleased } from '../vault/points/marks';
import { appNamed } from './app-client';
import { markByApp } from './app-vault';
import type { CommonOptions } from './command-options';
import { deciderHere } from './decider';
import { marksView, stateText } from './marks-view';
import { withVault } from './open-vault';
import type { Output } from './output';
import { recordedChange } from './trail-entry';

export interface HoldOptions extends CommonOptions {
  readonly label: string;
  readonly yes?: boolean;
}

/** Puts a legal hold on a recovery point: until it is released nothing deletes it. */
export async function runHold(recoveryPoint: string, options: HoldOptions, out: Output): Promise<number> {
  const label = checkedLabel(options.label);
  const app = appNamed(options);
  const state = app ? await markByApp(app, recoveryPoint, { hold: label }) : await withVault(options, 'write', ({ vault }) =>
    recordedChange(vault, { action: 'recovery-point.hold', target: recoveryPoint, details: { label } }, out, async () => markHeld(vault, recoveryPoint, await deciderHere(vault), label)));
  out.result({ recoveryPoint, ...marksView(state) }, () => [`${recoveryPoint} is ${stateText(state)}.`]);
  return 0;
}

/** Takes the hold of that very label away. At a terminal whoever has the key has the right; --yes is there so that no slip of the hand does it. */
export async function runRelease(recoveryPoint: string, options: HoldOptions, out: Output): Promise<number> {
  if (options.yes !== true) throw new HoldfastError('CONFIRMATION_NEEDED', `Releasing the hold ${JSON.stringify(options.label.slice(0, 80))} lets ${recoveryPoint.slice(0, 80)} be deleted: repeat the command with --yes`);
  const app = appNamed(options);
  const state = app ? await markByApp(app, recoveryPoint, { release: options.label }) : await withVault(options, 'write', ({ vault }) =>
    recordedChange(vault, { action: 'recovery-point.release', target: recoveryPoint, details: { label: options.label } }, out, async () => markReleased(vault, recoveryPoint, await deciderHere(vault), options.label)));
  out.result({ recoveryPoint, ...marksView(state) }, () => [`${recoveryPoint} is ${stateText(state)}.`]);
  return 0;
}
