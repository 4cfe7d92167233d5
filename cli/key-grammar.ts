// What there is to type after `holdfast key`. The code is loaded only when one of these runs.
import { type Command, Option } from 'commander';
import type { CommonOptions } from './command-options';
import type { KeyAddOptions, KeyRemoveOptions, KeyRotateOptions, KeyTestOptions } from './key';
import type { Run } from './run';

export function addKeyCommands(program: Command, run: Run): void {
  const key = program.command('key').description('list, add, test, rotate and remove the keys that open the vault');
  key.command('list').description('list the keys, which takes none of them')
    .action((_options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./key.js')).runKeyList(options, out)));
  newKeyOptions(key.command('add').description('let one more key open the vault'))
    .action((_options: unknown, command: Command) => run<KeyAddOptions>(command, async (options, out) => (await import('./key.js')).runKeyAdd(options, out)));
  newKeyOptions(key.command('rotate').description('put a new key in the place of the one that opens the vault now'))
    .option('--remove-old', 'remove the old key when the new one is proved')
    .option('--yes', 'do it: there is no way back')
    .action((_options: unknown, command: Command) => run<KeyRotateOptions>(command, async (options, out) => (await import('./key.js')).runKeyRotate(options, out)));
  key.command('remove').description('remove a key; another one that opens the vault must be at hand')
    .argument('<key-id>', 'as key list shows it')
    .option('--also-key <file...>', 'more key files to prove')
    .option('--yes', 'do it: there is no way back')
    .action((id: string, _options: unknown, command: Command) => run<KeyRemoveOptions>(command, async (options, out) => (await import('./key.js')).runKeyRemove(id, options, out)));
  key.command('test').description('prove that the keys at hand open the vault')
    .option('--also-key <file...>', 'more key files to prove')
    .action((_options: unknown, command: Command) => run<KeyTestOptions>(command, async (options, out) => (await import('./key.js')).runKeyTest(options, out)));
}

function newKeyOptions(command: Command): Command {
  return command
    .addOption(new Option('--type <type>', 'what the new key is').choices(['key-file', 'passphrase', 'key-vault']).makeOptionMandatory())
    .option('--new-key <file>', 'where the new key file goes')
    .option('--new-passphrase-file <file>', 'file with the new passphrase (or HOLDFAST_NEW_PASSPHRASE; otherwise it is asked for)')
    .option('--new-key-vault <id>', 'id of the new key in Azure Key Vault; without a version the newest is taken and pinned')
    .option('--label <text>', 'what people shall know it by')
    .option('--escrow', 'label it escrow: a key that is kept for the day when the others are lost');
}
