/** What the HTTP API answers, as far as the portal reads it. Types only: test/portal holds them against what the app really says. */

export interface Page<T> {
  readonly value: readonly T[];
  readonly nextLink: string | null;
  /** Fetches the next page; null or absent where there is none. */
  readonly more?: (() => Promise<void>) | null;
}

export type Consistency = 'application' | 'file-system' | 'crash' | 'crash-per-disk';

export interface Item {
  readonly id: string;
  readonly name: string;
  readonly resourceId: string | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly policies: readonly string[];
  readonly state: 'protected' | 'waiting' | 'overdue' | 'damaged' | 'unprotected' | 'server' | 'gone';
  /** Seconds after which it is overdue; null without a policy. */
  readonly objectiveSeconds: number | null;
  readonly recoveryPoints: number;
  readonly latest: { readonly id: string; readonly createdAt: string; readonly consistency: Consistency; readonly sizeBytes: number } | null;
  readonly proved: { readonly recoveryPoint: string; readonly at: string; readonly ok: boolean } | null;
}

export interface Stats {
  readonly readBytes: number; readonly changedBytes: number; readonly newBytes: number; readonly reusedBytes: number; readonly storedBytes: number;
  readonly newChunks: number; readonly reusedChunks: number; readonly healedWindows: number;
}

export interface Marks {
  readonly state: 'live' | 'binned' | 'purged';
  readonly binUntil: string | null;
  readonly deleted: { readonly at: string; readonly by: string; readonly reason?: string } | null;
  readonly held: boolean;
  readonly holds: readonly { readonly label: string; readonly at?: string; readonly by?: string }[];
}

export interface RecoveryPoint extends Marks {
  readonly id: string;
  readonly itemId: string;
  readonly createdAt: string;
  readonly slot: string | null;
  readonly policy: string | null;
  readonly consistency: Consistency;
  readonly sequence: number;
  readonly warnings: readonly string[];
  readonly stats: Stats;
  readonly disks: readonly { readonly name: string; readonly lun: number | string; readonly sizeBytes: number; readonly mode: string }[];
}

/** A recovery point whose manifest does not open. */
export interface DamagedPoint { readonly id: string; readonly itemId: string; readonly damaged: true; readonly error: ErrorReport }

export interface PointDetail extends RecoveryPoint {
  readonly startedAt: string;
  readonly parent: { readonly id: string } | string | null;
  readonly source: { readonly kind: string; readonly name: string; readonly resourceId: string | null; readonly model: Readonly<Record<string, unknown>> | null };
}

export interface Caller { readonly id: string; readonly name: string; readonly kind: 'user' | 'app' | 'local'; readonly roles: readonly ('Reader' | 'Operator' | 'RestoreOperator' | 'Admin')[] }

export interface ErrorReport { readonly code: string; readonly message: string; readonly remedy: string; readonly data?: Readonly<Record<string, unknown>> }
export interface JobError extends ErrorReport { readonly cause: string }

export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'skipped';

export interface Job {
  readonly id: string;
  readonly kind: 'backup' | 'restore' | 'scrub';
  readonly itemId: string | null;
  readonly itemName?: string | null;
  readonly policy?: string | null;
  readonly slot?: string | null;
  readonly state: JobState;
  readonly phase: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly progress: {
    readonly percent: number; readonly bytesDone: number; readonly bytesTotal: number | null; readonly disksDone?: number; readonly disks?: number;
    readonly itemsDone?: number; readonly items?: number; readonly bytesPerSecond: number | null; readonly secondsLeft: number | null;
  };
  readonly figures?: Stats | null;
  readonly recoveryPoint?: string | null;
  readonly consistency?: string | null;
  readonly warnings?: readonly string[];
  readonly error: JobError | null;
  readonly target?: string;
  readonly writtenBytes?: number | null;
  readonly copiedBytes?: number | null;
  readonly restored?: { readonly made: readonly string[]; readonly oldDisks: readonly string[] } | null;
  readonly left?: readonly string[];
  readonly ok?: boolean | null;
  readonly proved?: number;
  readonly damaged?: readonly unknown[];
}

export interface Keep { readonly rule: string; readonly policy: string | null; readonly period: string | null; readonly untilAt: string | null; readonly exact: boolean; readonly until: string }
export interface RetentionPlan {
  readonly itemId: string;
  readonly points: readonly { readonly id: string; readonly keeps: readonly Keep[]; readonly atLeastUntilAt: string | null }[];
  readonly goes: readonly string[];
  readonly lastGood: readonly string[];
  readonly refused: ErrorReport | null;
}

