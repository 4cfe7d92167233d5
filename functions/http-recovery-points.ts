import { z } from 'zod';
import { loadRecoveryPoint } from '../vault/catalog';
import { json } from './problem';
import { describe } from './recovery-point-view';
import { pathId, route, undescribed } from './route';

const getRecoveryPoint = route({
  id: 'getRecoveryPoint', method: 'GET', path: 'recovery-points/{id}', role: 'Reader', params: z.strictObject({ id: pathId }), responses: { 200: undescribed },
  summary: 'A recovery point, also one in the bin: its state says so',
  handler: async ({ params, services: { deps } }) => json(describe(await loadRecoveryPoint(await deps.vault(), params.id, { deleted: true }))),
});

export const recoveryPointRoutes = [getRecoveryPoint];
