import type { Command } from 'commander';

/** The options of a restore into Azure, which the app does. */
export const addRemoteRestoreOptions = (command: Command): Command => command
  .option('--to-disk <name>', 'into Azure: to a new managed disk')
  .option('--to-vm <name>', 'into Azure: to a new machine, as it was recorded')
  .option('--in-place [vm-id]', 'into Azure: exchange the disks of the machine, or of another one by its resource id')
  .option('--to-blob <account/container/blob>', 'into Azure: to a page blob, as a VHD')
  .option('--disks <names>', 'of a machine: only these disks, separated by commas')
  .option('--id <id>', 'the restore\'s id: asking twice with it is one restore')
  .option('--dry-run', 'into Azure: only say what would be made')
  .option('--cancel', 'cancel a restore into Azure; its job stands in place of the recovery point')
  .option('--subscription <id>', 'where new things go, if not where the source is')
  .option('--resource-group <name>', 'the same')
  .option('--location <region>', 'the same')
  .option('--zone <n>', 'the same: an availability zone, or none')
  .option('--sku <kind>', 'kind of the new disks, for instance Premium_LRS')
  .option('--size <size>', 'size of the new machine')
  .option('--subnet <id>', 'the new machine gets a new network interface in this subnet')
  .option('--nic <id...>', 'the new machine gets network interfaces that are there')
  .option('--security-group <id>', 'network security group of the new interface')
  .option('--availability-set <id>', 'of the new machine')
  .option('--generation <v>', 'V1 or V2, where the recovery point does not say it')
  .option('--standard-security', 'a machine of Trusted Launch becomes a standard one')
  .option('--discard-old-disks', 'delete the disks that were exchanged, once the machine runs with the restored ones');
