import { z } from 'zod';
import { HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import { addAlive, AliveSet } from './alive';
import { createDocument, findDocument } from '../format/documents';
import { PackKind } from '../format/format';
import { readItemHistory, recordReader } from './item-history';
import { readRemovals } from '../keys/key-ring';
import { type Extension, isLockNeeded, lockFloorMs, type LockTimes, type Needed, planExtension } from './lock-plan';
import { MARGINS } from './margins';
import { surveyRuns } from './run-survey';
import { trustedNowMs } from '../server-clock';
import type { ObjectRetention } from '../store/store';
import type { VaultAccess } from '../format/tree';

const ledgerSchema = z.object({ version: z.literal(1), at: z.string(), heldUntil: z.string(), objects: z.int(), extended: z.int() });
export type LockLedger = z.infer<typeof ledgerSchema>;
const FOLDER = 'locks/';
const LEDGER_NAME = /^locks\/\d{8}T\d{9}Z$/;
export const PARALLEL_EXTENSIONS = 16;

export interface LockOptions {
  readonly keepMs: number;
  /** This machine's clock; it is compared with the store's (fault 29). */
  readonly localNowMs: () => number;
  readonly dryRun?: boolean;
  /** It stops after this long, and goes on where it was when it is called again: what was held is not touched again. */
  readonly timeLimitMs?: number;
  readonly signal?: AbortSignal;
}

export interface LockReport {
  readonly dryRun: boolean;
  readonly at: string;
  /** Everything that a recovery point needs is held until then at least, once `left` is 0. */
  readonly heldUntil: string;
  readonly needed: number;
  readonly extended: number;
  readonly left: number;
  /** The first time at which something that is needed would have come free; null when nothing is held for too short. */
  readonly earliest: string | null;
}

const iso = (ms: number): string => new Date(ms).toISOString();

/**
 * Holds everything that recovery points need, live or in the bin, for longer where that is due (docs/decisions/worm.md), and writes down until when all of it is held. Deletes nothing
 * and shortens nothing, so it may run beside anything, and twice. Throws RETENTION_UNSUPPORTED, COLLECTION_REFUSED when it is not certain what is needed, CLOCK_WRONG.
 */
export async function lockVault(vault: VaultAccess, options: LockOptions): Promise<LockReport> {
  const retention = retentionOf(vault);
  const startedMs = options.localNowMs();
  const times: LockTimes = { nowMs: await trustedNowMs(vault.store, options.localNowMs), keepMs: options.keepMs };
  const needed = await findNeeded(vault, times.nowMs);
  const counts = { needed: 0, extended: 0, left: 0, earliestMs: Infinity };
  const goesOn = (): boolean => options.dryRun !== true && options.signal?.aborted !== true && options.localNowMs() - startedMs < (options.timeLimitMs ?? Infinity);
  let batch: Extension[] = [];
  const flush = async (): Promise<void> => {
    const work = batch;
    batch = [];
    if (!goesOn()) counts.left += work.length;
    else counts.extended += await extendAll(retention, work);
  };
  for await (const object of retention.list('')) {
    if (!isLockNeeded(object.name, needed)) continue;
    counts.needed++;
    const extension = planExtension(object, times);
    if (!extension) continue;
    counts.earliestMs = Math.min(counts.earliestMs, extension.fromMs ?? 0);
    batch.push(extension);
    if (batch.length >= PARALLEL_EXTENSIONS * 8) await flush();
  }
  await flush();
  if (counts.left === 0 && options.dryRun !== true) await writeLedger(vault, times, counts);
  return {
    dryRun: options.dryRun === true, at: iso(times.nowMs), heldUntil: iso(lockFloorMs(times)), needed: counts.needed, extended: counts.extended, left: counts.left,
    earliest: counts.earliestMs === Infinity ? null : iso(counts.earliestMs),
  };
}

export function retentionOf(vault: VaultAccess): ObjectRetention {
  const { retention, description } = vault.store;
  if (!retention) throw new HoldfastError('RETENTION_UNSUPPORTED', `${description} cannot hold single objects against deletion`);
  return retention;
}

/** The packs that recovery points need, by the same walk that collection trusts; nothing is purged or settled here. */
async function findNeeded(vault: VaultAccess, nowMs: number): Promise<Needed> {
  const alive = new AliveSet();
  const gone = new Set<string>();
  const survey = await surveyRuns(vault, nowMs, true);
  // As in collection: what was purged since the first open run began counts as needed, because that run may have taken it over.
  const horizonMs = survey.open.reduce((earliestMs, { openedAtMs }) => Math.min(earliestMs, openedAtMs - MARGINS.beforeRunMs), nowMs);
  const items = new Set(survey.items.keys());
  for await (const { name } of vault.store.list('recovery-points/')) items.add(name.split('/')[1] ?? '');
  for (const itemId of items) {
    const history = await readItemHistory(vault, itemId, survey.items.get(itemId) ?? [], { serverNowMs: nowMs, horizonMs, by: 'lock', dryRun: true });
    await addAlive(alive, itemId, history.points, recordReader(vault, itemId));
    for (const id of [...history.purged, ...history.tombs]) gone.add(`recovery-points/${itemId}/${id.slice(itemId.length + 1)}`);
    for (const { sequence } of history.abandoned) gone.add(`references/${itemId}/${String(sequence).padStart(10, '0')}`);
  }
  for (const { keyId } of await readRemovals(vault)) gone.add(`keys/${keyId}.json`);
  return {
    isPackNeeded: (kind, pack) => alive.of(kind === 'data' ? PackKind.data : PackKind.meta).isAlive(pack),
    isGone: (name) => gone.has(name) || gone.has(name.split('/').slice(0, 3).join('/')),
  };
}

/** Extends each, a few at once; what is gone meanwhile needs nothing. Answers how many there were. Throws the first failure after the others have ended. */
export async function extendAll(retention: ObjectRetention, extensions: readonly Extension[]): Promise<number> {
  const queue = extensions.values();
  const failures: unknown[] = [];
  await Promise.all(Array.from({ length: Math.min(PARALLEL_EXTENSIONS, extensions.length) }, async () => {
    for (const { name, toMs } of queue) {
      if (failures.length > 0) return;
      await retention.extend(name, toMs).catch((error: unknown) => {
        if (!isHoldfastError(error, 'STORE_OBJECT_NOT_FOUND')) failures.push(error);
      });
    }
  }));
  if (failures.length > 0) throw failures[0];
  return extensions.length;
}

async function writeLedger(vault: VaultAccess, times: LockTimes, counts: { needed: number; extended: number }): Promise<void> {
  const ledger = { version: 1, at: iso(times.nowMs), heldUntil: iso(lockFloorMs(times)), objects: counts.needed, extended: counts.extended } satisfies LockLedger;
  await createDocument(vault, `${FOLDER}${iso(times.nowMs).replace(/[-:.]/g, '')}`, ledger);
  const names = await ledgerNames(vault);
  // The store may hold the old ones still; then a later run removes them.
  for (const name of names.slice(0, -1).slice(0, MARGINS.lockLedgersRemoved)) {
    await vault.store.delete(name).catch((error: unknown) => {
      if (!isHoldfastError(error, 'STORE_IMMUTABLE')) throw error;
    });
  }
}

async function ledgerNames(vault: VaultAccess): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of vault.store.list(FOLDER)) if (LEDGER_NAME.test(name)) names.push(name);
  return names;
}

/** Until when everything was held that recovery points needed when maintenance last came to its end, in milliseconds since 1970; 0 when it never did. */
export async function heldUntilMs(vault: VaultAccess): Promise<number> {
  const name = (await ledgerNames(vault)).at(-1);
  const ledger = name === undefined ? undefined : await findDocument(vault, name, ledgerSchema);
  return ledger ? Date.parse(ledger.heldUntil) : 0;
}
