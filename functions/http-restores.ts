import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { estimateRestore } from '../activities/restore-estimate';
import { planRestore, proveRegions } from '../activities/restore-plan';
import { findRestoreVerdict, type RestorePlan, requestSchema, restorePlanSchema, restoreRecords, type RestoreRequest } from '../activities/restore-records';
import { RESTORE_ID, restoreBodySchema } from '../activities/restore-request';
import { recall } from '../activities/work';
import { HoldfastError } from '../errors/holdfast-error';
import { ORCHESTRATIONS, restoreInstanceId } from '../orchestrations/names';
import type { RestoreRun } from '../orchestrations/restore';
import { formatStamp } from '../policy/slot';
import { createDocument, findDocument } from '../vault/format/documents';
import { itemIdOf } from '../vault/catalog';
import { diskTree, loadManifest, type ManifestDisk, parseRecoveryPointId } from '../vault/format/manifest';
import { refuseMissing, regionsToRestore } from '../vault/transfer/restore-plan';
import type { VaultAccess } from '../vault/format/tree';
import { findStatus } from './durable-status';
import { cancelRestore } from './http-jobs';
import { listOf, pageFrom, pageQuery, sortedBy } from './paging';
import { json, located } from './problem';
import { pathId, route } from './route';
import { cancelling, started } from './schemas/common';
import { restoreInFull, restorePreview, restoreView } from './schemas/restores';

/** Regions (64 GiB of disk) that are proved while the caller waits; the job proves all of them before it makes anything. */
const PROVED_REGIONS = 16;

/**
 * The id in the body, or else one that follows from the header Idempotency-Key, makes asking twice the same job; what the first asked for counts, and another body under its id
 * is refused. Everything that would refuse it is looked for first, so a 4xx means that nothing was made.
 */
const startRestore = route({
  id: 'startRestore', method: 'POST', path: 'recovery-points/{id}/restores', role: 'RestoreOperator', action: 'restore.start', params: z.strictObject({ id: pathId }), body: restoreBodySchema,
  responses: { 200: restorePreview, 202: started.extend({ kind: z.literal('restore'), recoveryPoint: z.string() }).meta({ id: 'RestoreStarted' }) },
  summary: 'Starts a restore into Azure; with "dryRun": true answers the plan and makes nothing',
  audit: ({ body: { id, target } }) => ({ id: id ?? null, target }),
  async handler({ params, body, requestId, atMs, earlierMs, client, services: { others: { restore: deps } } }) {
    const vault = await deps.vault();
    const asked: RestoreRequest = {
      version: 1, restoreId: body.id ?? idAt(earlierMs[0] ?? atMs, requestId), recoveryPoint: params.id, target: body.target, requestedAt: new Date(deps.nowMs()).toISOString(),
    };
    const known = await findDocument(vault, restoreRecords.request(asked), requestSchema);
    if (known) refuseOther(known, asked);
    if (!known || body.dryRun) {
      const plan = await planRestore(deps, vault, asked);
      const dataBytes = await proveFirst(vault, plan);
      if (body.dryRun) return json({ ...describePlan(plan), dryRun: true, proved: dataBytes !== null, estimate: dataBytes && await estimateRestore(vault, plan, dataBytes) });
      if (await createDocument(vault, restoreRecords.request(asked), asked) === 'exists') refuseOther(await recall(vault, restoreRecords.request(asked), requestSchema), asked);
    }
    const id = restoreInstanceId(asked.restoreId);
    const run: RestoreRun = { restoreId: asked.restoreId, recoveryPoint: asked.recoveryPoint, kind: asked.target.kind };
    if (!await findStatus(client, id)) {
      await client.startNew(ORCHESTRATIONS.restore, { instanceId: id, input: run }).catch(async (error: unknown) => {
        // Someone asked the same at the same moment; anything else is an error.
        if (!await findStatus(client, id)) throw error;
      });
    }
    return located({ id, kind: 'restore', recoveryPoint: asked.recoveryPoint, state: 'queued', location: `/api/jobs/${id}` });
  },
});

const ofRestore = z.strictObject({ id: pathId });

/** By when it was asked for; whether it was decided is known from the names alone. */
async function allRestores(vault: VaultAccess): Promise<{ restoreId: string; askedAtMs: number }[]> {
  const found: { restoreId: string; askedAtMs: number }[] = [];
  for await (const { name, modifiedAtMs } of vault.store.list('restores/')) {
    const [, restoreId] = /^restores\/([a-z0-9-]+)\/request$/.exec(name) ?? [];
    if (restoreId !== undefined) found.push({ restoreId, askedAtMs: modifiedAtMs });
  }
  return found;
}

async function viewOf(vault: VaultAccess, restoreId: string): Promise<z.output<typeof restoreView> | undefined> {
  const request = await findDocument(vault, restoreRecords.request({ restoreId }), requestSchema);
  if (!request) return undefined;
  const verdict = await findRestoreVerdict(vault, { restoreId });
  return {
    id: restoreId, recoveryPoint: request.recoveryPoint, itemId: parseRecoveryPointId(request.recoveryPoint).itemId, target: request.target, requestedAt: request.requestedAt,
    state: verdict?.verdict ?? 'open', decidedAt: verdict?.at ?? null, reason: verdict?.verdict === 'abandoned' ? { code: verdict.reason.code, message: verdict.reason.message, remedy: verdict.reason.remedy } : null,
    job: `/api/jobs/${restoreInstanceId(restoreId)}`,
  };
}