export type TagSelection = Readonly<Record<string, string | readonly string[]>>;
export interface Selection { readonly all?: true; readonly resourceIds?: readonly string[]; readonly tags?: TagSelection; readonly excludeResourceIds?: readonly string[]; readonly excludeTags?: TagSelection }
export interface Schedule {
  readonly daily?: { readonly at: readonly string[] };
  readonly hourly?: { readonly every: number; readonly minute: number };
  readonly weekly?: { readonly days: readonly string[]; readonly at: readonly string[] };
  readonly monthly?: { readonly days: readonly (number | 'last')[]; readonly at: readonly string[] };
  readonly minutes?: { readonly every: number };
  readonly cron?: string;
}
export interface Retention {
  readonly keepLast?: number; readonly keepWithinDays?: number;
  readonly daily?: { readonly count: number }; readonly weekly?: { readonly count: number }; readonly monthly?: { readonly count: number }; readonly yearly?: { readonly count: number };
}
export interface PolicyDocument {
  readonly name: string;
  readonly description?: string;
  readonly enabled: boolean;
  readonly schedule: Schedule;
  readonly items: Selection;
  readonly retention: Retention;
  readonly consistency: 'application' | 'crash';
  readonly onWeakerConsistency: 'accept' | 'fail';
  readonly keepBase: 'newest' | 'none';
  readonly firstBackup: 'now' | 'next-slot';
  readonly driver: string;
  readonly maxRunHours: number;
  readonly limits: { readonly maxParallelVms: number; readonly maxParallelTransfers: number; readonly bandwidthMiBPerSecond: number | null };
}
export interface Policy extends PolicyDocument { readonly revision: number; readonly storedAt: string; readonly nextSlots: readonly string[] }
export interface BrokenPolicy { readonly name: string; readonly damaged: true; readonly error: ErrorReport }

export interface Cost { readonly currency: string; readonly total: number; readonly lines: readonly { readonly what: string; readonly tier: string | null; readonly quantity: number; readonly unit: string; readonly price: number; readonly amount: number }[] }
export interface PriceNote { readonly asOf: string; readonly currency: string; readonly region: string; readonly source: string; readonly checked: boolean; readonly redundancy: string }
export interface CostReport {
  readonly at: string;
  readonly prices: PriceNote;
  readonly usage: { readonly storedBytes: Readonly<Record<string, number>> };
  readonly cost: Cost;
  readonly azureBackup: Cost;
  readonly items: readonly { readonly itemId: string; readonly name: string; readonly recoveryPoints: number; readonly storedBytes: number }[];
}
export interface Forecast {
  readonly items: number;
  readonly assumed: number;
  readonly months: readonly { readonly endsAt: string; readonly recoveryPoints: number; readonly storedBytes: number; readonly cost: Cost }[];
  readonly keptAt: readonly string[];
  readonly nextSlots: readonly string[];
  readonly prices: PriceNote;
}
export interface PolicyChange { readonly revision: number; readonly less: readonly string[]; readonly items: readonly { readonly itemId: string; readonly goes: readonly string[]; readonly kept: number }[]; readonly token: string | null }

export interface Health {
  readonly state: 'proved' | 'unproved' | 'damaged';
  readonly items: readonly { readonly id: string; readonly name: string | null; readonly latest: string | null; readonly unreadable: number; readonly proved: Item['proved'] }[];
  readonly damagedPacks: number;
  readonly damage: readonly { readonly pack: string; readonly code: string; readonly message: string; readonly foundAt: string; readonly recoveryPoints: readonly string[] }[];
  readonly damagedRecoveryPoints: readonly { readonly recoveryPoint: string; readonly code: string; readonly message: string; readonly foundAt: string }[];
}

export interface MaintenanceRecord {
  readonly stamp: string; readonly dryRun: boolean; readonly startedAt: string; readonly endedAt: string;
  readonly retention: { readonly items: number; readonly kept: number; readonly binned: number; readonly refused: readonly { readonly itemId: string; readonly error: ErrorReport }[] };
  readonly collection: {
    readonly recoveryPoints: number; readonly purged: number; readonly inBin: number; readonly allPacks: number; readonly allBytes: number; readonly unneededBytes: number;
    readonly deletedPacks: number; readonly deletedBytes: number; readonly waitingBytes: number; readonly missingPacks: readonly string[]; readonly problems: readonly ErrorReport[]; readonly abnormal: string | null; readonly token: string;
  } | null;
  readonly keys?: { readonly opened: readonly string[]; readonly notTried: number } | null;
  readonly error: ErrorReport | null;
}
export interface Maintenance { readonly running: { readonly startedAt: string; readonly dryRun: boolean; readonly phase?: string } | null; readonly last: readonly MaintenanceRecord[] }

export interface RestorePlanView {
  readonly kind: string;
  readonly recoveryPoint: string;
  readonly warnings: readonly string[];
  readonly disks: readonly { readonly name: string; readonly lun: number | string; readonly sizeBytes: number; readonly target: Readonly<Record<string, unknown>> }[];
  readonly vm: { readonly id: string; readonly size: string; readonly location: string; readonly zone: string | null } | null;
  readonly swap: { readonly vm: string; readonly wasRunning: boolean; readonly keepOldDisks: boolean; readonly oldDisks: readonly string[] } | null;
  readonly proved: boolean;
  readonly estimate: { readonly dataBytes: number; readonly fromVaultBytes: number; readonly copiedBytes: number; readonly goingBy: string | null } | null;
}

