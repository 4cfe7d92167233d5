// The command line: what there is to type. Each command's own module is loaded only when it runs, because start-up time counts.
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { catalogue } from '../errors/catalogue';
import { HoldfastError, isHoldfastError, messageOf } from '../errors/holdfast-error';
import { addAppCommands } from './app-grammar';
import type { AuditOptions } from './audit';
import type { BackupOptions } from './backup-plan';
import type { CheckOptions } from './check';
import type { CollectCommandOptions } from './collect';
import type { CostCommandOptions } from './cost';
import { type CommonOptions, DEFAULT_ROUND_DAYS } from './command-options';
import type { ExportOptions } from './export';
import type { InitOptions } from './init';
import { signalExitCode } from './interrupt';
import { addKeyCommands } from './key-grammar';
import type { ListOptions } from './list';
import type { LockCommandOptions } from './lock';
import { Output } from './output';
import type { RestoreOptions } from './restore';
import { addRemoteRestoreOptions } from './restore-options';
import { addRetentionCommands } from './retention-grammar';
import type { Run } from './run';
import type { ScrubOptions } from './scrub';
import type { ShowOptions } from './show';

const MAX_THREADS = 64;
/** Larger than any tape drive takes. */
const MAX_RECORD_BYTES = 16 * 1024 * 1024;

/** Runs a command line (without node and script) and answers the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = buildProgram((code) => { exitCode = code; });
  // A reader that closes its end, such as head, is no failure of a list; an export notices by itself.
  process.stdout.on('error', () => undefined);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    return fail(error instanceof CommanderError ? usageError(error, args) : error, new Output(args.includes('--json'), args.includes('--quiet')));
  }
}

/** What commander found wrong, in our words. Its own message for help that was shown in place of a command says nothing. */
function usageError(error: CommanderError, args: readonly string[]): HoldfastError {
  const noCommand = args.length === 0 ? 'No command was given' : `There is no command ${JSON.stringify(args.at(-1))}`;
  return new HoldfastError('USAGE', error.code === 'commander.help' ? noCommand : error.message.replace(/^error: /, ''));
}

function fail(thrown: unknown, out: Output): number {
  const error = isHoldfastError(thrown) ? thrown : new HoldfastError('INTERNAL', messageOf(thrown), { cause: thrown });
  out.fail(error);
  const bySignal = error.code === 'CANCELLED' ? signalExitCode() : undefined;
  return bySignal ?? catalogue[error.code].exitCode;
}

function buildProgram(onDone: (exitCode: number) => void): Command {
  const program = new Command('holdfast')
    .description('Back up disks into a vault that belongs to you, and get them back.')
    .version('0.1.0')
    .option('--vault <address>', 'the vault: a folder, or the address of a blob container (or HOLDFAST_VAULT)')
    .option('--key <file>', 'the key file (or HOLDFAST_KEY; otherwise the one in your configuration folder)')
    .option('--passphrase', 'open the vault with a passphrase, which is asked for')
    .option('--passphrase-file <file>', 'file with the passphrase (or the passphrase itself in HOLDFAST_PASSPHRASE)')
    .option('--key-vault <id>', 'open the vault with this key in Azure Key Vault (or HOLDFAST_KEY_VAULT)')
    .option('--url <address>', 'have the app at this address do it (or HOLDFAST_URL): https://NAME.azurewebsites.net, or http://127.0.0.1:7071')
    .option('--state <folder>', 'state folder of the home on this machine, where its token is (or HOLDFAST_STATE; default: .holdfast)')
    .option('--json', 'one JSON document on stdout, also for errors')
    .option('--quiet', 'no progress and no report, only answers and errors')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 damaged, 5 key or sign-in refused, 6 busy, 130 stopped by Ctrl-C.\n');
  const run = async <T extends CommonOptions>(command: Command, work: (options: T, out: Output) => Promise<number>): Promise<void> => {
    const options = command.optsWithGlobals<T>();
    const name = nameOf(command);
    if (options.url !== undefined && !OF_APPS.includes(name) && !(name === 'restore' && !('to' in options))) {
      throw new HoldfastError('USAGE', `\`holdfast ${name}${name === 'restore' ? ' --to' : ''}\` reads or changes the vault itself, with its key: name it with --vault instead of --url`);
    }
    onDone(await work(options, new Output(options.json === true, options.quiet === true)));
  };
  addInit(program, run);
  addBackup(program, run);
  addLists(program, run);
  addRestore(program, run);
  addCheck(program, run);
  addScrub(program, run);
  addCollect(program, run);
  addKeyCommands(program, run);
  addRetentionCommands(program, run);
  addLock(program, run);
  addCost(program, run);
  addAudit(program, run);
  addAppCommands(program, run);
  return program;
}

