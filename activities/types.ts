import type { ErrorReport } from '../errors/holdfast-error';
import type { Parallelism } from '../orchestrations/limits';
import type { Consistency } from '../vault/format/manifest';
import type { TransferStats } from '../vault/transfer/transfer-types';

/** What every step of a run is told: which run. The rest is in the vault, under the run's work folder. */
export interface RunInput {
  readonly itemId: string;
  readonly sequence: number;
  readonly stamp: string;
}

/** A disk of a run: its number, and which pass over it (1 when the first was refused by the audit and all is compared). */
export interface DiskInput extends RunInput {
  readonly disk: number;
  readonly pass: number;
}

export interface RegionInput extends DiskInput {
  readonly region: number;
}

export interface OpenRunInput {
  readonly itemId: string;
  readonly vmId: string;
  readonly stamp: string;
  readonly slot: string | null;
  readonly policy: string | null;
  readonly owner: string;
}

export interface OpenRunResult {
  readonly sequence: number;
  /** When the run's time is over. */
  readonly deadlineMs: number;
  /** Set when this very run has ended before: its owner is started a second time. `error` is null when it was committed. */
  readonly ended: { readonly error: ErrorReport | null } | null;
}

export interface PlanBackupInput extends RunInput {
  readonly vmId: string;
  readonly policy: string | null;
  readonly slot: string | null;
}

export interface PlannedDisk {
  readonly disk: number;
  readonly name: string;
  readonly lun: string;
  readonly sizeBytes: number;
}

export interface PlanBackupResult {
  readonly vmName: string;
  readonly disks: readonly PlannedDisk[];
  readonly driver: 'restorePoint' | 'diskSnapshot' | 'vmSnapshotExtension';
  /** Whether scripts are to be run around the snapshot. */
  readonly scripts: boolean;
  readonly warnings: readonly string[];
  readonly parallel: Parallelism;
  readonly maxRunHours: number;
}

export interface ScriptResult {
  readonly state: 'running' | 'done';
  /** Whether the policy wants the run to fail with it. */
  readonly isFatal: boolean;
  /** Why it failed; null when it did not. */
  readonly failure: ErrorReport | null;
  readonly warnings: readonly string[];
}

export interface SnapshotStatusResult {
  readonly state: 'running' | 'ready';
  /** True when the instant of the snapshot is over, though it may still be copied: what was held still for it can go on. */
  readonly taken: boolean;
  /** 0 to 100, of the copies in the background. */
  readonly percent: number;
  readonly consistency: Consistency | null;
  readonly warnings: readonly string[];
}

export type DiskMode = 'full' | 'incremental' | 'compared';

export interface PlanDiskResult {
  readonly mode: DiskMode;
  readonly sizeBytes: number;
  /** Bitmap of regions to look at, see orchestrations/bitmap.ts. */
  readonly regions: string;
  readonly why: string;
}

export interface PlanRegionResult {
  /** Bitmap of the region's windows to transfer. */
  readonly windows: string;
}

export interface TransferSliceInput extends RegionInput {
  /** How many transfers of the region run at once, this one among them. */
  readonly parallelTransfers: number;
  /** Bitmap of the region's windows of this slice. */
  readonly windows: string;
}

export interface AuditDiskResult {
  readonly samples: number;
  readonly mismatches: number;
}

export interface CommitRunResult {
  readonly recoveryPoint: string;
  readonly consistency: Consistency;
  readonly stats: TransferStats;
  readonly warnings: readonly string[];
  /** Places that were read from the source and compared with the recovery point, and places where ranges had been left out, so that the disk was read whole. */
  readonly audit: AuditDiskResult;
}

export interface ReleaseResult {
  /** Snapshots whose deletion is under way; 0 when nothing is left that should not be. */
  readonly pending: number;
}

export interface SelectItemsInput { readonly policy: string; readonly only: 'all' | 'new'; readonly after: string | null }
export interface SelectItemsResult {
  readonly items: readonly { readonly itemId: string; readonly vmId: string }[];
  /** Where the next page begins, or null at the end. */
  readonly next: string | null;
  readonly maxParallelVms: number;
}
