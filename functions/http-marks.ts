import { z } from 'zod';
import { deletePoint } from '../activities/delete-point';
import type { ActivityDeps } from '../activities/deps';
import { HoldfastError } from '../errors/holdfast-error';
import { type Decider, markHeld, markReleased, markUndeleted, type MarkState, readMarksOf } from '../vault/points/marks';
import { trustedNowMs } from '../vault/server-clock';
import { json } from './problem';
import { marksView } from './recovery-point-view';
import { type Call, flag, pathId, route } from './route';
import { approvalAsked } from './schemas/approvals';
import { deletedPoint, markedPoint } from './schemas/points';

/** Who decides over HTTP, and when by the vault's clock. Throws CLOCK_WRONG. */
export const deciderOf = async (deps: ActivityDeps, by: string): Promise<Decider> =>
  ({ by, serverNowMs: await trustedNowMs((await deps.vault()).store, deps.nowMs) });

/** The same of what somebody else has to agree to: only if nothing was decided about the recovery point since it was asked for. */
const guardedDecider = async ({ caller, approved, services: { deps } }: Call): Promise<Decider> => ({ ...await deciderOf(deps, caller.name), onlyAt: approved ? marksIn(approved.fingerprint) : undefined });

const marksOf = ({ count }: MarkState): string => `${count} marks`;
const marksIn = (fingerprint: string): number => Number(fingerprint.split(' ')[0]);

const view = (id: string, marks: MarkState): object => ({ id, ...marksView(marks) });

const ofPoint = z.strictObject({ id: pathId });

const deleteRecoveryPoint = route({
  id: 'deleteRecoveryPoint', method: 'DELETE', path: 'recovery-points/{id}', role: 'Admin', action: 'recovery-point.delete', params: ofPoint, query: z.strictObject({ dryRun: flag }), responses: { 200: deletedPoint, 202: approvalAsked },
  summary: 'Puts a recovery point into the bin; dryRun=true only says whether that could be',
  guard: {
    async what(call, approved) {
      const { params: { id }, services: { deps } } = call;
      const vault = await deps.vault();
      // Refused where it could not be anyhow.
      const state = approved ? await readMarksOf(vault, id) : await deletePoint(vault, id, await guardedDecider(call), { dryRun: true });
      return state.state !== 'live' ? null : { kind: 'recovery-point.delete', what: `The recovery point ${id} would go into the bin for 14 days, and then for good`, fingerprint: marksOf(state) };
    },
    isDone: async ({ params: { id }, services: { deps } }) => (await readMarksOf(await deps.vault(), id)).state !== 'live',
  },
  async handler(call) {
    const { params: { id }, query: { dryRun }, services: { deps } } = call;
    return json({ dryRun, ...view(id, await deletePoint(await deps.vault(), id, await guardedDecider(call), { dryRun })) });
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
  id: 'releaseRecoveryPoint', method: 'DELETE', path: 'recovery-points/{id}/holds', role: 'Admin', action: 'recovery-point.release', params: ofPoint, query: releaseQuery, responses: { 200: markedPoint, 202: approvalAsked },
  summary: 'Takes the hold of a label away; confirm repeats the label',
  audit: ({ query: { label } }) => ({ label: label.slice(0, 80) }),
  guard: {
    async what({ params: { id }, query: { label, confirm }, services: { deps } }) {
      const state = await readMarksOf(await deps.vault(), id);
      const isHeld = state.holds.some((hold) => hold.label === label);
      return confirm === label && isHeld ? { kind: 'hold.release', what: `Without the hold ${JSON.stringify(label)} the recovery point ${id} can be deleted`, fingerprint: marksOf(state) } : null;
    },
    isDone: async ({ params: { id }, query: { label }, services: { deps } }) => !(await readMarksOf(await deps.vault(), id)).holds.some((hold) => hold.label === label),
  },
  async handler(call) {
    const { params: { id }, query: { label, confirm }, services: { deps } } = call;
    // So that no slip of the hand takes it away.
    if (confirm !== label) {
      throw new HoldfastError('CONFIRMATION_NEEDED', `Without the hold ${JSON.stringify(label.slice(0, 80))} the recovery point can be deleted: repeat the request with confirm=${encodeURIComponent(label)} in the query`, { data: { action: 'release-hold', confirm: label } });
    }
    return json(view(id, await markReleased(await deps.vault(), id, await guardedDecider(call), label)));
  },
});

export const markRoutes = [deleteRecoveryPoint, undeleteRecoveryPoint, holdRecoveryPoint, releaseRecoveryPoint];
