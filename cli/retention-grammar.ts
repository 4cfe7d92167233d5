// What there is to type about retention, the bin and holds.
import type { Command } from 'commander';
import type { DeleteOptions } from './delete';
import type { HoldOptions } from './hold';
import type { RetentionOptions } from './retention';
import type { Run } from './run';

export function addRetentionCommands(program: Command, run: Run): void {
  addRetention(program, run);
  addHolds(program, run);
}

function addRetention(program: Command, run: Run): void {
  program.command('retention').description('put recovery points that no rule keeps into the bin, or show what keeps each')
    .option('--preview', 'only show what keeps each recovery point and until when, and what would go')
    .option('--dry-run', 'the same')
    .option('--item <name>', 'only of this item')
    .option('--policy <file|name>', 'only what this policy of the vault made; or the rules of a document that is not in force')
    .option('--approve <token>', 'carry out the plan that was refused with this token')
    .action((_options: unknown, command: Command) => run<RetentionOptions>(command, async (options, out) => (await import('./retention.js')).runRetention(options, out)));
  program.command('delete').description('put a recovery point into the bin for 14 days')
    .argument('<recovery-point>', 'its id')
    .option('--dry-run', 'only say whether it could be')
    .action((point: string, _options: unknown, command: Command) => run<DeleteOptions>(command, async (options, out) => (await import('./delete.js')).runDelete(point, options, out)));
  program.command('undelete').description('take a recovery point out of the bin')
    .argument('<recovery-point>', 'its id')
    .option('--dry-run', 'only say whether it could be')
    .action((point: string, _options: unknown, command: Command) => run<DeleteOptions>(command, async (options, out) => (await import('./delete.js')).runUndelete(point, options, out)));
}

function addHolds(program: Command, run: Run): void {
  program.command('hold').description('put a legal hold on a recovery point: nothing deletes it')
    .argument('<recovery-point>', 'its id')
    .requiredOption('--label <label>', 'what it is for, for instance the number of a case')
    .action((point: string, _options: unknown, command: Command) => run<HoldOptions>(command, async (options, out) => (await import('./hold.js')).runHold(point, options, out)));
  program.command('release').description('take a legal hold off a recovery point')
    .argument('<recovery-point>', 'its id')
    .requiredOption('--label <label>', 'the label of the hold')
    .option('--yes', 'yes, it may be deleted then')
    .action((point: string, _options: unknown, command: Command) => run<HoldOptions>(command, async (options, out) => (await import('./hold.js')).runRelease(point, options, out)));
}
