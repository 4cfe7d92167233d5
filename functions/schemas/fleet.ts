import { z } from 'zod';
import { ITEM_STATES } from '../../activities/item-state';
import type { Overview, RunCounts, StorageFigures } from '../../activities/overview';
import type { ItemHistoryView, ServerView, VaultHistory, VaultView } from '../../activities/vault-view';
import { bytes, count, errorCode, time } from './common';

const asOf = time.meta({ description: 'What others had changed before that moment is in the answer; what this app changed is in it in any case' });
const seconds = z.number().min(0);
const outcome = z.enum(['succeeded', 'failed', 'cancelled', 'running', 'unknown']);

const storage: z.ZodType<StorageFigures> = z.strictObject({
  storedBytes: bytes, source: z.enum(['collection', 'recovery-points']).meta({ description: 'collection: counted by the last maintenance, and what was added since; recovery-points: what recovery points say they added' }),
  countedAt: time.nullable(), logicalBytes: bytes.meta({ description: 'Of the disks of all recovery points that are shown' }), savedBytes: bytes, deduplicationRatio: z.number().nullable(), compressionRatio: z.number().nullable(),
}).meta({ id: 'StorageFigures' });

const proved = z.strictObject({ roundDays: z.number(), inRound: count, longerAgo: count, never: count, failed: count }).meta({ description: 'Items by their last proof by reading back' });
const runs: z.ZodType<RunCounts> = z.strictObject({ since: time, succeeded: count, failed: count, cancelled: count, running: count, unknown: count });

export const overviewSchema: z.ZodType<Overview> = z.strictObject({
  asOf, items: z.strictObject(Object.fromEntries([...ITEM_STATES, 'total'].map((state) => [state, count])) as Record<(typeof ITEM_STATES)[number] | 'total', typeof count>), proved,
  jobs: runs.meta({ description: 'Backups of the last day, as the run records of the vault have them' }),
  oldest: z.strictObject({ itemId: z.string(), name: z.string(), recoveryPoint: z.string().nullable(), ageSeconds: seconds.nullable(), objectiveSeconds: seconds }).nullable()
    .meta({ description: 'Of the items that a policy covers, the one that is nearest to being overdue, or furthest beyond' }),
  storage, cost: z.strictObject({ currency: z.string(), total: z.number(), azureBackup: z.number(), pricesAsOf: z.string(), checked: z.boolean() }).meta({ description: 'Of a month like the last one; an estimate that takes all that is stored for hot' }),
  attention: z.array(z.strictObject({
    severity: z.enum(['critical', 'warning']), code: errorCode, title: z.string(), message: z.string(), remedy: z.string(), itemId: z.string().nullable(), itemName: z.string().nullable(), since: z.string().nullable(),
  })), attentionTotal: count,
}).meta({ id: 'Overview' });

const error = z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() }).nullable();

export const vaultSchema: z.ZodType<VaultView> = z.strictObject({
  asOf, recoveryPoints: z.strictObject({ live: count, inBin: count, held: count, damaged: count, proved: count }), storage,
  largest: z.array(z.strictObject({ itemId: z.string(), name: z.string(), storedBytes: bytes, recoveryPoints: count })),
  maintenance: z.strictObject({
    startedAt: time, endedAt: time, overdue: z.boolean(), binned: count, purged: count, deletedPacks: count, deletedBytes: bytes, waitingBytes: bytes, abnormal: z.string().nullable(), heldUntil: z.string().nullable(), error,
  }).nullable(),
  proved, damage: z.strictObject({ packs: count, recoveryPoints: count, listed: z.array(z.strictObject({ pack: z.string(), code: z.string(), message: z.string(), foundAt: z.string() })) }),
  keys: z.array(z.strictObject({
    keyId: z.string(), type: z.string(), label: z.string(), createdAt: z.string(), keyVaultKey: z.string().nullable(), problem: z.string().nullable(),
    tested: time.nullable().meta({ description: 'When the scheduled test last opened the vault with it; null: it was not tried' }),
  })),
}).meta({ id: 'Vault' });

const day = z.strictObject({
  day: z.string(), recoveryPoints: count.meta({ description: 'Of that day, those that are still there' }), readBytes: bytes, changedBytes: bytes, storedBytes: bytes, succeeded: count, failed: count,
  medianSeconds: seconds.nullable(), longestSeconds: seconds.nullable(),
}).meta({ id: 'DayFigures' });

export const historySchema: z.ZodType<VaultHistory> = z.strictObject({
  asOf, days: z.array(day), storage: z.array(z.strictObject({ at: time, storedBytes: bytes, recoveryPoints: count })).meta({ description: 'As maintenances counted them' }),
}).meta({ id: 'VaultHistory' });

export const itemHistorySchema: z.ZodType<ItemHistoryView> = z.strictObject({
  asOf, itemId: z.string(), days: z.array(day),
  points: z.array(z.strictObject({
    id: z.string(), createdAt: time.nullable(), state: z.enum(['live', 'binned']), binUntil: time.nullable(), held: z.boolean(), consistency: z.string().nullable(), policy: z.string().nullable(),
    sizeBytes: bytes.nullable(), readBytes: bytes.nullable(), changedBytes: bytes.nullable(), storedBytes: bytes.nullable(), warnings: count, proved: z.strictObject({ at: time, ok: z.boolean() }).nullable(),
    damage: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
  })),
  runs: z.array(z.strictObject({
    sequence: count, startedAt: z.string(), endedAt: time.nullable(), policy: z.string().nullable(), slot: z.string().nullable(), recoveryPoint: z.string().nullable(), code: z.string().nullable(), message: z.string().nullable(),
    remedy: z.string().nullable(), outcome,
  })),
}).meta({ id: 'ItemHistory' });

export const serverSchema: z.ZodType<ServerView> = z.strictObject({
  itemId: z.string(), name: z.string(), host: z.string().nullable(), recoveryPoints: count, storedBytes: bytes, latest: z.strictObject({ id: z.string(), createdAt: time, sizeBytes: bytes }).nullable(),
  lastRun: z.strictObject({ startedAt: z.string(), endedAt: time.nullable(), outcome, code: z.string().nullable(), message: z.string().nullable() }).nullable(),
}).meta({ id: 'Server' });
