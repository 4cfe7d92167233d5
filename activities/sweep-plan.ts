import type { MadeSnapshot } from './work';

/** How long a run must be over, and a thing in the cloud be old, before a sweep touches it: a run's own clean-up goes on for up to two hours. */
export const SWEEP_MARGIN_MS = 4 * 3_600_000;

/** A snapshot, restore point, snapshot of a page blob or collection without restore points that carries this vault's tag, and what the vault's ledger says of it. */
export interface Tagged {
  readonly kind: 'snapshot' | 'restorePoint' | 'blobSnapshot' | 'emptyCollection';
  /** Full resource id, as the cloud spells it; of a blob snapshot its address with `?snapshot=TIME`. */
  readonly id: string;
  readonly made: MadeSnapshot;
  readonly itemId: string;
  readonly createdAtMs: number | null;
  readonly isOpen: boolean;
  /** The run that made it, found in the vault; null when the vault knows of none whose name for it is this one. */
  readonly run: { readonly sequence: number; readonly endedAtMs: number | null } | null;
}

/** What the vault and the cloud say of an item as a whole. */
export interface ItemFacts {
  readonly itemId: string;
  /** What the newest recovery point was made from, that the next run would take as its base. */
  readonly base: readonly string[];
  /** Why a base is needed no more (the policy keeps none, the policy is gone, the machine is gone); null while it is. */
  readonly baseIsIdleBecause: string | null;
  /** False when there certainly is no such machine any more. */
  readonly hasMachine: boolean;
  /** A run of the item is open: what it may read is left alone. */
  readonly hasOpenRun: boolean;
}

export interface SweepEntry { readonly kind: Tagged['kind']; readonly id: string; readonly itemId: string; readonly why: string }

export interface SweepPlan {
  readonly remove: readonly (SweepEntry & { readonly made: MadeSnapshot })[];
  /** Bases that are kept, but open for reading with no run that reads them. */
  readonly endAccess: readonly SweepEntry[];
  readonly keep: readonly SweepEntry[];
  /** Tagged as ours, but in no record of the vault: told, and never touched. */
  readonly unknown: readonly SweepEntry[];
}

/**
 * Pure: what becomes of each thing of one item (fault 28, I5). Removed is only what tag and ledger both say is this vault's, whose run has ended,
 * that is not the base of the newest recovery point, and that is older than the margin. Everything else is kept, with the reason.
 */
export function planSweep(item: ItemFacts, tagged: readonly Tagged[], nowMs: number): SweepPlan {
  const plan = { remove: [] as SweepPlan['remove'][number][], endAccess: [] as SweepEntry[], keep: [] as SweepEntry[], unknown: [] as SweepEntry[] };
  const base = new Set(item.base.map((id) => id.toLowerCase()));
  for (const one of tagged) {
    const told = (why: string): SweepEntry => ({ kind: one.kind, id: one.id, itemId: one.itemId, why });
    const keep = (why: string): void => { plan.keep.push(told(why)); };
    const isBase = base.has(one.id.toLowerCase());
    if (!one.run) plan.unknown.push(told('no run in the vault has this name for it'));
    else if (one.run.endedAtMs === null) keep(`run ${one.run.sequence} has not ended`);
    else if (item.hasOpenRun) keep('a run of the item is under way, and cleans up after itself');
    // Deleting a collection deletes what is in it: so only one that nobody can put anything into any more.
    else if (one.kind === 'emptyCollection' && item.hasMachine) keep('the machine is there, and its next run may use it');
    else if (isBase && item.baseIsIdleBecause === null) {
      keep('base of the next comparison');
      if (one.isOpen) plan.endAccess.push(told('open for reading, and no run reads it'));
    } else if (nowMs - Math.max(one.run.endedAtMs, one.createdAtMs ?? 0) < SWEEP_MARGIN_MS) keep('its run, or it itself, is too young');
    else plan.remove.push({ ...told(isBase ? `base that nobody needs: ${item.baseIsIdleBecause}` : `left behind by run ${one.run.sequence}`), made: one.made });
  }
  return plan;
}
