import { z } from 'zod';
import { compareRetention } from '../activities/policy-change';
import { covering, executeRetention, type ItemRetentionPlan, planRetention, type PoliciesInForce, policiesInForce, withDocument } from '../activities/retention';
import { HoldfastError } from '../errors/holdfast-error';
import { itemIdOf, requireItem } from '../vault/catalog';
import type { VaultAccess } from '../vault/format/tree';
import { deciderOf } from './http-marks';
import { policyBody } from './http-policies';
import { json } from './problem';
import { pathId, route } from './route';
import { approvalAsked } from './schemas/approvals';
import { appliedRetention, policyChange, retentionPlan } from './schemas/policies';
import type { Services } from './services';

async function planFor(services: Services, vault: VaultAccess, asked: string, nowMs: number, change: (inForce: PoliciesInForce) => PoliciesInForce = (inForce) => inForce): Promise<ItemRetentionPlan> {
  const itemId = await itemIdOf(vault, asked);
  await requireItem(vault, itemId);
  const broken = (name: string): void => services.deps.log('A policy cannot be read, so it lets nothing go', { policy: name });
  return planRetention(vault, itemId, change(await policiesInForce(vault, nowMs, broken)), nowMs);
}

const ofItem = z.strictObject({ item: pathId });

const getRetention = route({
  id: 'getRetention', method: 'GET', path: 'items/{item}/retention', role: 'Reader', params: ofItem, responses: { 200: retentionPlan },
  summary: 'For each live recovery point of an item what keeps it and until when, and what would go',
  async handler({ params, services }) {
    const vault = await services.deps.vault();
    return json(await planFor(services, vault, params.item, await vault.store.serverTimeMs()));
  },
});

const applyBody = z.strictObject({ approve: z.string().max(64).optional().meta({ description: 'The token of the plan that was refused' }) }).optional();

/** 409 when abnormally much would go and `approve` is not the token of this very plan. */
const applyRetention = route({
  id: 'applyRetention', method: 'POST', path: 'items/{item}/retention', role: 'Admin', action: 'retention.apply', params: ofItem, body: applyBody, responses: { 202: approvalAsked, 200: appliedRetention },
  summary: 'Puts into the bin what no rule keeps',
  audit: ({ body }) => ({ approve: body?.approve ?? null }),
  guard: {
    async what({ params, body, services }, approved) {
      if (body?.approve === undefined) return null;
      const vault = await services.deps.vault();
      const { refused, token, goes, itemId } = await planFor(services, vault, params.item, await vault.store.serverTimeMs());
      if (!approved && (refused === null || token !== body.approve)) return null;
      return { kind: 'retention.approve', what: `Retention would put ${goes.length} recovery points of ${itemId} into the bin, which is abnormally much`, fingerprint: token };
    },
    async isDone({ params, services }) {
      const vault = await services.deps.vault();
      return (await planFor(services, vault, params.item, await vault.store.serverTimeMs())).goes.length === 0;
    },
  },
  async handler({ params, body, caller, services }) {
    const vault = await services.deps.vault();
    const decider = await deciderOf(services.deps, caller.name);
    const plan = await planFor(services, vault, params.item, decider.serverNowMs);
    const applied = await executeRetention(vault, plan, decider, body?.approve ?? null);
    if (applied.refused) throw new HoldfastError(applied.refused.code, applied.refused.message, { data: applied.refused.data });
    return json(applied);
  },
});

/** With `item` also the recovery points without a policy are counted under it. */
const previewPolicy = route({
  id: 'previewPolicy', method: 'POST', path: 'policies/{name}/retention-preview', role: 'Reader', ...policyBody, query: z.strictObject({ item: pathId.optional() }), responses: { 200: z.union([policyChange, retentionPlan]) },
  summary: 'What the policy in the body would let go; with item=… what would keep each recovery point of that item and until when. Nothing is stored',
  async handler({ body: document, query: { item }, services }) {
    const vault = await services.deps.vault();
    const nowMs = await vault.store.serverTimeMs();
    if (item === undefined) return json(await compareRetention(vault, document, nowMs));
    return json(await planFor(services, vault, item, nowMs, (inForce) => covering(withDocument(inForce, document), document.name)));
  },
});

export const retentionRoutes = [getRetention, applyRetention, previewPolicy];
