import type { ErrorReport } from '../../errors/holdfast-error';
import { type DamagedManifest, listRecoveryPoints, type ListedPoint } from '../catalog';
import { historyProblems, readHistory } from './check-history';
import { DamageList } from './damage-list';
import { damageOfReport } from './damage';
import { recordDamage } from './damage-ledger';
import { recoveryPointsNeeding } from './damage-reach';
import { type ManifestDisk, parseRecoveryPointId } from '../format/manifest';
import { MAX_LISTED_DAMAGE, type Proof, proofTimes, type ProofTimes, type ProvedDamage, readProof, recordProof } from './proofs';
import { type ScrubWindow, windowsToProve } from './scrub-windows';
import { runLanes } from '../transfer/transfer';
import type { Lane, LaneReadResult } from '../transfer/transfer-lane';
import type { VaultAccess } from '../format/tree';

/** One bounded step of proving an item. */
export interface ScrubRequest {
  readonly itemId: string;
  /** Only this recovery point; null for all of the item. */
  readonly recoveryPoint: string | null;
  /** When the round began, in milliseconds since 1970: what was proved since then need not be proved again. */
  readonly sinceMs: number;
  /** Windows of 64 MiB that the step reads at most. */
  readonly maxWindows: number;
  /** True when the step should come to its end: what it has begun is finished. */
  readonly isOver?: () => boolean;
  readonly by: Proof['by'];
  readonly nowMs: () => number;
  readonly signal?: AbortSignal;
  readonly onWindow?: (result: LaneReadResult) => void;
}

export interface ScrubStep {
  /** True when nothing of the item is left to be proved in this round. */
  readonly done: boolean;
  /** What the step read of, or null when nothing was left. */
  readonly recoveryPoint: string | null;
  /** What the recovery point's proof came to with this step. */
  readonly state: Proof['state'] | null;
  readonly windows: number;
  readonly plainBytes: number;
  readonly storedBytes: number;
  /** Damage of the recovery point, found by this step and those before. */
  readonly damage: readonly ProvedDamage[];
}

const NOTHING: ScrubStep = { done: true, recoveryPoint: null, state: null, windows: 0, plainBytes: 0, storedBytes: 0, damage: [] };

type Target = { readonly point: ListedPoint; readonly neighbour: ListedPoint | null } | { readonly unreadable: DamagedManifest };

/**
 * Proves the next part of an item: its newest recovery point whole, then one after another those beside one that was proved in the same round, of which only what differs is read.
 * What was read is written down as a proof, so that whoever comes next goes on behind it. An error of the store is thrown, and nothing is written down: then nothing was proved.
 * The lanes must have been opened with `collectDamage`.
 */
export async function scrubStep(vault: VaultAccess, lanes: readonly Lane[], request: ScrubRequest): Promise<ScrubStep> {
  const { points, damaged } = await listRecoveryPoints(vault, request.itemId, { deleted: true });
  const times = await proofTimes(vault, request.itemId);
  const target = nextTarget(points, damaged, times, request);
  if (!target) return NOTHING;
  if ('unreadable' in target) {
    const { id, error } = target.unreadable;
    const damage = [{ code: error.code, message: error.message, pack: null, disk: null, windows: 0 }];
    await recordProof(vault, { recoveryPoint: id, by: request.by, cycle: cycleOf(request), state: 'damaged', cursor: null, against: null, chunks: 0, plainBytes: 0, storedBytes: 0, damage }, request.nowMs());
    return { ...NOTHING, done: false, recoveryPoint: id, state: 'damaged', damage };
  }
  const { point } = target;
  const { id } = point.manifest;
  const before = await unfinished(vault, id, times.get(id), request);
  // Damage of the neighbour would lie in what the two share too, and be passed over: then everything is read.
  const neighbour = target.neighbour && await isWhole(vault, target.neighbour.manifest.id, times) ? target.neighbour : null;
  const against = before ? before.against : neighbour?.manifest.id ?? null;
  const other = points.find(({ manifest }) => manifest.id === against)?.manifest ?? null;
  // The recovery point that the part was read against is gone meanwhile: its parts say nothing any more.
  const resumed = before && (against === null || other) ? before : null;
  const problems = resumed ? [] : await historyProblems(vault, point, await readHistory(vault, { points, damaged }, request.itemId));
  const read = await readPart(lanes, windowsToProve(vault, point.manifest, other, resumed?.cursor ?? null), request);
  const damage = mergeDamage(resumed?.damage ?? [], [...problems.map(historyDamage), ...read.damage]);
  const state = read.cursor ? 'part' : damage.length > 0 ? 'damaged' : 'whole';
  await enterDamage(vault, request, read.damage);
  await recordProof(vault, {
    recoveryPoint: id, by: request.by, cycle: cycleOf(request), state, cursor: read.cursor, against: other?.id ?? null,
    chunks: (resumed?.chunks ?? 0) + read.chunks, plainBytes: (resumed?.plainBytes ?? 0) + read.plainBytes, storedBytes: (resumed?.storedBytes ?? 0) + read.storedBytes, damage,
  }, request.nowMs());
  return { done: false, recoveryPoint: id, state, windows: read.windows, plainBytes: read.plainBytes, storedBytes: read.storedBytes, damage };
}