/** Commands that an app does as well; everything else needs the vault and its key. */
const OF_APPS: readonly string[] = [
  'items', 'list', 'show', 'backup', 'retention', 'delete', 'undelete', 'hold', 'release', 'scrub', 'collect', 'cost', 'key list', 'key test', 'jobs', 'cancel', 'policy list', 'policy show', 'policy put', 'policy delete',
  'audit', 'approval list', 'approval show', 'approval approve', 'approval reject', 'approval cancel', 'notification list', 'notification targets', 'notification put', 'notification test',
];

/** As it is typed, without the program: `key list`. */
const nameOf = (command: Command): string => (command.parent?.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name());

function addInit(program: Command, run: Run): void {
  program.command('init').description('make a vault and its key: a key file, or what --passphrase or --key-vault say')
    .option('--no-encryption', 'store everything in the clear')
    .action((_options: unknown, command: Command) => run<InitOptions>(command, async (options, out) => (await import('./init.js')).runInit(options, out)));
}

function addBackup(program: Command, run: Run): void {
  program.command('backup').description('back images up, as the disks of one new recovery point')
    .argument('<image...>', 'raw or VHD images, or block devices; with --url, the machine that the app backs up')
    .option('--item <name>', 'what is protected; by default the first image\'s name')
    .option('--changed <file>', 'ranges that changed since the recovery point before: JSON [{"offset": …, "length": …}]')
    .option('--full', 'take nothing over from earlier recovery points: read and store everything anew')
    .option('--take-over', 'give up a run of this item that another process began and that you know is dead')
    .option('--threads <n>', 'worker threads; 0 works without', threadCount)
    .option('--dry-run', 'read and compare, store nothing')
    .action((images: string[], _options: unknown, command: Command) => run<BackupOptions>(command, async (options, out) => {
      const app = options.url === undefined ? null : (await import('./app-client.js')).appNamed(options);
      if (app) {
        if (images.length > 1) throw new HoldfastError('USAGE', 'An app backs up one machine at a time: name one item');
        return (await import('./app-jobs.js')).runAppBackup(app, images[0] ?? '', out);
      }
      (await import('./ahead.js')).startThreadsFor(images, options.threads);
      return (await import('./backup.js')).runBackup(images, options, out);
    }));
}

