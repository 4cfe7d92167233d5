// What there is to type about jobs and policies, which belong to an app.
import type { Command } from 'commander';
import type { JobsOptions } from './app-jobs';
import type { ApprovalsOptions } from './approvals';
import type { CommonOptions } from './command-options';
import type { NotificationsOptions } from './notifications';
import type { PolicyPutOptions } from './policy';
import type { Run } from './run';

export function addAppCommands(program: Command, run: Run): void {
  program.command('jobs').description('list the jobs of an app, or show one')
    .argument('[job]', 'its id')
    .option('--item <name>', 'only of this item')
    .option('--running', 'only those that have not ended')
    .action((id: string | undefined, _options: unknown, command: Command) => run<JobsOptions>(command, async (options, out) => (await import('./app-jobs.js')).runJobs(id, options, out)));
  program.command('cancel').description('stop a job of an app')
    .argument('<job>', 'its id')
    .action((id: string, _options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./app-jobs.js')).runCancel(id, options, out)));
  addApprovals(program, run);
  addNotifications(program, run);
  const policy = program.command('policy').description('list, show, store and delete policies');
  policy.command('list').description('list the policies')
    .action((_options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./policy.js')).runPolicyList(options, out)));
  policy.command('show').description('show a policy')
    .argument('<name>', 'its name')
    .action((name: string, _options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./policy.js')).runPolicyShow(name, options, out)));
  policy.command('put').description('have an app store the policy in a file')
    .argument('<file>', 'the document, as docs/policies.md has it')
    .option('--confirm <token>', 'store one that keeps less: what the refusal says')
    .action((file: string, _options: unknown, command: Command) => run<PolicyPutOptions>(command, async (options, out) => (await import('./policy.js')).runPolicyPut(file, options, out)));
  policy.command('delete').description('have an app take a policy out of force')
    .argument('<name>', 'its name')
    .action((name: string, _options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./policy.js')).runPolicyDelete(name, options, out)));
}

function addNotifications(program: Command, run: Run): void {
  const notification = program.command('notification').description('list what an app told people of, and say whom it tells');
  notification.command('list').description('list what people were told of, and what became of it')
    .option('--dead', 'only what was given up')
    .action((_options: unknown, command: Command) => run<NotificationsOptions>(command, async (options, out) => (await import('./notifications.js')).runNotifications(options, out)));
  notification.command('targets').description('show the webhooks that people are told by')
    .action((_options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./notifications.js')).runNotificationTargets(options, out)));
  notification.command('put').description('have an app tell people by the webhooks in a file')
    .argument('<file>', 'the document, as docs/notifications.md has it')
    .action((file: string, _options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./notifications.js')).runNotificationPut(file, options, out)));
  notification.command('test').description('send a test to a webhook')
    .argument('<target>', 'its name')
    .action((target: string, _options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./notifications.js')).runNotificationTest(target, options, out)));
}

function addApprovals(program: Command, run: Run): void {
  const approval = program.command('approval').description('list, show and decide what an app does only when a second person agrees');
  approval.command('list').description('list what waits for a second person, or for its time')
    .option('--all', 'also what is over')
    .action((_options: unknown, command: Command) => run<ApprovalsOptions>(command, async (options, out) => (await import('./approvals.js')).runApprovals(options, out)));
  approval.command('show').description('show what somebody asked for, who agreed, and what came of it')
    .argument('<approval>', 'its id')
    .action((id: string, _options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./approvals.js')).runApprovalShow(id, options, out)));
  for (const [verb, does] of [['approve', 'agree to what another person asked for'], ['reject', 'stop what another person asked for'], ['cancel', 'take back what you asked for']] as const) {
    approval.command(verb).description(does)
      .argument('<approval>', 'its id')
      .action((id: string, _options: unknown, command: Command) => run<CommonOptions>(command, async (options, out) => (await import('./approvals.js')).runApprovalDecision(id, verb, options, out)));
  }
}
