import { type HoldfastError, isHoldfastError } from '../../errors/holdfast-error';

/**
 * True when packs or nodes are not what they were when they were stored, or not there any more: damage of what is kept, told apart from
 * a store that cannot be reached. The one definition of what a check lists, a restore stops at, and a backup works around.
 */
export const isDamage = (error: unknown): error is HoldfastError =>
  isHoldfastError(error, 'PACK_DAMAGED') || isHoldfastError(error, 'PACK_MISSING') || isHoldfastError(error, 'NODE_DAMAGED');