const cycleOf = ({ sinceMs }: ScrubRequest): string => new Date(sinceMs).toISOString();

const historyDamage = ({ code, message }: ErrorReport): ProvedDamage => ({ code, message, pack: null, disk: null, windows: 0 });

const provedSince = (times: ReadonlyMap<string, ProofTimes>, id: string, sinceMs: number): boolean => (times.get(id)?.finishedMs.at(-1) ?? -1) >= sinceMs;

/** What is proved next: what was begun, else the newest that has a neighbour which was proved in this round, else the newest. */
function nextTarget(points: readonly ListedPoint[], damaged: readonly DamagedManifest[], times: ReadonlyMap<string, ProofTimes>, { recoveryPoint, sinceMs }: ScrubRequest): Target | null {
  const isLeft = (id: string): boolean => (recoveryPoint === null || id === recoveryPoint) && !provedSince(times, id, sinceMs);
  const unreadable = damaged.find(({ id }) => isLeft(id));
  if (unreadable) return { unreadable };
  const left = points.map((point, index) => ({ point, index })).filter(({ point }) => isLeft(point.manifest.id)).reverse();
  const begun = left.find(({ point }) => (times.get(point.manifest.id)?.partsMs.at(-1) ?? -1) >= sinceMs);
  const provedBeside = ({ index }: { index: number }): ListedPoint | undefined =>
    [points[index + 1], points[index - 1]].find((other) => other && provedSince(times, other.manifest.id, sinceMs));
  const next = begun ?? left.find(provedBeside) ?? left[0];
  return next ? { point: next.point, neighbour: provedBeside(next) ?? null } : null;
}

/** The last part of a proof of this round that is not finished. */
async function unfinished(vault: VaultAccess, id: string, times: ProofTimes | undefined, { sinceMs }: ScrubRequest): Promise<Proof | null> {
  const last = times?.partsMs.at(-1) ?? -1;
  if (last < sinceMs || last < (times?.finishedMs.at(-1) ?? -1)) return null;
  const proof = await readProof(vault, id, last, true);
  return proof?.cursor ? proof : null;
}

async function isWhole(vault: VaultAccess, id: string, times: ReadonlyMap<string, ProofTimes>): Promise<boolean> {
  return (await readProof(vault, id, times.get(id)?.finishedMs.at(-1) ?? 0))?.state === 'whole';
}

interface PartRead {
  readonly windows: number;
  readonly chunks: number;
  readonly plainBytes: number;
  readonly storedBytes: number;
  readonly damage: readonly ProvedDamage[];
  readonly cursor: Proof['cursor'];
}

