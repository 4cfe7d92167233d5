import type { DiskCopy, Failure, ProvisioningState, StateContent } from './state';
import type { JsonObject } from './wire';

/** A snapshot of a page blob. Blob service snapshots are named by their time, in ticks of 100 ns. */
export interface BlobSnapshotRecord {
  readonly blob: string;
  readonly snapshot: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly copy: DiskCopy;
}

export interface BlockBlobRecord {
  readonly container: string;
  readonly name: string;
  text: string;
  version: number;
  modifiedAtMs: number;
}

/** The snapshot extension of a VM. Protected settings are given to the guest and kept nowhere. */
export interface ExtensionRecord {
  readonly id: string;
  readonly name: string;
  properties: JsonObject;
  state: ProvisioningState;
  failure: Failure | null;
  tasksDone: string[];
}

export interface RunCommandRecord {
  readonly id: string;
  readonly name: string;
  readonly script: string;
  readonly timeoutSeconds: number;
  state: ProvisioningState;
  failure: Failure | null;
  executionState: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'TimedOut';
  exitCode: number | null;
  startedAtMs: number | null;
  endedAtMs: number | null;
}

/** Everything about machines with page blobs for disks, and about what runs inside of guests. */
export interface GuestState {
  containers: string[];
  snapshots: Record<string, BlobSnapshotRecord>;
  blockBlobs: Record<string, BlockBlobRecord>;
  extensions: Record<string, ExtensionRecord>;
  runCommands: Record<string, RunCommandRecord>;
  /** Ticks of the last snapshot: no two have one name. */
  lastTicks: string;
  /** What guests did, in order, for a test to look at: never more than the last hundred. */
  deeds: string[];
}

const keptDeeds = 100;

/** A state that was written before there were guests has none. */
export function guestState(content: StateContent): GuestState {
  content.guests ??= { containers: [], snapshots: {}, blockBlobs: {}, extensions: {}, runCommands: {}, lastTicks: '0', deeds: [] };
  return content.guests;
}

export function recordDeed(content: StateContent, deed: string): void {
  const state = guestState(content);
  state.deeds = [...state.deeds, deed].slice(-keptDeeds);
}
