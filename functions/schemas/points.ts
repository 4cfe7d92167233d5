import { z } from 'zod';
import type { ItemView } from '../../activities/fleet-items';
import { ITEM_STATES } from '../../activities/item-state';
import { bytes, count, damagedBy, errorReport, time, transferStats } from './common';

const consistency = z.enum(['application', 'file-system', 'crash', 'crash-per-disk']);
const mode = z.enum(['full', 'incremental', 'compared']);

const proved = z.strictObject({ recoveryPoint: z.string(), at: time, ok: z.boolean() }).nullable().meta({ description: 'The last proof by reading back; null: none was made' });
const latest = z.strictObject({ id: z.string(), createdAt: time, consistency, sizeBytes: bytes }).nullable();

export const item: z.ZodType<ItemView> = z.strictObject({
  id: z.string(), name: z.string(), resourceId: z.string().nullable().meta({ description: 'null: the machine is gone, its recovery points stay; or it is a server' }), tags: z.record(z.string(), z.string()),
  policies: z.array(z.string()).meta({ description: 'Policies in force that cover it; none means unprotected' }), recoveryPoints: count, latest, proved,
  state: z.enum(ITEM_STATES).meta({ description: 'protected is said only of an item whose newest recovery point is as new as its policy wants, opens, and did not fail its last proof' }),
  objectiveSeconds: z.number().nullable().meta({ description: 'Age at which it is overdue; null without a policy' }), inBin: count, damaged: count.meta({ description: 'Recovery points whose manifests do not open' }),
  oldestAt: time.nullable(), storedBytes: bytes.meta({ description: 'Added to the vault by its recovery points that are still there' }),
}).meta({ id: 'Item' });

/** What became of a recovery point. */
const marks = {
  state: z.enum(['live', 'binned']), binUntil: time.nullable(), held: z.boolean(), holds: z.array(z.strictObject({ label: z.string(), by: z.string(), at: time })),
  deleted: z.strictObject({ at: time, by: z.string(), reason: z.enum(['retention', 'asked']), policy: z.string().nullable() }).nullable(),
  marksDamaged: errorReport.optional().meta({ description: 'Why its marks cannot be trusted: it counts as live and held then' }),
};
export const markedPoint = z.strictObject({ id: z.string(), ...marks }).meta({ id: 'MarkedRecoveryPoint' });
export const deletedPoint = z.strictObject({ id: z.string(), ...marks, dryRun: z.boolean() }).meta({ id: 'DeletedRecoveryPoint' });

const common = {
  id: z.string(), itemId: z.string(), createdAt: time, slot: z.string().nullable(), policy: z.string().nullable(), consistency, sequence: count, ...marks, warnings: z.array(z.string()), stats: transferStats,
};
const disk = { name: z.string(), lun: z.string(), sizeBytes: bytes, mode };

/** A recovery point in a list. */
export const listedPoint = z.strictObject({ ...common, disks: z.array(z.strictObject(disk)) }).meta({ id: 'RecoveryPointSummary' });
/** One whose manifest does not open. */
export const unreadablePoint = z.strictObject({ id: z.string(), itemId: z.string(), state: z.enum(['live', 'binned']), damaged: z.literal(true), error: errorReport }).meta({ id: 'UnreadableRecoveryPoint' });

export const fullPoint = z.strictObject({
  ...common, startedAt: time,
  source: z.strictObject({ kind: z.enum(['azure-vm', 'image']), name: z.string(), resourceId: z.string().nullable(), model: z.record(z.string(), z.unknown()).nullable() }),
  parent: z.strictObject({ id: z.string(), sequence: count, digest: z.string() }).nullable(), champions: z.array(z.string()),
  disks: z.array(z.strictObject({
    ...disk, logicalSectorBytes: z.int(), root: z.string().nullable(), source: z.record(z.string(), z.unknown()), lenders: z.array(z.string()).optional(), stats: transferStats,
    tree: z.record(z.string(), z.unknown()).meta({ description: 'As docs/vault-format.md has it' }),
  })),
}).meta({ id: 'RecoveryPoint' });

export const health = z.strictObject({
  state: z.enum(['damaged', 'proved', 'unproved']),
  items: z.array(z.strictObject({ id: z.string(), name: z.string().nullable(), latest: z.string().nullable(), unreadable: count, proved })),
  damagedPacks: count,
  damage: z.array(z.strictObject({ pack: z.string(), code: z.string(), message: z.string(), foundAt: z.string(), foundBy: damagedBy, recoveryPoints: z.array(z.string()) })),
  damagedRecoveryPoints: z.array(z.strictObject({ recoveryPoint: z.string(), code: z.string(), message: z.string(), foundAt: z.string(), foundBy: damagedBy })),
}).meta({ id: 'Health' });
