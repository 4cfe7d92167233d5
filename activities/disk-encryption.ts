import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';
import type { VmDescription } from './cloud';

/** The parts of the service's own JSON of a VM that say how its disks are encrypted (arm-compute VirtualMachine: securityProfile, storageProfile). */
const modelSchema = z.object({
  properties: z.object({
    securityProfile: z.object({ securityType: z.string().nullish() }).nullish(),
    storageProfile: z.object({ osDisk: z.object({ encryptionSettings: z.object({ enabled: z.boolean().nullish() }).nullish() }).nullish() }).nullish(),
  }).nullish(),
});

/**
 * What a person should know of a machine's encryption. Throws DISK_ENCRYPTION_UNSUPPORTED for a confidential machine: restore points do not take it
 * (support matrix for VM restore points), and its disks open with its own virtual TPM, which is in no recovery point.
 */
export function encryptionWarnings(vm: VmDescription): string[] {
  const properties = modelSchema.safeParse(vm.model).data?.properties;
  if (properties?.securityProfile?.securityType === 'ConfidentialVM') {
    throw new HoldfastError('DISK_ENCRYPTION_UNSUPPORTED', `${vm.name} is a confidential machine: its disks cannot be backed up from outside`, { data: { vm: vm.id } });
  }
  if (properties?.storageProfile?.osDisk?.encryptionSettings?.enabled !== true) return [];
  return ['The disks are encrypted inside the machine (Azure Disk Encryption): what is restored opens only with their key, which is in your key vault and in no recovery point'];
}
