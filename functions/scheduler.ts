import type { InvocationContext } from '@azure/functions';
import type { DurableClient } from 'durable-functions';
import { listPolicies, type StoredPolicy } from '../activities/policy-store';
import { messageOf } from '../errors/holdfast-error';
import { redact } from '../errors/redact';
import { policyInstanceId, ORCHESTRATIONS } from '../orchestrations/names';
import type { RunPolicyInput } from '../orchestrations/run-policy';
import { dueSlot } from '../policy/due-slot';
import { itemIdOfResource } from '../policy/item-id';
import { latestSlot } from '../policy/schedule';
import { selectItems } from '../policy/select';
import { formatStamp } from '../policy/slot';
import type { VmSummary } from '../activities/cloud';
import { itemIds } from '../vault/items';
import { findStatus, isActive } from './durable-status';
import type { Services } from './services';

/**
 * One look at the clock: starts the latest slot of every policy that has not been started, and a first run for items that have none yet.
 * A slot's run has one id, so a timer that fires twice, or late, starts nothing twice; slots missed in between are not made up for.
 * A policy that cannot be read or started does not keep the others from running.
 */
export async function schedulerTick(services: Services, client: DurableClient, context: InvocationContext): Promise<void> {
  const vault = await services.deps.vault();
  let vms: readonly VmSummary[] | undefined;
  const broken = (name: string, error: Error): void => context.error(`The policy ${name} cannot be read and does not run: ${error.message}`);
  for (const policy of await listPolicies(vault.store, broken)) {
    if (!policy.document.enabled) continue;
    try {
      if (await startSlot(services, client, policy, context)) continue;
      if (policy.document.firstBackup === 'now') {
        vms ??= await services.deps.cloud.listVms();
        await startFirstRun(services, client, policy, vms, context);
      }
    } catch (error) {
      context.error(`The policy ${policy.document.name} could not be started: ${redact(messageOf(error))}`);
    }
  }
}

/** True when the policy's latest slot runs now, started just now or before. */
async function startSlot(services: Services, client: DurableClient, { document, storedAtMs }: StoredPolicy, context: InvocationContext): Promise<boolean> {
  const nowMs = services.deps.nowMs();
  const latest = latestSlot(document.schedule, nowMs);
  if (latest === null) return false;
  const instanceId = policyInstanceId(document.name, formatStamp(latest));
  const known = await findStatus(client, instanceId);
  if (known) return isActive(known);
  const due = dueSlot({ schedule: document.schedule, firstBackup: 'next-slot', policyEffectiveAtMs: storedAtMs, lastSlotMs: null, hasRecoveryPoint: true, nowMs, maxAgeHours: null });
  if (due.slotMs === null) return false;
  await start(client, instanceId, { policy: document.name, stamp: formatStamp(due.slotMs), slot: new Date(due.slotMs).toISOString(), only: 'all' }, context);
  return true;
}

/** An item that was never backed up is due at once: until its first recovery point it is not protected at all. */
async function startFirstRun(services: Services, client: DurableClient, { document }: StoredPolicy, vms: readonly VmSummary[], context: InvocationContext): Promise<void> {
  const latest = latestSlot(document.schedule, services.deps.nowMs());
  if (latest === null) return;
  const vault = await services.deps.vault();
  const known = new Set<string>();
  for await (const itemId of itemIds(vault)) known.add(itemId);
  if (selectItems(document, vms).every(({ id }) => known.has(itemIdOfResource(id)))) return;
  const instanceId = policyInstanceId(document.name, 'first');
  const before = await findStatus(client, instanceId);
  if (before && isActive(before)) return;
  await start(client, instanceId, { policy: document.name, stamp: formatStamp(latest), slot: new Date(latest).toISOString(), only: 'new' }, context);
}

async function start(client: DurableClient, instanceId: string, input: RunPolicyInput, context: InvocationContext): Promise<void> {
  await client.startNew(ORCHESTRATIONS.runPolicy, { instanceId, input });
  context.log(`Started ${instanceId} for the slot ${input.slot}`);
}
