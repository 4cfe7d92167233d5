import { z } from 'zod';
import { notificationsSchema } from '../../activities/notice-targets';
import { NOTICE_TYPES, SEVERITIES } from '../../activities/notice-types';
import { listOf } from '../paging';
import { count, time } from './common';

const target = z.strictObject({
  name: z.string(), url: z.string(), enabled: z.boolean(), events: z.array(z.enum(NOTICE_TYPES)).optional(), handshake: z.boolean(),
  secret: z.boolean().meta({ description: 'Whether HOLDFAST_WEBHOOK_SECRETS has a secret for it' }),
});
export const notifications = z.strictObject({ targets: z.array(target), revision: count }).meta({ id: 'Notifications' });
/** What is given; what is answered has a revision besides. */
export const notificationsBody = notificationsSchema.meta({ id: 'NewNotifications' });

export const notificationTest = z.strictObject({
  target: z.string(), id: z.string().meta({ description: 'Of the event, as the receiver got it' }), delivered: z.boolean(), status: z.int().nullable().meta({ description: 'Of the receiver\'s answer' }), reason: z.string(),
}).meta({ id: 'NotificationTest' });

export const DELIVERY_STATES = ['open', 'delivered', 'dead', 'unwanted'] as const;
const delivery = {
  id: z.string(), type: z.enum(NOTICE_TYPES).nullable(), at: time.nullable(), severity: z.enum(SEVERITIES).nullable(), about: z.string().nullable(), subject: z.string().nullable(),
  state: z.enum(DELIVERY_STATES).meta({ description: 'dead: given up at one target at least; unwanted: no target wanted it' }), nextAt: time.nullable().meta({ description: 'When it is tried again' }), endedAt: time.nullable(),
  targets: z.array(z.strictObject({ target: z.string(), state: z.enum(['open', 'delivered', 'dead']), attempts: count, status: z.int().nullable(), reason: z.string(), at: time })),
};
export const deliveryList = listOf('DeliveryList', z.strictObject(delivery).meta({ id: 'Delivery' }));
export const deliveryWithEvent = z.strictObject({
  ...delivery, event: z.looseObject({ specversion: z.literal('1.0'), id: z.string(), source: z.string(), type: z.string(), data: z.looseObject({ subject: z.string(), text: z.string() }) }).meta({ description: 'The CloudEvent' }),
}).meta({ id: 'DeliveryWithEvent' });
