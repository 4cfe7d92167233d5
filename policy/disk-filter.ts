import type { DiskRule } from './items-schema';
import type { PolicyDocument } from './schema';

/** What a rule looks at to leave a disk out; the cloud's disks have more. */
export interface FilterableDisk {
  /** 'os' for the OS disk, else the LUN as decimal text. */
  readonly lun: string;
  readonly name: string;
}

export interface ExcludedDisk<T extends FilterableDisk> {
  readonly disk: T;
  /** The rule that leaves it out, as in the document: `excludeDisks[0]: lun "os"`. */
  readonly reason: string;
}

/**
 * The disks that the policy leaves out, in their given order, each with the first rule that says so. A rule that
 * matches no disk is nothing: one policy covers many VMs. That every disk is left out is for the caller to refuse.
 */
export function excludedDisks<T extends FilterableDisk>(policy: Pick<PolicyDocument, 'excludeDisks'>, disks: readonly T[]): readonly ExcludedDisk<T>[] {
  return disks.flatMap((disk) => {
    const index = policy.excludeDisks.findIndex((rule) => matches(rule, disk));
    const rule = policy.excludeDisks[index];
    return rule === undefined ? [] : [{ disk, reason: `excludeDisks[${index}]: ${describe(rule)}` }];
  });
}

/** Names of resources have no case in Azure. */
function matches(rule: DiskRule, disk: FilterableDisk): boolean {
  if (rule.lun !== undefined) return String(rule.lun) === disk.lun;
  return rule.name !== undefined && rule.name.toLowerCase() === disk.name.toLowerCase();
}

function describe(rule: DiskRule): string {
  return rule.lun !== undefined ? `lun ${JSON.stringify(String(rule.lun))}` : `name ${JSON.stringify(rule.name)}`;
}
