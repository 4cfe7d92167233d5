import type { RestoreEstimate } from '../activities/restore-estimate';
import type { RestoreJobView } from '../functions/restore-view';
import { HoldfastError } from '../errors/holdfast-error';
import { type AppClient, appNeeded } from './app-client';
import { failureOf, followed } from './app-jobs';
import type { CommonOptions } from './command-options';
import { signalExitCode } from './interrupt';
import type { Output } from './output';
import { showBytes } from './sizes';

export interface RemoteRestoreOptions extends CommonOptions {
  readonly item?: string;
  readonly disk?: string;
  readonly toDisk?: string;
  readonly toVm?: string;
  readonly inPlace?: string | true;
  readonly toBlob?: string;
  readonly id?: string;
  readonly disks?: string;
  readonly subscription?: string;
  readonly resourceGroup?: string;
  readonly location?: string;
  readonly zone?: string;
  readonly sku?: string;
  readonly size?: string;
  readonly subnet?: string;
  readonly nic?: string[];
  readonly securityGroup?: string;
  readonly availabilitySet?: string;
  readonly generation?: string;
  readonly standardSecurity?: boolean;
  readonly discardOldDisks?: boolean;
  readonly differential?: boolean;
  readonly dryRun?: boolean;
  readonly cancel?: boolean;
}

/** True when the restore is the app's to do: into Azure, and not into a file of this machine. */
export const isRemote = (options: RemoteRestoreOptions): boolean => targetsOf(options).length > 0 || options.cancel === true;

const targetsOf = (options: RemoteRestoreOptions): string[] => [
  ...(options.toDisk === undefined ? [] : ['--to-disk']), ...(options.toVm === undefined ? [] : ['--to-vm']), ...(options.inPlace === undefined ? [] : ['--in-place']), ...(options.toBlob === undefined ? [] : ['--to-blob']),
];

/** Asks the app for a restore into Azure and follows it. Ctrl-C leaves it running. `wanted` is a recovery point, or with --cancel a job. */
export async function runRemoteRestore(wanted: string, options: RemoteRestoreOptions, out: Output): Promise<number> {
  const app = appNeeded(options, 'A restore into Azure');
  if (options.cancel) return cancel(app, wanted, out);
  const targets = targetsOf(options);
  if (targets.length > 1) throw new HoldfastError('USAGE', `One restore has one target, and these were named: ${targets.join(', ')}`);
  if (options.differential && options.inPlace === undefined && options.toBlob === undefined) throw new HoldfastError('USAGE', `--differential needs something that is there: --in-place, --to-blob, or a file; ${targets.join()} makes a new one`);
  const target = targetOf(options);
  const point = wanted === 'latest' ? await latestOf(app, options.item) : wanted;
  const path = `/api/recovery-points/${encodeURIComponent(point)}/restores`;
  const body = { ...(options.id === undefined ? {} : { id: options.id }), target };
  if (options.dryRun) {
    const plan = await app.send('POST', path, { ...body, dryRun: true });
    out.answer(plan, () => describePlan(plan as PlanView));
    return 0;
  }
  const { id } = await app.send('POST', path, body) as { id: string };
  return follow(app, id, out);
}

function targetOf(options: RemoteRestoreOptions): object {
  const { disk } = options;
  const place = {
    ...given('subscriptionId', options.subscription), ...given('resourceGroup', options.resourceGroup), ...given('location', options.location),
    ...(options.zone === undefined ? {} : { zone: options.zone === 'none' ? null : options.zone }),
  };
  const kinds = { ...given('sku', options.sku), ...given('hyperVGeneration', options.generation) };
  const several = options.disks?.split(',').map((name) => name.trim()) ?? (disk === undefined ? undefined : [disk]);
  if (options.toDisk !== undefined) return { kind: 'disk', name: options.toDisk, ...given('disk', disk), ...kinds, ...place };
  if (options.toBlob !== undefined) {
    const [account = '', container = '', ...blob] = options.toBlob.split('/');
    if (blob.length === 0) throw new HoldfastError('USAGE', `--to-blob reads ACCOUNT/CONTAINER/BLOB, not ${JSON.stringify(options.toBlob)}`);
    return { kind: 'page-blob', account, container, blob: blob.join('/'), ...given('disk', disk), differential: options.differential === true };
  }
  if (options.toVm !== undefined) {
    if (!options.nic && options.subnet === undefined) throw new HoldfastError('USAGE', '--to-vm needs --subnet ID for a new network interface, or --nic ID for one that is there');
    const network = options.nic ? { nicIds: options.nic } : { subnetId: options.subnet, ...given('securityGroupId', options.securityGroup) };
    return { kind: 'vm', name: options.toVm, network, ...given('size', options.size), ...given('availabilitySetId', options.availabilitySet), ...given('disks', several), ...(options.standardSecurity ? { security: 'standard' } : {}), ...kinds, ...place };
  }
  return { kind: 'in-place', ...(typeof options.inPlace === 'string' ? { vmId: options.inPlace } : {}), ...given('disks', several), keepOldDisks: options.discardOldDisks !== true, ...(options.differential ? { differential: true } : {}), ...kinds };
}

