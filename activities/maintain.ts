import { type ErrorReport, HoldfastError, toReport } from '../errors/holdfast-error';
import { ahead } from '../vault/ahead';
import { collect, type CollectReport } from '../vault/points/collect';
import { recordsRemoved } from '../vault/points/collect-work';
import { itemIds } from '../vault/items';
import type { VaultAccess } from '../vault/format/tree';
import { isRecorded, maintenanceAnchors, type MaintenanceRecord, recordMaintenance } from '../vault/points/maintenance-log';
import { type NewRecord, THE_APP } from '../vault/trail/record';
import { appendRecord, recordDigest, trailHead } from '../vault/trail/trail';
import { trustedNowMs } from '../vault/server-clock';
import { trimSummaries } from '../vault/fleet/summary';
import { withSmallHeap } from '../vault/small-heap';
import { costReport, measureCost } from './cost';
import type { ActivityDeps } from './deps';
import { forgetRequests } from './request-records';
import { activity } from './outcome';
import { loadPrices } from './price-store';
import { executeRetention, planRetention, policiesInForce } from './retention';

/** Items of one call, unless its time is over before. */
const PAGE = 500;
/** Far below what a step may take: the rest is for the next call. */
const PAGE_TIME_MS = 8 * 60_000;
const MAX_REFUSED = 20;
const MAX_SHOWN = 10;

export interface RetainItemsInput { readonly dryRun: boolean; readonly after: string | null }
export interface RetainItemsResult {
  readonly items: number;
  readonly kept: number;
  readonly binned: number;
  /** Items whose plan waits for a person, or that could not be looked at; the first of them. */
  readonly refused: readonly { readonly itemId: string; readonly error: ErrorReport }[];
  /** Where the next page begins, or null at the end. */
  readonly next: string | null;
}

const BY = 'maintenance';
/** What the audit trail calls a maintenance; its target is the stamp. */
export const MAINTENANCE_ACTION = 'maintenance.run';

/** Puts into the bin what nothing keeps, for a page of items. Safe to run again: what is in the bin already stays there. An item that is refused does not hold up the others. */
export const createRetainItems = (deps: ActivityDeps) => activity((input: RetainItemsInput): Promise<RetainItemsResult> => withSmallHeap(() => retainItems(deps, input)));

async function retainItems(deps: ActivityDeps, { dryRun, after }: RetainItemsInput): Promise<RetainItemsResult> {
  const vault = await deps.vault();
  const serverNowMs = await trustedNowMs(vault.store, deps.nowMs);
  const startedMs = deps.nowMs();
  const refused: { itemId: string; error: ErrorReport }[] = [];
  const policies = await policiesInForce(vault, serverNowMs, (name, error) => deps.log('A policy cannot be read, so nothing that it made goes', { policy: name, error: error.message }));
  const items: string[] = [];
  for await (const itemId of itemIds(vault)) if (after === null || itemId > after) items.push(itemId);
  const result = { items: 0, kept: 0, binned: 0 };
  let next: string | null = null;
  for await (const [itemId, plan] of ahead(items, (one) => planRetention(vault, one, policies, serverNowMs))) {
    if (result.items === PAGE || (result.items > 0 && deps.nowMs() - startedMs > PAGE_TIME_MS)) {
      next = items[result.items - 1] as string;
      break;
    }
    const done = dryRun ? { kept: plan.points.length - plan.goes.length, binned: plan.goes, refused: plan.refused } : await executeRetention(vault, plan, { by: BY, serverNowMs });
    result.items++;
    result.kept += done.kept;
    result.binned += done.refused === null ? done.binned.length : 0;
    if (done.refused && refused.length < MAX_REFUSED) refused.push({ itemId, error: done.refused });
  }
  return { ...result, refused, next };
}

export interface CollectVaultInput { readonly dryRun: boolean; readonly approve: string | null }
export type CollectVaultResult = NonNullable<MaintenanceRecord['collection']>;

/** Collects for as long as a step may; `leftPacks` says whether there is more. Each call makes its own plan of the vault as it is then. */
export const createCollectVault = (deps: ActivityDeps) => activity(async ({ dryRun, approve }: CollectVaultInput): Promise<CollectVaultResult> => {
  const vault = await deps.vault();
  return summary(await collect(vault, { localNowMs: deps.nowMs, by: BY, dryRun, timeLimitMs: PAGE_TIME_MS, ...(approve === null ? {} : { approve }) }));
});

