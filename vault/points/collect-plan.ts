import { createHash } from 'node:crypto';
import type { AliveSet } from './alive';
import { PackKind } from '../format/format';
import { MARGINS } from './margins';
import type { ObjectInfo } from '../store/store';

/** A pack that nothing needs. */
export interface Candidate { readonly kind: PackKind; readonly name: string; readonly sizeBytes: number }

export interface PackCount { packs: number; bytes: number }

export interface CollectPlan {
  /** The time that the plan goes by: see vault/collect.ts. */
  readonly horizonMs: number;
  readonly all: PackCount;
  /** What is to be deleted; `candidates` has the first of it, as many as one collection does. */
  readonly unneeded: PackCount;
  readonly candidates: readonly Candidate[];
  /** Of the unneeded: what neither a deleted recovery point nor a run that was given up explains. */
  readonly unexplained: PackCount;
  /** Not needed by a recovery point, but not old enough: an open run may be about to need it. */
  readonly waiting: PackCount;
  /** When the oldest of those was written, in milliseconds; null when there are none. */
  readonly oldestWaitingMs: number | null;
  /** Names below packs/ that are no packs: never touched. */
  readonly foreign: number;
  /** Packs that recovery points need and that are not in the vault, the first of them. */
  readonly missing: readonly string[];
  /** Why a person has to approve this, or null. */
  readonly abnormal: string | null;
  /** What approves exactly this plan: the time that it goes by, and a hash of all that it would delete. */
  readonly token: string;
}

/** Packs that one collection deletes at most: bounds its memory (about 100 bytes each); the next one goes on. */
const MAX_CANDIDATES = 200_000;
const MAX_MISSING = 20;
const NAME = /^packs\/(data|meta)\/([0-9a-f]{2})\/([0-9a-f]{32})$/;

/** The time in which a run that was given up wrote packs. */
export interface Interval { readonly fromMs: number; readonly toMs: number }

/**
 * Decides what of the vault's packs is not needed. Pure: it is offered what is in the vault, object by object in the order of the names, and keeps sums. Only what was
 * written so long before the horizon that whoever wrote it has ended since may go (collect.ts says how the horizon is found).
 */
export class CollectPlanner {
  private readonly hash = createHash('sha256');
  private readonly candidates: Candidate[] = [];
  private readonly all = { packs: 0, bytes: 0 };
  private readonly unneeded = { packs: 0, bytes: 0 };
  private readonly unexplained = { packs: 0, bytes: 0 };
  private readonly waiting = { packs: 0, bytes: 0 };
  private oldestWaitingMs: number | null = null;
  private foreign = 0;

  constructor(private readonly alive: AliveSet, private readonly horizonMs: number, private readonly abandoned: readonly Interval[]) {}

  offer({ name, sizeBytes, modifiedAtMs }: ObjectInfo): void {
    const [, folder, prefix, id] = NAME.exec(name) ?? [];
    if (id === undefined || !id.startsWith(prefix as string)) {
      this.foreign++;
      return;
    }
    const kind = folder === 'data' ? PackKind.data : PackKind.meta;
    const packs = this.alive.of(kind);
    add(this.all, sizeBytes);
    packs.see(id);
    if (packs.isAlive(id)) return;
    if (modifiedAtMs >= writtenBefore(this.horizonMs)) {
      add(this.waiting, sizeBytes);
      this.oldestWaitingMs = Math.min(this.oldestWaitingMs ?? modifiedAtMs, modifiedAtMs);
      return;
    }
    add(this.unneeded, sizeBytes);
    if (!packs.isKnown(id) && !this.abandoned.some(({ fromMs, toMs }) => modifiedAtMs >= fromMs && modifiedAtMs <= toMs)) add(this.unexplained, sizeBytes);
    this.hash.update(`${name}\n`);
    if (this.candidates.length < MAX_CANDIDATES) this.candidates.push({ kind, name, sizeBytes });
  }

  finish(): CollectPlan {
    const { all, unneeded, unexplained, waiting, oldestWaitingMs, foreign, candidates, horizonMs } = this;
    return {
      horizonMs, all, unneeded, unexplained, waiting, oldestWaitingMs, foreign, candidates,
      missing: [...this.alive.data.unseen(MAX_MISSING), ...this.alive.meta.unseen(MAX_MISSING)].slice(0, MAX_MISSING),
      abnormal: abnormality(all, unneeded, unexplained),
      token: `${tokenTime(horizonMs)}-${this.hash.digest('hex').slice(0, 16)}`,
    };
  }
}

/** What was written later than this may be a run's that can still commit. */
export const writtenBefore = (horizonMs: number): number => horizonMs - MARGINS.longestRunMs - MARGINS.afterRunMs;

function add(count: PackCount, bytes: number): void {
  count.packs++;
  count.bytes += bytes;
}

const shareOf = (part: PackCount, all: PackCount): number => Math.max(part.packs / Math.max(1, all.packs), part.bytes / Math.max(1, all.bytes));
const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** Why a person has to look at a plan before it is carried out (fault 14), or null. */
function abnormality(all: PackCount, unneeded: PackCount, unexplained: PackCount): string | null {
  if (unexplained.packs >= MARGINS.abnormalFromPacks && shareOf(unexplained, all) > MARGINS.unexplainedShare) {
    return `it would delete ${unexplained.packs} packs of ${all.packs} (${percent(shareOf(unexplained, all))}) that no deleted recovery point and no run that was given up explains; normal is at most ${percent(MARGINS.unexplainedShare)}`;
  }
  if (unneeded.packs >= MARGINS.abnormalFromPacks && shareOf(unneeded, all) > MARGINS.abnormalShare) {
    return `it would delete ${unneeded.packs} packs of ${all.packs} (${percent(shareOf(unneeded, all))}); normal is at most ${percent(MARGINS.abnormalShare)}`;
  }
  return null;
}

const TOKEN = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-[0-9a-f]{16}$/;

const tokenTime = (ms: number): string => new Date(ms).toISOString().replace(/[-:.]/g, '');

/** The time that an approved plan goes by, so that the same plan can be made again; null for what is no token. */
export function timeOfToken(token: string): number | null {
  const [, year, month, day, hour, minute, second, ms] = TOKEN.exec(token) ?? [];
  return year === undefined ? null : Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second), Number(ms));
}
