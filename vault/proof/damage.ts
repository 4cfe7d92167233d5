import { type ErrorReport, type HoldfastError, isHoldfastError } from '../../errors/holdfast-error';

/**
 * True when packs or nodes are not what they were when they were stored, or not there any more: damage of what is kept, told apart from
 * a store that cannot be reached. The one definition of what a check lists, a restore stops at, and a backup works around.
 */
export const isDamage = (error: unknown): error is HoldfastError =>
  isHoldfastError(error, 'PACK_DAMAGED') || isHoldfastError(error, 'PACK_MISSING') || isHoldfastError(error, 'NODE_DAMAGED');

export interface FoundDamage extends Pick<ErrorReport, 'code' | 'message'> {
  readonly pack: string;
}

/** The damaged pack that an error speaks of, or undefined when it is no damage or names no pack. */
export function foundDamage(error: unknown): FoundDamage | undefined {
  return isDamage(error) ? damageOfReport(error.toJSON()) : undefined;
}

export function damageOfReport({ code, message, data }: ErrorReport): FoundDamage | undefined {
  return typeof data.pack === 'string' ? { pack: data.pack, code, message } : undefined;
}
