import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';
import type { Store } from '../vault/store/store';
import type { Courier } from './courier';
import { NOTICE_TYPES } from './notice-types';
import { jsonOf, latestRevision, saveRevision } from './revisions';

const FOLDER = 'notifications/';
const MAX_TARGETS = 10;

const targetSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]{1,40}$/, 'expects small letters, digits and -, at most 40').meta({ description: 'Its name, by which HOLDFAST_WEBHOOK_SECRETS has its secret' }),
  url: z.string().max(500).meta({ description: 'An https address without a query; the query, where there is one, is in HOLDFAST_WEBHOOK_SECRETS' }),
  enabled: z.boolean().default(true),
  events: z.array(z.enum(NOTICE_TYPES)).min(1).max(NOTICE_TYPES.length).optional().meta({ description: 'Types of events that it gets; all when left out' }),
  handshake: z.boolean().default(false).meta({ description: 'Ask the receiver first whether it wants this (OPTIONS with WebHook-Request-Origin)' }),
});
export type Target = z.output<typeof targetSchema>;

/** The webhooks that people are told by: nothing is ever sent anywhere else. */
export const notificationsSchema = z.strictObject({
  targets: z.array(targetSchema).max(MAX_TARGETS, `expects at most ${MAX_TARGETS} targets`).refine((targets) => new Set(targets.map(({ name }) => name)).size === targets.length, 'expects each name once'),
});
export type Notifications = z.output<typeof notificationsSchema>;

export interface StoredNotifications { readonly document: Notifications; /** 0: nobody ever stored any. */ readonly revision: number }

/** Checks a document that comes from outside, addresses and secrets included. Throws NOTIFICATIONS_INVALID, which names every wrong field. */
export function parseNotifications(value: unknown, courier: Courier): Notifications {
  const parsed = notificationsSchema.safeParse(value);
  const lines = parsed.success ? [] : parsed.error.issues.slice(0, 20).map(({ path, message }) => `${path.join('.') || 'document'}: ${message}`);
  for (const { name, url } of parsed.data?.targets ?? []) {
    try {
      courier.requireAddress(url);
    } catch (error) {
      lines.push(`${name}: ${(error as Error).message}`);
    }
    if (!courier.hasSecret(name)) lines.push(`${name}: the setting HOLDFAST_WEBHOOK_SECRETS has no secret for it`);
  }
  if (!parsed.success || lines.length > 0) throw new HoldfastError('NOTIFICATIONS_INVALID', `The notifications are wrong: ${lines.join('; ')}`, { data: { fields: lines } });
  return parsed.data;
}

/** The targets in force. A document that cannot be read is an error, and not no targets. */
export async function loadNotifications(store: Store): Promise<StoredNotifications> {
  const latest = await latestRevision(store, FOLDER);
  if (!latest) return { document: { targets: [] }, revision: 0 };
  try {
    return { document: notificationsSchema.parse(JSON.parse(latest.text)), revision: latest.revision };
  } catch (cause) {
    throw new HoldfastError('NOTIFICATIONS_INVALID', `Revision ${latest.revision} of the notifications in the vault cannot be read`, { cause, data: { revision: latest.revision } });
  }
}

/** Whether anybody is to be told of anything. Where that cannot be read, yes: an event more does no harm. */
export async function hasTargets(store: Store): Promise<boolean> {
  const latest = await latestRevision(store, FOLDER);
  if (!latest) return false;
  const parsed = notificationsSchema.safeParse(jsonOf(latest));
  return !parsed.success || parsed.data.targets.some(({ enabled }) => enabled);
}

/** Stores the targets. `expected` is the revision that the change was based on; null for any. Throws NOTIFICATIONS_CHANGED. */
export async function saveNotifications(store: Store, document: Notifications, expected: number | null): Promise<number> {
  return saveRevision(store, FOLDER, document, expected, (current) =>
    new HoldfastError('NOTIFICATIONS_CHANGED', `The notifications are no longer at revision ${expected ?? current}`, { data: { revision: current } }));
}
