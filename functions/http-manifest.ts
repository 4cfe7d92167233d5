import { z } from 'zod';
import { loadRecoveryPoint } from '../vault/catalog';
import { json } from './problem';
import { marksView } from './recovery-point-view';
import { pathId, route, type Route } from './route';

const manifestSchema = z.looseObject({ id: z.string(), itemId: z.string(), marks: z.looseObject({}) }).meta({ id: 'Manifest', description: 'As docs/vault-format.md has it, section 8, with what became of it since' });

const getManifest = route({
  id: 'getManifest', method: 'GET', path: 'recovery-points/{id}/manifest', role: 'Reader', params: z.strictObject({ id: pathId }), responses: { 200: manifestSchema },
  summary: 'The whole manifest of a recovery point, as the vault has it',
  async handler({ params: { id }, services: { deps } }) {
    const { manifest, marks } = await loadRecoveryPoint(await deps.vault(), id, { deleted: true });
    return json({ ...manifest, marks: marksView(marks) });
  },
});

export const manifestRoutes: readonly Route[] = [getManifest];
