import { isDeepStrictEqual } from 'node:util';
import type * as df from 'durable-functions';
import { z } from 'zod';
import { findFleetItem, type ItemView, listFleetItems } from '../activities/fleet-items';
import { loadPolicy } from '../activities/policy-store';
import { HoldfastError } from '../errors/holdfast-error';
import { formatStamp } from '../policy/slot';
import type { BackupVmInput } from '../orchestrations/backup-vm';
import { backupInstanceId, ORCHESTRATIONS } from '../orchestrations/names';
import { findStatus } from './durable-status';
import { listPoints, pointList, pointsQuery } from './http-recovery-points';
import { listOf, pageFrom, pageQuery } from './paging';
import { json, located } from './problem';
import { pathId, route } from './route';
import { started } from './schemas/common';
import { item as itemSchema } from './schemas/points';
import type { Services } from './services';

/** An item by its id, or by its machine's name where only one has it. Throws ITEM_NOT_FOUND. */
export const findItem = ({ fleet, deps }: Services, asked: string): Promise<ItemView> => findFleetItem(fleet, asked, deps.nowMs());

/** The same of one whose machine is there. Throws CLOUD_NOT_FOUND as well. */
export async function findMachine(services: Services, asked: string): Promise<ItemView & { readonly resourceId: string }> {
  const item = await findItem(services, asked);
  if (item.resourceId === null) throw new HoldfastError('CLOUD_NOT_FOUND', `The machine of ${item.id} is gone; its recovery points can still be restored`);
  return { ...item, resourceId: item.resourceId };
}

const itemsQuery = z.strictObject({
  ...pageQuery,
  name: z.string().max(200).optional().meta({ description: 'Part of the name or of the id, in any case' }),
  tag: z.string().min(1).max(800).optional().meta({ description: 'NAME, or NAME=VALUE. Names of tags have no case, values have' }),
  protected: z.enum(['true', 'false']).optional().meta({ description: 'Whether an enabled policy covers it' }),
});

/** What a query asks for. */
function isWanted({ name, tag, protected: covered }: z.output<typeof itemsQuery>): (item: ItemView) => boolean {
  const part = name?.toLowerCase() ?? '';
  const [tagName = '', ...value] = tag?.split('=') ?? [];
  return (item) => {
    if (!item.name.toLowerCase().includes(part) && !item.id.includes(part)) return false;
    if (covered !== undefined && (item.policies.length > 0) !== (covered === 'true')) return false;
    if (tag === undefined) return true;
    return Object.entries(item.tags).some(([own, its]) => own.toLowerCase() === tagName.toLowerCase() && (value.length === 0 || its === value.join('=')));
  };
}

/** Pages as text, beside the list that they are of: writing a thousand items takes longer than anything else about them, and everybody who looks at once gets the same. */
const pages = new WeakMap<readonly ItemView[], Map<string, string>>();
const MAX_PAGES = 16;

const listItems = route({
  id: 'listItems', method: 'GET', path: 'items', role: 'Reader', query: itemsQuery, responses: { 200: listOf('ItemList', itemSchema) },
  summary: 'Machines that can be protected and items of the vault, by id, with what covers them',
  async handler({ request, query, services }) {
    const { items } = await listFleetItems(services.fleet, services.deps.nowMs());
    const address = new URL(request.url).search;
    const known = pages.get(items)?.get(address);
    if (known !== undefined) return { body: known, headers: { 'content-type': 'application/json' } };
    const page = await pageFrom(request, query, items.filter(isWanted(query)), ({ id }) => id, (entries) => entries);
    const texts = pages.get(items) ?? new Map<string, string>();
    if (texts.size < MAX_PAGES) pages.set(items, texts.set(address, JSON.stringify(page)));
    return json(page);
  },
});

const ofItem = z.strictObject({ item: pathId });

const getItem = route({
  id: 'getItem', method: 'GET', path: 'items/{item}', role: 'Reader', params: ofItem, responses: { 200: itemSchema },
  summary: 'An item, by its id or by a name that only one has',
  handler: async ({ params, services }) => json(await findItem(services, params.item)),
});

const listItemRecoveryPoints = route({
  id: 'listItemRecoveryPoints', method: 'GET', path: 'items/{item}/recovery-points', role: 'Reader', params: ofItem, query: z.strictObject(pointsQuery), responses: { 200: pointList },
  summary: 'Recovery points of an item, newest first',
  handler: async ({ request, params, query, services }) => json(await listPoints(request, services.fleet, query, (await findItem(services, params.item)).id)),
});

/** Requests for one item within a millisecond; more than that is an engine that starts what it then denies. */
const MAX_STARTS = 10;

/**
 * Starts a job under a stamp that no other job of the item has: two requests within a millisecond are two jobs. Returns its id, or that of the job that an
 * earlier try of the same request started.
 */
async function startJob(client: df.DurableClient, job: Omit<BackupVmInput, 'stamp'>, nowMs: number, earlierMs: readonly number[]): Promise<string> {
  for (const ms of earlierMs) {
    const started = await startedAt(client, job, ms);
    if (started !== undefined) return started;
  }
  let refused = 0;
  for (let ms = nowMs; ; ms++) {
    const stamp = formatStamp(ms);
    const instanceId = backupInstanceId(job.itemId, stamp);
    if (await findStatus(client, instanceId)) continue;
    try {
      await client.startNew(ORCHESTRATIONS.backupVm, { instanceId, input: { ...job, stamp } satisfies BackupVmInput });
      return instanceId;
    } catch (error) {
      // Someone took the id between the look and the start; anything else is an error.
      if (++refused >= MAX_STARTS || !await findStatus(client, instanceId)) throw error;
    }
  }
}

/** The job like this one that was started at that moment. */
async function startedAt(client: df.DurableClient, job: Omit<BackupVmInput, 'stamp'>, atMs: number): Promise<string | undefined> {
  for (let ms = atMs; ms < atMs + MAX_STARTS; ms++) {
    const stamp = formatStamp(ms);
    const status = await findStatus(client, backupInstanceId(job.itemId, stamp));
    if (!status) return undefined;
    if (isDeepStrictEqual(status.input, { ...job, stamp } satisfies BackupVmInput)) return status.instanceId;
  }
  return undefined;
}

const backupBody = z.strictObject({ policy: z.string().regex(/^[a-z0-9-]{1,40}$/, 'is not the name of a policy').optional() }).optional();

const startBackup = route({
  id: 'startBackup', method: 'POST', path: 'items/{item}/backups', role: 'Operator', action: 'backup.start', params: ofItem, body: backupBody, responses: { 202: started.extend({ itemId: z.string() }).meta({ id: 'BackupStarted' }) },
  summary: 'Starts a backup now, under the policy named, or the first that covers the item, or the defaults',
  audit: ({ body }) => ({ policy: body?.policy ?? null }),
  async handler({ params, body, client, services, atMs, earlierMs }) {
    const item = await findMachine(services, params.item);
    const policy = body?.policy ?? item.policies[0] ?? null;
    const vault = await services.deps.vault();
    if (policy !== null && !await loadPolicy(vault.store, policy)) throw new HoldfastError('POLICY_NOT_FOUND', `There is no policy "${policy}"`);
    const instanceId = await startJob(client, { itemId: item.id, vmId: item.resourceId, slot: null, policy }, atMs, earlierMs);
    return located({ id: instanceId, itemId: item.id, state: 'queued', location: `/api/jobs/${instanceId}` });
  },
});

export const itemRoutes = [listItems, getItem, listItemRecoveryPoints, startBackup];
