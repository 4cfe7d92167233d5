import type { HttpHandler } from '@azure/functions';
import { z } from 'zod';
import { deletePoint } from '../activities/delete-point';
import type { ActivityDeps } from '../activities/deps';
import { HoldfastError } from '../errors/holdfast-error';
import { type Decider, markHeld, markReleased, markUndeleted, type MarkState } from '../vault/points/marks';
import { trustedNowMs } from '../vault/server-clock';
import { json, readJson } from './problem';
import { marksView } from './recovery-point-view';
import { requireConfirmed, UNKNOWN_CALLER } from './rights';
import type { Services } from './services';

/** Who decides over HTTP, and when by the vault's clock. Throws CLOCK_WRONG. */
export const deciderOf = async (deps: ActivityDeps, by: string): Promise<Decider> =>
  ({ by, serverNowMs: await trustedNowMs((await deps.vault()).store, deps.nowMs) });

const view = (id: string, marks: MarkState): object => ({ id, ...marksView(marks) });

/** Puts a recovery point into the bin; `?dryRun=true` only says whether that could be. */
export const deleteRecoveryPoint = ({ deps }: Services): HttpHandler => async (request) => {
  const id = request.params.id ?? '';
  const dryRun = request.query.get('dryRun') === 'true';
  return json({ dryRun, ...view(id, await deletePoint(await deps.vault(), id, await deciderOf(deps, UNKNOWN_CALLER), { dryRun })) });
};

export const undeleteRecoveryPoint = ({ deps }: Services): HttpHandler => async (request) => {
  const id = request.params.id ?? '';
  return json(view(id, await markUndeleted(await deps.vault(), id, await deciderOf(deps, UNKNOWN_CALLER))));
};

const holdSchema = z.strictObject({ label: z.string() });

export const holdRecoveryPoint = ({ deps }: Services): HttpHandler => async (request) => {
  const body = holdSchema.safeParse(await readJson(request));
  if (!body.success) throw new HoldfastError('REQUEST_INVALID', 'The body is {"label": "…"}: what the hold is for, such as the number of a case');
  const id = request.params.id ?? '';
  return json(view(id, await markHeld(await deps.vault(), id, await deciderOf(deps, UNKNOWN_CALLER), body.data.label)));
};

/** Takes the hold of `?label=` away; `confirm` repeats the label. */
export const releaseRecoveryPoint = ({ deps }: Services): HttpHandler => async (request) => {
  const id = request.params.id ?? '';
  const label = request.query.get('label');
  if (label === null || label === '') throw new HoldfastError('REQUEST_INVALID', 'A hold is released by its own label: give label=… in the query');
  requireConfirmed(request, 'release-hold', label, `Without the hold ${JSON.stringify(label.slice(0, 80))} the recovery point can be deleted`);
  return json(view(id, await markReleased(await deps.vault(), id, await deciderOf(deps, UNKNOWN_CALLER), label)));
};
