import type { KeyProvider } from '../vault/keys/key-providers';
import type { VaultAccess } from '../vault/format/tree';
import type { Spec } from '../vault/transfer/transfer-factory';
import type { Cloud, OpenSnapshotSource } from './cloud';
import type { Telemetry } from './telemetry';
import type { OpenPageTarget, RestoreCloud } from './restore-cloud';

/**
 * What the app does in Azure, each with an identity that may do just that: back machines up, clean up after that and answer the HTTP API (it makes snapshots and creates in the vault);
 * maintain the vault (the only one that deletes in it, and nothing else); restore (the one that makes disks and machines).
 */
export const DUTIES = ['backup', 'maintenance', 'restore'] as const;
export type Duty = (typeof DUTIES)[number];

/** What activities are made with. The composition root supplies it; nothing here knows which home it is. */
export interface ActivityDeps {
  /** Opens the vault once and keeps it open. Throws KEY_REFUSED and its like before anything is written. */
  readonly vault: () => Promise<VaultAccess>;
  /** What this app opens the vault with, made ready anew, once for each of its identities: each has to open it, and may lose the right to. What the scheduled test of keys tries. */
  readonly keys: () => Promise<readonly { readonly provider: KeyProvider; readonly identityOf: readonly Duty[] }[]>;
  readonly cloud: Cloud;
  readonly openSnapshotSource: OpenSnapshotSource;
  readonly restoreCloud: RestoreCloud;
  readonly openPageTarget: OpenPageTarget;
  readonly transfer: {
    /** Absolute path of the module with the TransferFactory for the threads. */
    readonly factory: string;
    readonly store: Spec;
    /** Threads of one transfer; undefined for one a processor. */
    readonly threads?: number | undefined;
  };
  /** For how long ahead everything that a recovery point needs is held under the vault's WORM policy, in milliseconds; undefined where it is not. */
  readonly lockKeepMs?: number | undefined;
  /** Tells this app from others that use the same vault; the same after its task hub was wiped. */
  readonly appName: string;
  readonly nowMs: () => number;
  readonly telemetry: Telemetry;
  readonly log: (message: string, fields?: Readonly<Record<string, string | number | boolean | null>>) => void;
}
