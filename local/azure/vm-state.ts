import type { Failure, Lun, ProvisioningState } from './state';
import type { JsonObject } from './wire';

export interface AttachedDisk {
  readonly lun: Lun;
  readonly diskId: string;
  readonly caching: string;
  readonly writeAccelerated: boolean;
}

/** What can be changed of a machine once it is there. */
export interface VmSetting {
  readonly power: 'running' | 'deallocated';
  /** null for a machine of the folder whose OS disk is still its own. */
  readonly os: AttachedDisk | null;
  /** Images of the folder that were detached from their machine. */
  readonly detached: readonly string[];
  /** Data disks: all of a machine that was made, those that came later of one in the folder. */
  readonly attached: readonly AttachedDisk[];
}

/** A machine that was made through the API, or what was changed of one in the folder. */
export interface VmRecord {
  readonly id: string;
  readonly name: string;
  /** null for a machine of the folder. */
  readonly made: {
    readonly location: string;
    readonly zone: string | null;
    readonly vmId: string;
    readonly vmSize: string;
    readonly osType: 'Linux' | 'Windows';
    readonly createdAtMs: number;
    readonly nicIds: readonly string[];
    /** Members of its JSON that are given back as they came: plan, and of properties securityProfile and others. */
    readonly plan: JsonObject | null;
    readonly properties: JsonObject;
  } | null;
  tags: Record<string, string>;
  now: VmSetting;
  /** How it was before the change that is under way: restored when that fails. */
  before: VmSetting | null;
  state: ProvisioningState | 'Updating';
  failure: Failure | null;
  /** Grows with each change: its ETag. */
  version: number;
}