function addLists(program: Command, run: Run): void {
  program.command('items').description('list what is protected')
    .action((_options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./items.js')).runItems(options, out)));
  program.command('list').description('list recovery points')
    .option('--item <name>', 'only of this item')
    .option('--deleted', 'also those in the bin')
    .action((_options: unknown, command: Command) => run<ListOptions>(command, async (options, out) => (await import('./list.js')).runList(options, out)));
  program.command('show').description('show a recovery point')
    .argument('<recovery-point>', 'its id, or latest')
    .option('--item <name>', 'the item that latest is of')
    .action((point: string, _options: unknown, command: Command) => run<ShowOptions>(command, async (options, out) => (await import('./show.js')).runShow(point, options, out)));
}

function addRestore(program: Command, run: Run): void {
  addRemoteRestoreOptions(program.command('restore').description('write a disk back as a raw image, byte for byte, or have the app restore into Azure')
    .argument('<recovery-point>', 'its id, or latest')
    .option('--to <file>', 'the image to write')
    .option('--item <name>', 'the item that latest is of')
    .option('--disk <disk>', 'which disk, by name or lun')
    .option('--force', 'replace the file when it exists')
    .option('--differential', 'take from the vault only what differs in the existing file, page blob or (--in-place) machine\'s disks')
    .option('--threads <n>', 'worker threads; 0 works without', threadCount))
    .action((point: string, _options: unknown, command: Command) => run<RestoreOptions>(command, async (options, out) => {
      // A restore into Azure is done by the app.
      if (options.to !== undefined) (await import('./ahead.js')).startThreads(options.threads);
      return (await import('./restore.js')).runRestore(point, options, out);
    }));
  program.command('export').description('write a disk as a raw image or a fixed VHD, into a file or to stdout, or all disks as a tar archive')
    .argument('<recovery-point>', 'its id, or latest')
    .requiredOption('--format <format>', 'raw, vhd or tar')
    .option('--to <file>', 'the file, or - for stdout', '-')
    .option('--item <name>', 'the item that latest is of')
    .option('--disk <disk>', 'which disk, by name or lun')
    .option('--force', 'replace the file when it exists')
    .option('--threads <n>', 'worker threads for a file; 0 works without', threadCount)
    .option('--disk-format <format>', 'what the disks in a tar archive are: raw or vhd')
    .option('--block-size <bytes>', 'size of a tar archive\'s records, a multiple of 512', recordBytes)
    .action((point: string, _options: unknown, command: Command) => run<ExportOptions>(command, async (options, out) => (await import('./export.js')).runExport(point, options, out)));
}

function addCheck(program: Command, run: Run): void {
  program.command('check').description('read everything that recovery points need, and prove it')
    .argument('[what]', 'a recovery point, latest, an item, or all', 'all')
    .option('--item <name>', 'the item that latest is of')
    .option('--threads <n>', 'worker threads; 0 works without', threadCount)
    .action((what: string, _options: unknown, command: Command) => run<CheckOptions>(command, async (options, out) => {
      (await import('./ahead.js')).startThreads(options.threads);
      return (await import('./check.js')).runCheck(what, options, out);
    }));
}

function addScrub(program: Command, run: Run): void {
  program.command('scrub').description('read and prove a day\'s share of the vault, what waits longest first, and go on where the last one stopped')
    .option('--days <n>', 'days of one round through the whole vault: a run reads one part in so many', roundDays, DEFAULT_ROUND_DAYS)
    .option('--all', 'read all that is left of this round')
    .option('--threads <n>', 'worker threads; 0 works without', threadCount)
    .action((_options: unknown, command: Command) => run<ScrubOptions>(command, async (options, out) => {
      (await import('./ahead.js')).startThreads(options.threads);
      return (await import('./scrub.js')).runScrub(options, out);
    }));
}

function addCollect(program: Command, run: Run): void {
  program.command('collect').description('delete what no recovery point needs any more')
    .option('--dry-run', 'only say what would go, and why')
    .option('--approve <token>', 'carry out the unusual plan that a dry run showed, and no other')
    .action((_options: unknown, command: Command) => run<CollectCommandOptions>(command, async (options, out) => (await import('./collect.js')).runCollect(options, out)));
}

function addLock(program: Command, run: Run): void {
  program.command('lock').description('hold what recovery points need for longer, in a container with version-level immutability')
    .option('--days <n>', 'for how many days ahead (or HOLDFAST_LOCK_DAYS)')
    .option('--dry-run', 'say what is due, change nothing')
    .action((_options: unknown, command: Command) => run<LockCommandOptions>(command, async (options, out) => (await import('./lock.js')).runLock(options, out)));
}

function addCost(program: Command, run: Run): void {
  program.command('cost').description('what the vault costs in a month, and the same under Azure Backup; or what a policy would cost')
    .option('--policy <policy>', 'forecast a year of this policy, by name or as a file, for the items of the vault')
    .option('--prices <file>', 'your own price file')
    .option('--redundancy <kind>', 'LRS, ZRS, GRS or GZRS, if not what the prices say')
    .action((_options: unknown, command: Command) => run<CostCommandOptions>(command, async (options, out) => (await import('./cost.js')).runCost(options, out)));
}

function addAudit(program: Command, run: Run): void {
  program.command('audit').description('show who changed or restored what, or prove that the trail of it is whole')
    .option('--verify', 'read the whole trail and prove it')
    .option('--anchor <number:digest...>', 'with --verify: where the trail stood at some time, as it was written down elsewhere')
    .option('--jsonl', 'all of it as JSON lines, and prove it')
    .option('--who <text>', 'only of whom: a part of the name or id')
    .option('--action <action>', 'only this action, or those that begin so, such as recovery-point')
    .option('--target <text>', 'only on what: a part of its name')
    .option('--outcome <outcome>', 'only begun, done, refused or failed')
    .option('--since <time>', 'only from this time on, such as 2026-11-23 or 2026-11-23T08:00:00Z')
    .option('--until <time>', 'only before this time')
    .option('--limit <n>', 'so many of the latest', recordCount, 100)
    .action((_options: unknown, command: Command) => run<AuditOptions>(command, async (options, out) => (await import('./audit.js')).runAudit(options, out)));
}

function recordCount(text: string): number {
  const value = Number(text);
  if (!/^\d{1,7}$/.test(text) || value < 1) throw new InvalidArgumentError('It is a whole number from 1 on.');
  return value;
}

function roundDays(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 366) throw new InvalidArgumentError('It is a whole number of days from 1 to 366.');
  return value;
}

function threadCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > MAX_THREADS) throw new InvalidArgumentError(`It is a whole number from 0 to ${MAX_THREADS}.`);
  return value;
}

function recordBytes(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 512 || value > MAX_RECORD_BYTES || value % 512 !== 0) throw new InvalidArgumentError(`It is a multiple of 512, from 512 to ${MAX_RECORD_BYTES}.`);
  return value;
}

// A thread that did not end must not keep the finished command waiting, so the process is ended and not left to end.
if (require.main === module) void main(process.argv.slice(2)).then((exitCode) => process.exit(exitCode));