export type AuditRecord = { readonly number: number; readonly damaged: true } | {
  readonly number: number; readonly at: string; readonly from: string | null; readonly action: string; readonly target: string | null; readonly outcome: 'begun' | 'done' | 'refused' | 'failed';
  readonly who: { readonly id: string; readonly name: string; readonly kind: string; readonly roles: readonly string[]; readonly verified: boolean };
  readonly code: string | null; readonly details: Readonly<Record<string, unknown>>;
};

interface Named { readonly id: string; readonly name: string }
export interface Approval {
  readonly id: string; readonly state: 'waiting' | 'approved' | 'running' | 'done' | 'refused' | 'failed' | 'rejected' | 'cancelled' | 'expired';
  readonly kind: string; readonly action: string; readonly what: string; readonly target: string | null; readonly askedBy: Named; readonly askedAt: string; readonly expiresAt: string;
  readonly approvedBy: Named | null; readonly approvedAt: string | null; readonly dueAt: string | null; readonly stoppedBy: Named | null; readonly endedAt: string | null; readonly code: string | null; readonly message: string | null;
}
export interface ApprovalRules { readonly actions: readonly string[]; readonly delayMinutes: number; readonly expiresHours: number; readonly revision: number }

export interface VaultKey { readonly keyId: string; readonly type: string; readonly label: string; readonly createdAt: string; readonly keyVaultKey: string | null; readonly problem: string | null }
export interface KeyTests {
  readonly ok: boolean;
  readonly tests: readonly { readonly identityOf: readonly string[]; readonly ok: boolean; readonly keys: readonly { readonly keyId: string; readonly label: string; readonly outcome: 'opens' | 'refused' | 'failed' | 'not-tried' | 'damaged'; readonly message: string | null }[] }[];
}

interface Runs { readonly succeeded: number; readonly failed: number; readonly cancelled: number; readonly running: number; readonly unknown: number }
export interface StorageFigures {
  readonly storedBytes: number; readonly source: 'collection' | 'recovery-points'; readonly countedAt: string | null; readonly logicalBytes: number; readonly savedBytes: number;
  readonly deduplicationRatio: number | null; readonly compressionRatio: number | null;
}
export interface ProvedCounts { readonly roundDays: number; readonly inRound: number; readonly longerAgo: number; readonly never: number; readonly failed: number }
export interface OverviewFigures {
  readonly asOf: string;
  readonly items: Readonly<Record<Item['state'] | 'total', number>>;
  readonly proved: ProvedCounts;
  readonly jobs: Runs;
  readonly oldest: { readonly itemId: string; readonly name: string; readonly recoveryPoint: string | null; readonly ageSeconds: number | null; readonly objectiveSeconds: number } | null;
  readonly storage: StorageFigures;
  readonly cost: { readonly currency: string; readonly total: number; readonly azureBackup: number; readonly pricesAsOf: string; readonly checked: boolean };
  readonly attention: readonly { readonly severity: 'critical' | 'warning'; readonly code: string; readonly title: string; readonly message: string; readonly remedy: string; readonly itemId: string | null; readonly itemName: string | null; readonly since: string | null }[];
  readonly attentionTotal: number;
}
export interface DayFigures { readonly day: string; readonly recoveryPoints: number; readonly readBytes: number; readonly changedBytes: number; readonly storedBytes: number; readonly succeeded: number; readonly failed: number; readonly medianSeconds: number | null; readonly longestSeconds: number | null }
export interface History { readonly asOf: string; readonly days: readonly DayFigures[]; readonly storage: readonly { readonly at: string; readonly storedBytes: number; readonly recoveryPoints: number }[] }
export interface ItemHistory {
  readonly asOf: string; readonly days: readonly DayFigures[];
  readonly points: readonly { readonly id: string; readonly createdAt: string | null; readonly state: 'live' | 'binned'; readonly held: boolean; readonly proved: { readonly at: string; readonly ok: boolean } | null; readonly damage: { readonly code: string } | null }[];
}
export interface VaultFigures {
  readonly asOf: string; readonly recoveryPoints: { readonly live: number; readonly inBin: number; readonly held: number; readonly damaged: number; readonly proved: number };
  readonly storage: StorageFigures; readonly proved: ProvedCounts; readonly maintenance: { readonly endedAt: string; readonly overdue: boolean } | null;
  readonly largest: readonly { readonly itemId: string; readonly name: string; readonly storedBytes: number; readonly recoveryPoints: number }[];
  readonly keys: readonly (VaultKey & { readonly tested: string | null })[];
}
export interface Server {
  readonly itemId: string; readonly name: string; readonly host: string | null; readonly recoveryPoints: number; readonly storedBytes: number;
  readonly latest: { readonly id: string; readonly createdAt: string; readonly sizeBytes: number } | null;
  readonly lastRun: { readonly startedAt: string; readonly endedAt: string | null; readonly outcome: 'succeeded' | 'failed' | 'cancelled' | 'running' | 'unknown'; readonly code: string | null; readonly message: string | null } | null;
}
