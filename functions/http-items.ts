import type { HttpHandler } from '@azure/functions';
import * as df from 'durable-functions';
import { z } from 'zod';
import type { VmSummary } from '../activities/cloud';
import { listPolicies, loadPolicy } from '../activities/policy-store';
import { HoldfastError } from '../errors/holdfast-error';
import { itemIdOfResource } from '../policy/item-id';
import { policyFor } from '../policy/select';
import { formatStamp } from '../policy/slot';
import type { BackupVmInput } from '../orchestrations/backup-vm';
import { backupInstanceId, ORCHESTRATIONS } from '../orchestrations/names';
import { listItems as listVaultItems, listRecoveryPoints, type ItemSummary } from '../vault/catalog';
import { findStatus } from './durable-status';
import { json, readJson } from './problem';
import { summarize } from './recovery-point-view';
import type { Services } from './services';

export interface ItemView {
  readonly id: string;
  readonly name: string;
  /** null for an item whose machine is gone: its recovery points stay. */
  readonly resourceId: string | null;
  readonly tags: Readonly<Record<string, string>>;
  /** Policies in force that cover it; none means unprotected. */
  readonly policies: readonly string[];
  readonly recoveryPoints: number;
  readonly latest: ItemSummary['latest'];
  /** null: nothing of it was ever read back and proved. */
  readonly proved: ItemSummary['proved'];
}

/** What can be protected (the machines) and what is in the vault, joined by item id. */
async function allItems({ deps }: Services): Promise<ItemView[]> {
  const vault = await deps.vault();
  const [vms, stored] = [await deps.cloud.listVms(), await listVaultItems(vault)];
  const broken = (name: string): void => deps.log('A policy cannot be read: what it covers is not known', { policy: name });
  const policies = (await listPolicies(vault.store, broken)).map(({ document }) => document);
  const byId = new Map(stored.map((item) => [item.itemId, item]));
  const views = vms.map((vm: VmSummary): ItemView => {
    const id = itemIdOfResource(vm.id);
    const item = byId.get(id);
    byId.delete(id);
    return {
      id, name: vm.name, resourceId: vm.id, tags: vm.tags, policies: policyFor(vm, policies).map(({ name }) => name),
      recoveryPoints: item?.recoveryPoints ?? 0, latest: item?.latest ?? null, proved: item?.proved ?? null,
    };
  });
  const gone = [...byId.values()].map((item): ItemView => ({
    id: item.itemId, name: item.name ?? item.itemId, resourceId: null, tags: {}, policies: [], recoveryPoints: item.recoveryPoints, latest: item.latest, proved: item.proved,
  }));
  return [...views, ...gone].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** An item by its id, or by its machine's name where only one has it. Throws ITEM_NOT_FOUND. */
async function findItem(services: Services, asked: string): Promise<ItemView> {
  const items = await allItems(services);
  const exact = items.find(({ id }) => id === asked);
  if (exact) return exact;
  const named = items.filter(({ name }) => name === asked);
  if (named.length === 1) return named[0] as ItemView;
  const why = named.length > 1 ? `${named.length} items are called "${asked}": use the id (${named.map(({ id }) => id).join(', ')})` : `There is no item "${asked.slice(0, 120)}"`;
  throw new HoldfastError('ITEM_NOT_FOUND', why, { data: { item: asked.slice(0, 120) } });
}

export const listItems = (services: Services): HttpHandler => async () => json(await allItems(services));

export const getItem = (services: Services): HttpHandler => async (request) => json(await findItem(services, request.params.item ?? ''));

/** Live ones; with `?deleted=true` also those in the bin. */
export const listItemRecoveryPoints = (services: Services): HttpHandler => async (request) => {
  const item = await findItem(services, request.params.item ?? '');
  const deleted = request.query.get('deleted') === 'true';
  const { points, damaged } = await listRecoveryPoints(await services.deps.vault(), item.id, { deleted });
  return json([...points.map(summarize), ...damaged.map(({ id, error }) => ({ id, itemId: item.id, damaged: true, error }))]);
};

/** Requests for one item within a millisecond; more than that is an engine that starts what it then denies. */
const MAX_STARTS = 10;

/** Starts a job under a stamp that no other job of the item has: two requests within a millisecond are two jobs. Returns its id. */
async function startJob(client: df.DurableClient, job: Omit<BackupVmInput, 'stamp'>, nowMs: number): Promise<string> {
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

const bodySchema = z.strictObject({ policy: z.string().regex(/^[a-z0-9-]{1,40}$/, 'is not the name of a policy').optional() }).optional();

/** Starts a backup now. 202 with the job's address. The policy is the one named, or the first that covers the item, or the defaults. */
export const startBackup = (services: Services): HttpHandler => async (request, context) => {
  const parsed = bodySchema.safeParse(await readJson(request));
  if (!parsed.success) {
    const fields = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
    throw new HoldfastError('REQUEST_INVALID', `The body is wrong: ${fields.join('; ')}`, { data: { fields } });
  }
  const item = await findItem(services, request.params.item ?? '');
  if (item.resourceId === null) throw new HoldfastError('CLOUD_NOT_FOUND', `The machine of ${item.id} is gone; its recovery points can still be restored`);
  const policy = parsed.data?.policy ?? item.policies[0] ?? null;
  const vault = await services.deps.vault();
  if (policy !== null && !await loadPolicy(vault.store, policy)) throw new HoldfastError('POLICY_NOT_FOUND', `There is no policy "${policy}"`);
  const instanceId = await startJob(df.getClient(context), { itemId: item.id, vmId: item.resourceId, slot: null, policy }, services.deps.nowMs());
  const location = `/api/jobs/${instanceId}`;
  return json({ id: instanceId, itemId: item.id, state: 'queued', location }, { status: 202, headers: { location } });
};