async function readPart(lanes: readonly Lane[], windows: AsyncGenerator<ScrubWindow>, request: ScrubRequest): Promise<PartRead> {
  const lists = new Map<ManifestDisk, DamageList>();
  const listOf = (disk: ManifestDisk): DamageList => {
    const list = lists.get(disk) ?? new DamageList();
    lists.set(disk, list);
    return list;
  };
  const totals = { windows: 0, chunks: 0, plainBytes: 0, storedBytes: 0 };
  let handed = 0;
  let last: ReadableWindow | undefined;
  /** One window after another, until the step should end. At least one, so that every step gets on. */
  async function* jobs(): AsyncGenerator<ReadableWindow> {
    while (handed < request.maxWindows && !(last && request.isOver?.())) {
      const next = await windows.next();
      if (next.done) return;
      if ('damage' in next.value) listOf(next.value.disk).addWindow([next.value.damage], 0);
      else {
        handed++;
        yield last = next.value;
      }
    }
  }
  await runLanes(lanes, jobs(), async (lane, { job, disk }) => ({ disk, result: await lane.read(job) }), {
    ...(request.signal ? { signal: request.signal } : {}),
    onResult: ({ disk, result }) => {
      listOf(disk).addWindow(result.damage);
      totals.windows++;
      totals.chunks += result.chunks;
      totals.plainBytes += result.plainBytes;
      totals.storedBytes += result.storedBytes;
      request.onWindow?.(result);
    },
  });
  const isDone = (await windows.next()).done === true;
  await windows.return(undefined);
  return { ...totals, damage: damageOf(lists), cursor: isDone || !last ? null : { disk: last.diskNumber, window: last.job.window + 1 } };
}

type ReadableWindow = Extract<ScrubWindow, { job: object }>;

const damageOf = (lists: ReadonlyMap<ManifestDisk, DamageList>): ProvedDamage[] =>
  [...lists].flatMap(([disk, list]) => list.damage.map(({ code, message, pack, windows }) => ({ code, message, pack, windows, disk: disk.name })));

function mergeDamage(before: readonly ProvedDamage[], more: readonly ProvedDamage[]): ProvedDamage[] {
  const merged = new Map<string, ProvedDamage>();
  for (const one of [...before, ...more]) {
    const key = JSON.stringify([one.code, one.pack ?? one.message, one.disk]);
    merged.set(key, { ...one, windows: one.windows + (merged.get(key)?.windows ?? 0) });
  }
  return [...merged.values()].slice(0, MAX_LISTED_DAMAGE);
}

/** Enters damaged packs in the ledger, with the recovery points that need them. */
async function enterDamage(vault: VaultAccess, { itemId, by, nowMs }: ScrubRequest, damage: readonly ProvedDamage[]): Promise<void> {
  const found = damage.flatMap(({ code, message, pack }) => damageOfReport({ code: code as ErrorReport['code'], message, remedy: '', data: pack ? { pack } : {} }) ?? []);
  if (found.length === 0) return;
  const reach = await recoveryPointsNeeding(vault, new Set(found.map(({ pack }) => pack)), itemId);
  await recordDamage(vault, found, { by, nowMs: nowMs() }, (pack) => reach.get(pack) ?? []);
}

/** What a round has to do: items with something that was not proved since it began, those that wait longest first. From names alone. */
export async function itemsToScrub(vault: VaultAccess, sinceMs: number): Promise<string[]> {
  const times = await proofTimes(vault);
  const lastMs = new Map<string, number>();
  for (const [id, { finishedMs }] of times) {
    const { itemId } = parseRecoveryPointId(id);
    lastMs.set(itemId, Math.max(lastMs.get(itemId) ?? -1, finishedMs.at(-1) ?? -1));
  }
  const due = new Set<string>();
  for await (const { name } of vault.store.list('recovery-points/')) {
    const [, itemId, stamp] = name.split('/');
    if (itemId !== undefined && stamp !== undefined && !provedSince(times, `${itemId}.${stamp}`, sinceMs)) due.add(itemId);
  }
  return [...due].sort((a, b) => (lastMs.get(a) ?? -1) - (lastMs.get(b) ?? -1) || (a < b ? -1 : 1));
}

/** When the round that an instant belongs to began: rounds follow each other without a gap, so that nobody has to remember them. */
export const roundStartMs = (nowMs: number, days: number): number => Math.floor(nowMs / (days * DAY_MS)) * days * DAY_MS;

/** How much a day's share is, in bytes of data packs: what there is, divided by the days of a round. */
export async function dailyShareBytes(vault: VaultAccess, days: number): Promise<number> {
  let bytes = 0;
  for await (const { sizeBytes } of vault.store.list('packs/data/')) bytes += sizeBytes;
  return Math.ceil(bytes / days);
}

const DAY_MS = 86_400_000;
