import { z } from 'zod';
import { cloudEventOf, findNotice, findOutcome, type ListedNotice, listNotices, type Notice, noticeOf, type NoticeOutcome } from '../activities/notice';
import { loadNotifications, type Notifications, parseNotifications, saveNotifications } from '../activities/notice-targets';
import { HoldfastError } from '../errors/holdfast-error';
import { tellInstanceId } from '../orchestrations/names';
import type { TellStatus } from '../orchestrations/tell';
import { findStatus, isActive } from './durable-status';
import { pageFrom, pageQuery } from './paging';
import { json } from './problem';
import { expectedRevision, revised, stored } from './revisions';
import { type Call, pathId, route } from './route';
import { DELIVERY_STATES as STATES, deliveryList, deliveryWithEvent, notifications as notificationsView, notificationsBody, notificationTest } from './schemas/notifications';
import type { Services } from './services';

const view = ({ notifications: { courier } }: Services, { targets }: Notifications, revision: number) =>
  ({ targets: targets.map((target) => ({ ...target, secret: courier.hasSecret(target.name) })), revision });

const getNotifications = route({
  id: 'getNotifications', method: 'GET', path: 'notifications', role: 'Reader', responses: { 200: notificationsView }, versioned: true,
  summary: 'The webhooks that people are told by; the ETag is their revision',
  async handler({ services }) {
    const { document, revision } = await loadNotifications((await services.deps.vault()).store);
    return revised(view(services, document, revision));
  },
});

const putNotifications = route({
  id: 'putNotifications', method: 'PUT', path: 'notifications', role: 'Admin', action: 'notifications.put', body: notificationsBody, responses: { 200: notificationsView, 201: notificationsView }, versioned: true,
  // What is checked of an address needs the services; here it is the form alone, so that the code is one.
  parseBody: (value) => value as Notifications,
  summary: 'Stores the webhooks that people are told by, the only addresses that anything is sent to; with If-Match only over the revision that it names',
  async handler({ body, request, services }) {
    const document = parseNotifications(body, services.notifications.courier);
    const revision = await saveNotifications((await services.deps.vault()).store, document, expectedRevision(request.headers));
    return stored(view(services, document, revision));
  },
});

const testNotification = route({
  id: 'testNotification', method: 'POST', path: 'notifications/test', role: 'Admin', action: 'notifications.test', body: z.strictObject({ target: z.string().min(1).max(40) }), responses: { 200: notificationTest },
  summary: 'Sends an event of the type holdfast.test to a target once, and says what came of it',
  async handler({ body: { target: name }, caller, services: { deps, notifications } }) {
    const vault = await deps.vault();
    const target = (await loadNotifications(vault.store)).document.targets.find((one) => one.name === name);
    if (!target) throw new HoldfastError('NOTIFICATION_NOT_FOUND', `There is no target ${JSON.stringify(name)}`);
    const at = new Date(deps.nowMs()).toISOString();
    const notice = noticeOf(vault.keys.vaultId, {
      type: 'holdfast.test', key: `${name} ${at}`, at, severity: 'info', about: name, subject: `A test of the target ${name}`, lines: [`This is a test, asked for by ${caller.name}. Nothing is wrong.`], data: { target: name, askedBy: caller.name },
    });
    const delivery = await notifications.courier.send({ target: name, url: target.url, id: notice.id, body: cloudEventOf(vault.keys.vaultId, notice), handshake: target.handshake, nowMs: deps.nowMs() });
    return json({ target: name, id: notice.id, delivered: delivery.outcome === 'delivered', status: delivery.status, reason: delivery.reason });
  },
});

/** One event as people see it: what it says, and how far it came. */
async function viewOf(client: Call['client'], id: string, notice: Notice | undefined, outcome: NoticeOutcome | undefined) {
  const telling = outcome ? undefined : await findStatus(client, tellInstanceId(id));
  const progress = telling && isActive(telling) ? telling.customStatus as TellStatus | null : null;
  const targets = outcome?.targets ?? progress?.targets.map(({ open, state, ...target }) => ({ ...target, state: open ? 'open' : state })) ?? [];
  const state: (typeof STATES)[number] = !outcome ? 'open' : targets.some((target) => target.state === 'dead') ? 'dead' : targets.length > 0 ? 'delivered' : 'unwanted';
  return { id, type: notice?.type ?? null, at: notice?.at ?? null, severity: notice?.severity ?? null, about: notice?.about ?? null, subject: notice?.subject ?? null, state, nextAt: progress?.nextAt ?? null, endedAt: outcome?.endedAt ?? null, targets };
}

async function deliveryView({ client, services: { deps } }: Pick<Call, 'client' | 'services'>, { id, ended }: ListedNotice): ReturnType<typeof viewOf> {
  const vault = await deps.vault();
  return viewOf(client, id, await findNotice(vault, id), ended ? await findOutcome(vault, id) : undefined);
}

const listDeliveries = route({
  id: 'listDeliveries', method: 'GET', path: 'notifications/deliveries', role: 'Reader', responses: { 200: deliveryList }, query: z.strictObject({ ...pageQuery, state: z.enum(STATES).optional() }),
  summary: 'Events that people were told of, the newest first, and what became of each; state=dead has those that were given up',
  async handler(call) {
    const { query: { state, ...page }, request, services: { deps } } = call;
    const all = (await listNotices(await deps.vault())).filter(({ ended }) => state === undefined || ended === (state !== 'open')).reverse();
    const keyOf = ({ storedAtMs, id }: ListedNotice): string => `${String(storedAtMs).padStart(15, '0')}.${id}`;
    // Only who asks for a state has to be looked at before it is known whether it is of the page.
    async function* wanted(): AsyncGenerator<{ one: ListedNotice; view?: Awaited<ReturnType<typeof viewOf>> }> {
      for (const one of all) {
        const view = state === undefined ? undefined : await deliveryView(call, one);
        if (view === undefined) yield { one };
        else if (view.state === state) yield { one, view };
      }
    }
    return json(await pageFrom(request, page, wanted(), ({ one }) => keyOf(one), (shown) => Promise.all(shown.map(async ({ one, view }) => view ?? await deliveryView(call, one))), 'descending'));
  },
});

const getDelivery = route({
  id: 'getDelivery', method: 'GET', path: 'notifications/deliveries/{id}', role: 'Reader', params: z.strictObject({ id: pathId }), responses: { 200: deliveryWithEvent },
  summary: 'An event with all that it says, and what became of it at each target',
  async handler(call) {
    const { params: { id }, client, services: { deps } } = call;
    const vault = await deps.vault();
    const notice = /^[0-9a-f]{32}$/.test(id) ? await findNotice(vault, id) : undefined;
    if (!notice) throw new HoldfastError('NOTIFICATION_NOT_FOUND', `There is no event "${id.slice(0, 80)}"`);
    return json({ ...await viewOf(client, id, notice, await findOutcome(vault, id)), event: JSON.parse(cloudEventOf(vault.keys.vaultId, notice)) as unknown });
  },
});

export const notificationRoutes = [getNotifications, putNotifications, testNotification, listDeliveries, getDelivery];
