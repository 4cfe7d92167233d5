import { MARGINS } from './margins';
import type { HeldObject } from '../store/store';

/** How long ahead a vault's objects are held under a WORM policy. All times are by the store's clock. */
export interface LockTimes {
  readonly nowMs: number;
  /** For so long from any moment on, nobody can delete anything that a recovery point needs. */
  readonly keepMs: number;
}

/** Until when everything that is needed is held after a maintenance run: half the margin is left for the backups until the next one. */
export const lockFloorMs = ({ nowMs, keepMs }: LockTimes): number => nowMs + keepMs + MARGINS.lockMarginMs / 2;

/** Until when an object is held that has to be held for longer: with the whole margin, so that it is not touched again for half of it. */
export const lockTargetMs = ({ nowMs, keepMs }: LockTimes): number => nowMs + keepMs + MARGINS.lockMarginMs;

/** What a commit asks of every pack that it refers to. */
export const lockNeedMs = ({ nowMs, keepMs }: LockTimes): number => nowMs + keepMs;

export interface Extension {
  readonly name: string;
  /** Null when nothing holds it. */
  readonly fromMs: number | null;
  readonly toMs: number;
}

/** The extension that an object needs in maintenance, or undefined when it is held for long enough. Never a shorter time than it has. */
export function planExtension({ name, untilMs }: Pick<HeldObject, 'name' | 'untilMs'>, times: LockTimes): Extension | undefined {
  return (untilMs ?? 0) >= lockFloorMs(times) ? undefined : { name, fromMs: untilMs, toMs: lockTargetMs(times) };
}

/** What nobody needs once its time is over, or what is remade: never held for longer than the container's default. */
const TRANSIENT = /^(work|restores|requests|proofs|locks|maintenance|notices|index|packs)\//;

/** What maintenance knows of a vault. */
export interface Needed {
  isPackNeeded(kind: 'data' | 'meta', pack: string): boolean;
  /** Names of manifests of purged recovery points, of removed key documents and the like. */
  isGone(name: string): boolean;
}

const PACK_NAME = /^packs\/(data|meta)\/[0-9a-f]{2}\/([0-9a-f]{32})$/;

/** Everything but what is known to be of no use: a kind of object that a later version adds is rather held too long than not at all. */
export function isLockNeeded(name: string, needed: Needed): boolean {
  const [, kind, pack] = PACK_NAME.exec(name) ?? [];
  if (kind !== undefined && pack !== undefined) return needed.isPackNeeded(kind as 'data' | 'meta', pack);
  return !TRANSIENT.test(name) && !needed.isGone(name);
}
