import { z } from 'zod';
import { deletePoint } from '../activities/delete-point';
import type { ActivityDeps } from '../activities/deps';
import { type Decider, markHeld, markReleased, markUndeleted, type MarkState } from '../vault/points/marks';
import { trustedNowMs } from '../vault/server-clock';
import { json } from './problem';
import { marksView } from './recovery-point-view';
import { requireConfirmed } from './rights';
import { flag, pathId, route } from './route';
import { deletedPoint, markedPoint } from './schemas/points';

/** Who decides over HTTP, and when by the vault's clock. Throws CLOCK_WRONG. */
export const deciderOf = async (deps: ActivityDeps, by: string): Promise<Decider> =>
  ({ by, serverNowMs: await trustedNowMs((await deps.vault()).store, deps.nowMs) });

const view = (id: string, marks: MarkState): object => ({ id, ...marksView(marks) });

const ofPoint = z.strictObject({ id: pathId });

const deleteRecoveryPoint = route({
  id: 'deleteRecoveryPoint', method: 'DELETE', path: 'recovery-points/{id}', role: 'Admin', action: 'recovery-point.delete', params: ofPoint, query: z.strictObject({ dryRun: flag }), responses: { 200: deletedPoint },
  summary: 'Puts a recovery point into the bin; dryRun=true only says whether that could be',
  async handler({ params: { id }, query: { dryRun }, caller, services: { deps } }) {
    return json({ dryRun, ...view(id, await deletePoint(await deps.vault(), id, await deciderOf(deps, caller.name), { dryRun })) });
  },
});

const undeleteRecoveryPoint = route({
  id: 'undeleteRecoveryPoint', method: 'POST', path: 'recovery-points/{id}/undelete', role: 'Operator', action: 'recovery-point.undelete', params: ofPoint, responses: { 200: markedPoint },
  summary: 'Takes a recovery point out of the bin',
  async handler({ params: { id }, caller, services: { deps } }) {
    return json(view(id, await markUndeleted(await deps.vault(), id, await deciderOf(deps, caller.name))));
  },
});

const holdBody = z.strictObject({ label: z.string().meta({ description: 'What the hold is for, such as the number of a case' }) });

const holdRecoveryPoint = route({
  id: 'holdRecoveryPoint', method: 'POST', path: 'recovery-points/{id}/holds', role: 'Operator', action: 'recovery-point.hold', params: ofPoint, body: holdBody, responses: { 200: markedPoint },
  summary: 'Holds a recovery point against deletion, under a label',
  audit: ({ body: { label } }) => ({ label: label.slice(0, 80) }),
  async handler({ params: { id }, body, caller, services: { deps } }) {
    return json(view(id, await markHeld(await deps.vault(), id, await deciderOf(deps, caller.name), body.label)));
  },
});

const releaseQuery = z.strictObject({
  label: z.string({ error: 'a hold is released by its own label: give label=… in the query' }).min(1),
  confirm: z.string().optional().meta({ description: 'The label once more' }),
});

const releaseRecoveryPoint = route({
  id: 'releaseRecoveryPoint', method: 'DELETE', path: 'recovery-points/{id}/holds', role: 'Admin', action: 'recovery-point.release', params: ofPoint, query: releaseQuery, responses: { 200: markedPoint },
  summary: 'Takes the hold of a label away; confirm repeats the label',
  audit: ({ query: { label } }) => ({ label: label.slice(0, 80) }),
  async handler({ params: { id }, query: { label, confirm }, caller, services: { deps } }) {
    requireConfirmed(confirm, 'release-hold', label, `Without the hold ${JSON.stringify(label.slice(0, 80))} the recovery point can be deleted`);
    return json(view(id, await markReleased(await deps.vault(), id, await deciderOf(deps, caller.name), label)));
  },
});

export const markRoutes = [deleteRecoveryPoint, undeleteRecoveryPoint, holdRecoveryPoint, releaseRecoveryPoint];