const listRestores = route({
  id: 'listRestores', method: 'GET', path: 'restores', role: 'Reader', responses: { 200: listOf('RestoreList', restoreView) },
  query: z.strictObject({ ...pageQuery, state: z.enum(['open', 'restored', 'abandoned']).optional(), item: pathId.optional().meta({ description: 'Of this item, by its id or a name that only one has' }) }),
  summary: 'Restores into Azure, also those whose job is long forgotten, newest first',
  async handler({ request, query, services: { deps } }) {
    const vault = await deps.vault();
    const itemId = query.item === undefined ? undefined : await itemIdOf(vault, query.item);
    const keyOf = ({ restoreId, askedAtMs }: { restoreId: string; askedAtMs: number }): string => `${new Date(askedAtMs).toISOString()} ${restoreId}`;
    async function* wanted(): AsyncGenerator<{ key: string; view: z.output<typeof restoreView> }> {
      for (const one of sortedBy(await allRestores(vault), keyOf, 'descending')) {
        const view = await viewOf(vault, one.restoreId);
        if (view && (query.state === undefined || view.state === query.state) && (itemId === undefined || view.itemId === itemId)) yield { key: keyOf(one), view };
      }
    }
    return json(await pageFrom(request, query, wanted(), ({ key }) => key, (page) => page.map(({ view }) => view), 'descending'));
  },
});

const restoreNotFound = (id: string): HoldfastError => new HoldfastError('RESTORE_NOT_FOUND', `There is no restore "${id.slice(0, 120)}"`);

const getRestore = route({
  id: 'getRestore', method: 'GET', path: 'restores/{id}', role: 'Reader', params: ofRestore, responses: { 200: restoreInFull },
  summary: 'A restore: what was asked, what was planned, and what came of it',
  async handler({ params: { id }, services: { deps } }) {
    const vault = await deps.vault();
    const view = RESTORE_ID.test(id) ? await viewOf(vault, id) : undefined;
    if (!view) throw restoreNotFound(id);
    const plan = await findDocument(vault, restoreRecords.plan({ restoreId: id }), restorePlanSchema);
    return json({ ...view, plan: plan ? describePlan(plan) : null });
  },
});

const cancelRestoreRoute = route({
  id: 'cancelRestore', method: 'POST', path: 'restores/{id}/cancel', role: 'RestoreOperator', action: 'restore.cancel', params: ofRestore, responses: { 202: cancelling },
  summary: 'Cancels a restore that has not come to its end: what it made is removed, and a machine gets its old disks back',
  async handler({ params: { id }, client, services: { deps } }) {
    if (!RESTORE_ID.test(id) || !await findDocument(await deps.vault(), restoreRecords.request({ restoreId: id }), requestSchema)) throw restoreNotFound(id);
    return cancelRestore(deps, client, restoreInstanceId(id));
  },
});

export const restoreRoutes = [startRestore, listRestores, getRestore, cancelRestoreRoute];

function refuseOther(known: RestoreRequest, asked: RestoreRequest): void {
  if (known.recoveryPoint === asked.recoveryPoint && isDeepStrictEqual(known.target, asked.target)) return;
  throw new HoldfastError('RESTORE_ID_TAKEN', `The restore ${known.restoreId} of ${known.requestedAt} is another one: of ${known.recoveryPoint}, to ${known.target.kind}`, { data: { restoreId: known.restoreId } });
}

/** Drawn, or for each try of one request the same. */
const idAt = (ms: number, requestId: string | null): string => `${formatStamp(ms).toLowerCase()}-${requestId?.slice(0, 6) ?? randomBytes(3).toString('hex')}`;

/** The bytes of data of each disk where all of it was proved here, else null. */
async function proveFirst(vault: VaultAccess, plan: RestorePlan): Promise<number[] | null> {
  const { manifest } = await loadManifest(vault, plan.recoveryPoint);
  const bytes: number[] = [];
  let left = PROVED_REGIONS;
  for (const { disk } of plan.disks) {
    const { regions, needs } = await regionsToRestore(vault, diskTree(manifest.disks[disk] as ManifestDisk));
    await refuseMissing(vault, manifest, needs.missing);
    const now = [...regions.keys()].slice(0, left);
    bytes.push((await proveRegions(vault, plan.recoveryPoint, disk, now)).dataBytes);
    left -= now.length;
    if (now.length < regions.size) return null;
  }
  return bytes;
}

/** A plan as people see it: what would be made, exchanged and kept. */
const describePlan = (plan: RestorePlan): object => ({
  kind: plan.kind, recoveryPoint: plan.recoveryPoint, warnings: plan.warnings,
  disks: plan.disks.map(({ name, lun, sizeBytes, target }) => ({
    name, lun, sizeBytes,
    target: target.kind === 'disk' ? { id: target.id, location: target.location, zone: target.zone, sku: target.sku, sizeBytes: target.sizeBytes, present: target.present && { id: target.present.diskId, snapshot: target.present.snapshotId } }
      : { account: target.account, container: target.container, blob: target.blob, sizeBytes: target.sizeBytes, differential: target.differential },
  })),
  vm: plan.vm && { id: plan.vm.id, size: plan.vm.size, location: plan.vm.location, zone: plan.vm.zone, network: plan.vm.network, trustedLaunch: plan.vm.security !== null },
  swap: plan.swap && { vm: plan.swap.vmId, wasRunning: plan.swap.wasRunning, keepOldDisks: plan.swap.keepOldDisks, oldDisks: [...(plan.swap.os ? [plan.swap.os.oldDiskId] : []), ...plan.swap.data.map(({ oldDiskId }) => oldDiskId)] },
});
