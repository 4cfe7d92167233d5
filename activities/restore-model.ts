import { z } from 'zod';
import type { Manifest, ManifestDisk } from '../vault/format/manifest';

/**
 * What a recovery point says of the machine it is of: the service's own JSON, as it was when it was backed up. Every field may be missing or another:
 * it was written by Azure, perhaps years ago. Source: Virtual Machines - Get, REST API of Microsoft.Compute.
 */
const modelSchema = z.looseObject({
  location: z.string().optional(), zones: z.array(z.string()).optional(), tags: z.record(z.string(), z.string()).optional(),
  plan: z.looseObject({ name: z.string(), publisher: z.string(), product: z.string() }).optional(),
  properties: z.looseObject({
    hardwareProfile: z.looseObject({ vmSize: z.string() }).optional(),
    licenseType: z.string().optional(),
    availabilitySet: z.looseObject({ id: z.string() }).optional(),
    additionalCapabilities: z.looseObject({ ultraSSDEnabled: z.boolean().optional() }).optional(),
    securityProfile: z.looseObject({
      securityType: z.string().optional(), encryptionAtHost: z.boolean().optional(),
      uefiSettings: z.looseObject({ secureBootEnabled: z.boolean().optional(), vTpmEnabled: z.boolean().optional() }).optional(),
    }).optional(),
    storageProfile: z.looseObject({
      diskControllerType: z.string().optional(),
      osDisk: z.looseObject({ osType: z.string().optional(), writeAcceleratorEnabled: z.boolean().optional() }).optional(),
      dataDisks: z.array(z.looseObject({ lun: z.number(), writeAcceleratorEnabled: z.boolean().optional() })).optional(),
    }).optional(),
  }).optional(),
});

export interface RecordedMachine {
  readonly location: string | null;
  readonly zone: string | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly size: string | null;
  readonly osType: 'Windows' | 'Linux' | null;
  readonly availabilitySetId: string | null;
  readonly licenseType: string | null;
  readonly plan: { readonly name: string; readonly publisher: string; readonly product: string } | null;
  readonly ultraDisks: boolean;
  readonly diskController: 'SCSI' | 'NVMe' | null;
  readonly trustedLaunch: { readonly secureBoot: boolean; readonly vTpm: boolean } | null;
  readonly confidential: boolean;
  readonly encryptionAtHost: boolean;
  generationOf(disk: ManifestDisk): 'V1' | 'V2' | null;
  attachmentOf(disk: ManifestDisk): { readonly caching: string; readonly writeAccelerated: boolean };
}

/** Reads the model of a recovery point; what it does not say is null. Pure. */
export function recordedMachine(manifest: Manifest): RecordedMachine {
  const parsed = modelSchema.safeParse(manifest.source.model ?? {});
  const model = parsed.success ? parsed.data : {};
  const properties = model.properties ?? {};
  const { securityProfile: security, storageProfile: storage } = properties;
  const trusted = security?.securityType === 'TrustedLaunch';
  const osType = storage?.osDisk?.osType;
  const controller = storage?.diskControllerType;
  return {
    location: model.location ?? null, zone: model.zones?.[0] ?? null, tags: model.tags ?? {}, size: properties.hardwareProfile?.vmSize ?? null,
    osType: osType === 'Windows' || osType === 'Linux' ? osType : null, availabilitySetId: properties.availabilitySet?.id ?? null, licenseType: properties.licenseType ?? null,
    plan: model.plan ? { name: model.plan.name, publisher: model.plan.publisher, product: model.plan.product } : null,
    ultraDisks: properties.additionalCapabilities?.ultraSSDEnabled === true, diskController: controller === 'SCSI' || controller === 'NVMe' ? controller : null,
    trustedLaunch: trusted ? { secureBoot: security?.uefiSettings?.secureBootEnabled === true, vTpm: security?.uefiSettings?.vTpmEnabled === true } : null,
    confidential: security?.securityType === 'ConfidentialVM', encryptionAtHost: security?.encryptionAtHost === true,
    generationOf: (disk) => {
      const recorded = disk.source['hyperVGeneration'];
      if (recorded === 'V1' || recorded === 'V2') return recorded;
      // Only machines of the second generation can be of these kinds.
      return security?.securityType === 'TrustedLaunch' || security?.securityType === 'ConfidentialVM' ? 'V2' : null;
    },
    attachmentOf: (disk) => {
      const attached = disk.lun === 'os' ? storage?.osDisk : storage?.dataDisks?.find(({ lun }) => String(lun) === disk.lun);
      const caching = disk.source['caching'];
      return { caching: caching === 'ReadOnly' || caching === 'ReadWrite' ? caching : 'None', writeAccelerated: attached?.writeAcceleratorEnabled === true };
    },
  };
}
