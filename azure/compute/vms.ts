import type { DataDisk, Disk, OSDisk, VirtualMachine } from '@azure/arm-compute';
import type { VmDescription, VmDisk, VmSummary } from '../../activities/cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import { type ArmContext, asking, askingIfThere } from './context';
import { withoutSecrets } from './vm-model';

const gib = 1024 ** 3;
const parallelReads = 4;

export function vmOperations(context: ArmContext) {
  return {
    async listVms(): Promise<readonly VmSummary[]> {
      const found: VmSummary[] = [];
      for (const subscriptionId of context.subscriptionIds) {
        await asking(`to list the machines of the subscription ${subscriptionId}`, async () => {
          for await (const vm of context.clientFor(subscriptionId).virtualMachines.listAll()) found.push(summaryOf(vm));
        });
      }
      return found;
    },
    async getVm(vmId: string): Promise<VmDescription> {
      const id = context.ids.parse(vmId, 'virtualMachines');
      let model: unknown;
      const vm = await asking(`to read the machine ${vmId}`, () =>
        context.clientFor(id.subscriptionId).virtualMachines.get(id.resourceGroup, id.name, {
          // The SDK renames and drops members of what it parses; what a machine is made from again is the service's own JSON.
          onResponse: (response) => {
            model = response.parsedBody ?? JSON.parse(response.bodyAsText ?? 'null');
          },
        }));
      const osDisk = vm.storageProfile?.osDisk;
      const disks = await describeDisks(context, vm);
      const osType = osDisk?.osType;
      if (osType !== 'Windows' && osType !== 'Linux') throw new HoldfastError('CLOUD_FAILED', `Azure tells the operating system of ${vmId} as ${JSON.stringify(osType ?? null)}`, { data: { serviceCode: '' } });
      return { ...summaryOf(vm), uniqueId: vm.vmId ?? '', osType, disks, model: withoutSecrets(model) };
    },
  };
}

function summaryOf(vm: VirtualMachine): VmSummary {
  return { id: vm.id ?? '', name: vm.name ?? '', location: vm.location, tags: { ...vm.tags } };
}

interface AttachedDisk {
  readonly lun: string;
  readonly disk: OSDisk | DataDisk;
  readonly ephemeral: boolean;
}

async function describeDisks(context: ArmContext, vm: VirtualMachine): Promise<VmDisk[]> {
  const profile = vm.storageProfile;
  const attached: AttachedDisk[] = [
    ...(profile?.osDisk === undefined ? [] : [{ lun: 'os', disk: profile.osDisk, ephemeral: profile.osDisk.diffDiskSettings?.option === 'Local' }]),
    ...(profile?.dataDisks ?? []).map((disk) => ({ lun: String(disk.lun), disk, ephemeral: false })),
  ];
  const described: VmDisk[] = [];
  for (let start = 0; start < attached.length; start += parallelReads) {
    described.push(...(await Promise.all(attached.slice(start, start + parallelReads).map((one) => describeDisk(context, one)))));
  }
  return described;
}

async function describeDisk(context: ArmContext, attached: AttachedDisk): Promise<VmDisk> {
  const { lun, disk: seen, ephemeral } = attached;
  const diskId = seen.managedDisk?.id;
  const disk = diskId === undefined ? undefined : await readDisk(context, diskId, ephemeral);
  return {
    lun,
    name: seen.name ?? disk?.name ?? '',
    id: diskId ?? '',
    managed: diskId !== undefined,
    blobUrl: diskId === undefined ? (seen.vhd?.uri?.split('?')[0] ?? null) : null,
    uniqueId: disk?.uniqueId ?? '',
    sizeBytes: disk?.diskSizeBytes ?? (disk?.diskSizeGB ?? seen.diskSizeGB ?? 0) * gib,
    sku: disk?.sku?.name ?? seen.managedDisk?.storageAccountType ?? '',
    caching: seen.caching ?? 'None',
    maxShares: disk?.maxShares ?? 1,
    ephemeral,
    writeAccelerated: seen.writeAcceleratorEnabled ?? false,
    logicalSectorBytes: disk?.creationData?.logicalSectorSize ?? 512,
    networkAccessPolicy: disk?.networkAccessPolicy ?? 'AllowAll',
    needsEntraToRead: disk?.dataAccessAuthMode === 'AzureActiveDirectory',
    hyperVGeneration: disk?.hyperVGeneration ?? null,
  };
}

/** An ephemeral OS disk lives on the host: that it has no resource of its own is no mistake. Any other disk must be there. */
async function readDisk(context: ArmContext, diskId: string, ephemeral: boolean): Promise<Disk | undefined> {
  const id = context.ids.parse(diskId, 'disks');
  const read = () => context.clientFor(id.subscriptionId).disks.get(id.resourceGroup, id.name);
  return ephemeral ? askingIfThere(`to read the disk ${diskId}`, read) : asking(`to read the disk ${diskId}`, read);
}