const given = (name: string, value: unknown): object => (value === undefined ? {} : { [name]: value });

async function latestOf(app: AppClient, item: string | undefined): Promise<string> {
  if (item === undefined) throw new HoldfastError('USAGE', 'Name the item that latest is of with --item');
  const { value } = await app.send('GET', `/api/items/${encodeURIComponent(item)}/recovery-points?limit=1`) as { value: { id: string; damaged?: boolean }[] };
  const last = value[0];
  if (!last || last.damaged) throw new HoldfastError('RECOVERY_POINT_NOT_FOUND', `The latest recovery point of ${item} is not there or does not open: choose one by its id`);
  return last.id;
}

async function cancel(app: AppClient, wanted: string, out: Output): Promise<number> {
  const id = wanted.startsWith('restore.') ? wanted : `restore.${wanted}`;
  const answer = await app.send('POST', `/api/jobs/${encodeURIComponent(id)}/cancel`, {});
  out.result(answer, () => [`${id} is being cancelled: what it made is removed, and a machine gets its old disks back`]);
  return 0;
}

async function follow(app: AppClient, id: string, out: Output): Promise<number> {
  const goesOn = `the restore goes on in the app. Follow it with the same command and --id ${id.replace(/^restore\./, '')}; cancel it with \`holdfast restore ${id} --cancel --url ${app.origin}\``;
  const job = await followed<RestoreJobView>(app, id, out, goesOn);
  if (job === null) return signalExitCode() ?? 0;
  for (const warning of job.warnings) out.warn(warning);
  for (const left of job.left) out.warn(`left behind: ${left}`);
  if (job.state !== 'succeeded') throw failureOf(job);
  out.result(job, () => [
    `Restored ${job.recoveryPoint}: ${showBytes(job.writtenBytes ?? 0)} written${job.copiedBytes ? `, ${showBytes(job.copiedBytes)} copied by Azure out of the disks that were there` : ''}, read back and compared`,
    ...(job.restored?.made ?? []).map((made) => `  ${made}`),
    ...(job.restored?.oldDisks ?? []).map((disk) => `  kept: ${disk}`),
  ]);
  return 0;
}

interface PlanView {
  readonly recoveryPoint: string;
  readonly kind: string;
  readonly warnings: readonly string[];
  readonly disks: readonly { readonly name: string; readonly sizeBytes: number; readonly target: { readonly id?: string; readonly sku?: string; readonly account?: string; readonly container?: string; readonly blob?: string } }[];
  readonly vm: { readonly id: string; readonly size: string } | null;
  /** Null where the recovery point is too large to tell while one waits. */
  readonly estimate?: RestoreEstimate | null;
  readonly swap: { readonly vm: string; readonly keepOldDisks: boolean; readonly oldDisks: readonly string[] } | null;
}

const describePlan = ({ recoveryPoint, kind, disks, vm, swap, warnings, estimate }: PlanView): string[] => [
  `Would restore ${recoveryPoint} (${kind}); nothing was made`,
  ...disks.map(({ name, sizeBytes, target }) => `  ${name}, ${showBytes(sizeBytes)}, to ${target.id ?? `${target.account}/${target.container}/${target.blob}`}${target.sku ? ` (${target.sku})` : ''}`),
  ...(vm ? [`  a new machine ${vm.id} of the size ${vm.size}`] : []),
  ...(swap ? [`  in place in ${swap.vm}; ${swap.keepOldDisks ? 'kept' : 'deleted afterwards'}: ${swap.oldDisks.join(', ')}`] : []),
  ...(estimate ? [estimateLine(estimate)] : []),
  ...warnings.map((warning) => `  note: ${warning}`),
];

const estimateLine = ({ dataBytes, fromVaultBytes, copiedBytes, goingBy }: RestoreEstimate): string => (goingBy === null
  ? `  ${showBytes(dataBytes)} of data: ${showBytes(fromVaultBytes)} at most from the vault, all of it read back and compared`
  : `  ${showBytes(dataBytes)} of data: about ${showBytes(fromVaultBytes)} from the vault and what changed since ${goingBy}, about ${showBytes(copiedBytes)} copied by Azure out of the present disks; all of it is read back and compared`);
