import type { HttpHandler } from '@azure/functions';
import { z } from 'zod';
import { compareRetention } from '../activities/policy-change';
import { covering, executeRetention, type ItemRetentionPlan, planRetention, type PoliciesInForce, policiesInForce, withDocument } from '../activities/retention';
import { HoldfastError } from '../errors/holdfast-error';
import { itemIdOf, requireItem } from '../vault/catalog';
import type { VaultAccess } from '../vault/format/tree';
import { deciderOf } from './http-marks';
import { policyInBody } from './http-policies';
import { json, readJson } from './problem';
import { UNKNOWN_CALLER } from './rights';
import type { Services } from './services';

async function planFor(services: Services, vault: VaultAccess, asked: string, nowMs: number, change: (inForce: PoliciesInForce) => PoliciesInForce = (inForce) => inForce): Promise<ItemRetentionPlan> {
  const itemId = await itemIdOf(vault, asked);
  await requireItem(vault, itemId);
  const broken = (name: string): void => services.deps.log('A policy cannot be read, so it lets nothing go', { policy: name });
  return planRetention(vault, itemId, change(await policiesInForce(vault, nowMs, broken)), nowMs);
}

/** For each live recovery point of an item what keeps it and until when, and what would go. */
export const getRetention = (services: Services): HttpHandler => async (request) => {
  const vault = await services.deps.vault();
  return json(await planFor(services, vault, request.params.item ?? '', await vault.store.serverTimeMs()));
};

const applySchema = z.strictObject({ approve: z.string().max(64).optional() }).optional();

/** Puts into the bin what no rule keeps. 409 when that would be abnormally much and `approve` is not the token of this very plan. */
export const applyRetention = (services: Services): HttpHandler => async (request) => {
  const body = applySchema.safeParse(await readJson(request));
  if (!body.success) throw new HoldfastError('REQUEST_INVALID', 'The body is empty, or {"approve": "…"} with the token of the refused plan');
  const vault = await services.deps.vault();
  const decider = await deciderOf(services.deps, UNKNOWN_CALLER);
  const plan = await planFor(services, vault, request.params.item ?? '', decider.serverNowMs);
  const applied = await executeRetention(vault, plan, decider, body.data?.approve ?? null);
  if (applied.refused) throw new HoldfastError(applied.refused.code, applied.refused.message, { data: applied.refused.data });
  return json(applied);
};

/**
 * What a document would let go that stays under the policy in force; with `?item=` instead what would keep each recovery point of that item and until when, those without
 * a policy counted under it, too. Nothing is stored.
 */
export const previewPolicy = (services: Services): HttpHandler => async (request) => {
  const vault = await services.deps.vault();
  const document = await policyInBody(request);
  const nowMs = await vault.store.serverTimeMs();
  const item = request.query.get('item');
  if (item === null) return json(await compareRetention(vault, document, nowMs));
  return json(await planFor(services, vault, item, nowMs, (inForce) => covering(withDocument(inForce, document), document.name)));
};