const summary = ({ recoveryPoints, purged, bin, plan, deleted, work, problems }: CollectReport): CollectVaultResult => ({
  recoveryPoints: recoveryPoints.live, purged: purged.length, inBin: recoveryPoints.binned, nextBinEndAt: bin[0]?.binUntil ?? null,
  allPacks: plan.all.packs, allBytes: plan.all.bytes, unneededPacks: plan.unneeded.packs, unneededBytes: plan.unneeded.bytes, deletedPacks: deleted.packs, deletedBytes: deleted.bytes,
  waitingPacks: plan.waiting.packs, waitingBytes: plan.waiting.bytes, immutablePacks: deleted.immutable, leftPacks: deleted.left, records: recordsRemoved(work),
  missingPacks: plan.missing.slice(0, MAX_SHOWN), problems: problems.slice(0, MAX_SHOWN).map((one) => ({ ...one })), abnormal: plan.abnormal, token: plan.token,
});

/**
 * Writes down what the maintenance came to, here and in the audit trail, with where that trail stands then; and tells whoever reads the log of what needs a person, and of
 * the trail's end, which is the one place that nobody who can write to the vault can change. Then it sends what the vault now costs: once a day, for that reads every manifest.
 */
export const createRecordMaintenance = (deps: ActivityDeps, scrubDays: number) => activity(async (record: MaintenanceRecord): Promise<{ readonly recorded: boolean }> => {
  let broken: HoldfastError | null = null;
  try {
    const vault = await deps.vault();
    if (!await isRecorded(vault, record.stamp)) {
      if (!record.dryRun) await appendRecord(vault, outcomeOf(record));
      const audit = await trailHead(vault);
      broken = await cutOffSince(vault);
      await recordMaintenance(vault, { ...record, error: record.error ?? (broken && { ...broken.toJSON() }), audit: audit && { ...audit } });
      if (!record.dryRun) await trimSummaries(vault);
      if (audit) deps.log('The audit trail ends here', { number: audit.number, digest: audit.digest });
    }
    // What no request asks for again.
    if (!record.dryRun) await forgetRequests(vault, await vault.store.serverTimeMs());
  } catch (error) {
    deps.log('The outcome of the maintenance could not be written down', { stamp: record.stamp, error: toReport(error).message });
    throw error;
  }
  if (record.error) deps.log('The maintenance of the vault failed', { code: record.error.code, error: record.error.message });
  if (!record.dryRun) await sendCost(deps, scrubDays);
  // It is written down; but a maintenance that finds this has not succeeded, and people are told.
  if (broken) throw broken;
  return { recorded: true };
});

/** What is wrong with the trail by the last anchor: one record is read. The whole trail is proved by `holdfast audit --verify` and `holdfast check`. */
async function cutOffSince(vault: VaultAccess): Promise<HoldfastError | null> {
  const last = (await maintenanceAnchors(vault, 1)).at(-1);
  const digest = last && await recordDigest(vault, last.number);
  if (!last || digest === last.digest) return null;
  return new HoldfastError('AUDIT_BROKEN', `The maintenance of ${last.stamp} knows record ${last.number} of the audit trail, which is ${digest === null ? 'not there any more' : 'another one now'}`, { data: { number: last.number } });
}

/** One record for the whole run: what it put into the bin and what it deleted is said by the marks of each recovery point. */
function outcomeOf({ stamp, retention, collection, error }: MaintenanceRecord): NewRecord {
  const collected = collection && (({ purged, deletedPacks, deletedBytes, abnormal }) => ({ purged, deletedPacks, deletedBytes, abnormal }))(collection);
  return {
    who: THE_APP, from: null, action: MAINTENANCE_ACTION, target: stamp, outcome: error ? 'failed' : 'done', code: error?.code ?? null,
    details: { binned: retention.binned, refused: retention.refused.length, ...collected, ...(error && { error: error.message.slice(0, 1000) }) },
  };
}

async function sendCost({ vault: open, nowMs, telemetry, log }: ActivityDeps, scrubDays: number): Promise<void> {
  try {
    const vault = await open();
    measureCost(telemetry, await costReport(vault, (await loadPrices(vault.store)).prices, nowMs(), { scrubDays }));
  } catch (error) {
    // The maintenance is done and written down, whatever becomes of its figures.
    log('What the vault costs could not be worked out', { error: toReport(error).message });
  }
}
