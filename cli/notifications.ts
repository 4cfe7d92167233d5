import { readFile } from 'node:fs/promises';
import { HoldfastError } from '../errors/holdfast-error';
import { appNeeded } from './app-client';
import type { CommonOptions } from './command-options';
import type { Output } from './output';
import { table } from './sizes';

interface Targets { readonly revision: number; readonly targets: readonly { readonly name: string; readonly url: string; readonly enabled: boolean; readonly secret: boolean; readonly events?: readonly string[] }[] }
interface Told { readonly id: string; readonly at: string | null; readonly state: string; readonly subject: string | null; readonly targets: readonly { readonly target: string; readonly state: string; readonly reason: string }[] }

export interface NotificationsOptions extends CommonOptions {
  /** Only those that were given up. */
  readonly dead?: boolean;
}

const WHAT = 'Telling people';

/** Lists what people were told of, and what became of it. 4 where something of that was given up. */
export async function runNotifications(options: NotificationsOptions, out: Output): Promise<number> {
  const all = await appNeeded(options, WHAT).all<Told>(`/api/notifications/deliveries?limit=1000${options.dead === true ? '&state=dead' : ''}`);
  out.answer(all, () => (all.length === 0 ? ['Nobody was told of anything.'] : table([
    ['AT', 'STATE', 'WHAT', 'GIVEN UP'], ...all.map(({ at, state, subject, targets }) => [at ?? '-', state, subject ?? '-', targets.filter((one) => one.state === 'dead').map(({ target, reason }) => `${target}: ${reason}`).join('; ')]),
  ])));
  return all.some(({ state }) => state === 'dead') ? 4 : 0;
}

/** Shows the webhooks that people are told by. */
export async function runNotificationTargets(options: CommonOptions, out: Output): Promise<number> {
  const document = await appNeeded(options, WHAT).send('GET', '/api/notifications') as Targets;
  out.answer(document, () => (document.targets.length === 0 ? ['There are no targets: nobody is told of anything.'] : table([
    ['TARGET', 'IN FORCE', 'SECRET', 'ADDRESS', 'EVENTS'], ...document.targets.map(({ name, url, enabled, secret, events }) => [name, enabled ? 'yes' : 'no', secret ? 'yes' : 'missing', url, events?.join(' ') ?? 'all']),
  ])));
  return 0;
}

/** Stores the webhooks in a file. */
export async function runNotificationPut(file: string, options: CommonOptions, out: Output): Promise<number> {
  const app = appNeeded(options, WHAT);
  let document: unknown;
  try {
    document = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new HoldfastError('USAGE', `The file ${JSON.stringify(file.slice(0, 200))} cannot be read, or is no JSON`, { cause });
  }
  const stored = await app.send('PUT', '/api/notifications', document as object) as Targets;
  out.result(stored, () => [`Stored ${stored.targets.length} ${stored.targets.length === 1 ? 'target' : 'targets'}, revision ${stored.revision}.`]);
  return 0;
}

/** Sends a test to a target. 1 where it did not arrive. */
export async function runNotificationTest(target: string, options: CommonOptions, out: Output): Promise<number> {
  const tested = await appNeeded(options, WHAT).send('POST', '/api/notifications/test', { target }) as { readonly delivered: boolean; readonly reason: string };
  out.result(tested, () => [tested.delivered ? `${target} has it.` : `${target} has it not: ${tested.reason}.`]);
  return tested.delivered ? 0 : 1;
}
