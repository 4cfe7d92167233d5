import type { OrchestrationContext } from 'durable-functions';
import type { CollectVaultInput, CollectVaultResult, RetainItemsInput, RetainItemsResult } from '../activities/maintain';
import type { Outcome } from '../activities/outcome';
import type { ErrorReport } from '../errors/holdfast-error';
import type { MaintenanceRecord } from '../vault/points/maintenance-log';
import { keysAndLocks } from './keys-and-locks';
import { MAINTENANCE } from './names';
import { PhaseClock, reportJob } from './report';
import { persist, step, type Steps } from './steps';

/** A hundred thousand items; the next maintenance begins again from the first. */
const MAX_PAGES = 200;
/** What is left after so many collections is the next maintenance's. */
const MAX_COLLECTIONS = 50;
const MAX_REFUSED = 20;
const MAX_REASON_CHARS = 300;
const RECORDING = { firstMs: 5_000, mostMs: 10 * 60_000, limitMs: 6 * 3_600_000 };

export interface MaintainInput { readonly stamp: string; readonly dryRun: boolean; readonly approve: string | null }

/** What the maintenance says of itself while it runs. */
export interface MaintainStatus { readonly phase: 'locks' | 'retention' | 'collection' | 'done'; readonly items: number; readonly binned: number; readonly deletedPacks: number }

/** Looks after the vault, and reports what that came to, unless it was a dry run. */
export function* maintain(context: OrchestrationContext): Steps<MaintenanceRecord> {
  const clock = new PhaseClock(context);
  const record = yield* lookAfter(context, clock);
  if (!record.dryRun) yield* report(context, clock, record);
  return record;
}

/**
 * What waits for a person is told apart from what failed: `abnormal` is why a collection would not go on by itself. Each failure has a code of its own beside the first
 * one's, so that none hides another from whoever waits for it.
 */
function report(context: OrchestrationContext, clock: PhaseClock, { retention, collection, error, failures = [] }: MaintenanceRecord): Steps<void> {
  const { items, binned, refused } = retention;
  const collected = collection && (({ allPacks, allBytes, unneededPacks, unneededBytes, deletedPacks, deletedBytes, waitingBytes, purged }) =>
    ({ allPacks, allBytes, unneededPacks, unneededBytes, deletedPacks, deletedBytes, waitingBytes, purged, problems: collection.problems.length, missingPacks: collection.missingPacks.length }))(collection);
  return reportJob(context, clock, {
    kind: 'maintenance', outcome: error ? 'failed' : 'succeeded', itemId: null, policy: null, error: error as ErrorReport | null,
    figures: { items, binned, refused: refused.length, ...collected },
    details: { ...codesOf(failures), ...(collection?.abnormal ? { abnormal: collection.abnormal.slice(0, MAX_REASON_CHARS) } : {}) },
  });
}

/** `keysCode`, `collectionMessage` and so on, all of them in every report: queries read them. */
const codesOf = (failures: NonNullable<MaintenanceRecord['failures']>): Record<string, string> => Object.fromEntries((['locks', 'keys', 'retention', 'collection'] as const).flatMap((part) => {
  const error = failures.find((failure) => failure.part === part)?.error;
  return [[`${part}Code`, error?.code ?? ''], [`${part}Message`, (error?.message ?? '').slice(0, MAX_REASON_CHARS)]];
}));

/**
 * 1. locks and keys: what recovery points need is held for longer, and the app's key is tried (keys-and-locks.ts)
 * 2. retention: a page of items after the other puts into the bin what nothing keeps
 * 3. collection: purges what was long enough in the bin, and deletes what nothing needs, in as many steps as that takes
 * 4. write down what it came to
 * That one of them failed does not keep the others from their work: they are independent of each other.
 */
function* lookAfter(context: OrchestrationContext, clock: PhaseClock): Steps<MaintenanceRecord> {
  const input = context.df.getInput() as MaintainInput;
  const startedAt = new Date(context.df.currentUtcDateTime.getTime()).toISOString();
  const status: { -readonly [K in keyof MaintainStatus]: MaintainStatus[K] } = { phase: 'locks', items: 0, binned: 0, deletedPacks: 0 };
  const show = (): void => {
    clock.enter(status.phase);
    context.df.setCustomStatus({ ...status });
  };
  show();

  // 1
  const guarded = yield* keysAndLocks(context, input.dryRun);
  const failures = [...guarded.failures];

  // 2
  status.phase = 'retention';
  show();
  const retention = { items: 0, kept: 0, binned: 0, refused: [] as RetainItemsResult['refused'][number][] };
  let after: string | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    const done: Outcome<RetainItemsResult> = yield* step<RetainItemsResult>(context, MAINTENANCE.retainItems, { dryRun: input.dryRun, after } satisfies RetainItemsInput);
    if (!done.ok) {
      failures.push({ part: 'retention', error: done.error });
      break;
    }
    for (const key of ['items', 'kept', 'binned'] as const) retention[key] += done.value[key];
    retention.refused = [...retention.refused, ...done.value.refused].slice(0, MAX_REFUSED);
    Object.assign(status, { items: retention.items, binned: retention.binned });
    show();
    after = done.value.next;
    if (after === null) break;
  }

  // 3
  status.phase = 'collection';
  show();
  let collection: CollectVaultResult | null = null;
  for (let round = 0; round < MAX_COLLECTIONS; round++) {
    const done: Outcome<CollectVaultResult> = yield* step<CollectVaultResult>(context, MAINTENANCE.collectVault, { dryRun: input.dryRun, approve: round === 0 ? input.approve : null } satisfies CollectVaultInput);
    if (!done.ok) {
      failures.push({ part: 'collection', error: done.error });
      break;
    }
    collection = collection === null ? done.value : added(collection, done.value);
    status.deletedPacks = collection.deletedPacks;
    show();
    if (input.dryRun || done.value.leftPacks === 0) break;
  }

  // 4
  const endedAt = new Date(context.df.currentUtcDateTime.getTime()).toISOString();
  const record = {
    version: 1, stamp: input.stamp, dryRun: input.dryRun, startedAt, endedAt, retention: { ...retention, refused: retention.refused.map((one) => ({ ...one, error: { ...one.error } })) }, collection,
    locks: guarded.locks, keys: guarded.keys && { ...guarded.keys, opened: [...guarded.keys.opened] }, error: failures[0] ? { ...failures[0].error } : null, failures: failures.map(({ part, error }) => ({ part, error: { ...error } })),
  } satisfies MaintenanceRecord;
  const recorded = yield* persist<unknown>(context, MAINTENANCE.recordMaintenance, record, RECORDING);
  status.phase = 'done';
  show();
  return recorded.ok ? record : { ...record, error: record.error ?? { ...recorded.error } };
}

/** What a later round found of the vault, with what both have done. */
const added = (before: CollectVaultResult, now: CollectVaultResult): CollectVaultResult => ({
  ...now, purged: before.purged + now.purged, deletedPacks: before.deletedPacks + now.deletedPacks, deletedBytes: before.deletedBytes + now.deletedBytes, records: before.records + now.records,
  immutablePacks: now.immutablePacks, unneededPacks: before.unneededPacks, unneededBytes: before.unneededBytes,
});
